/* handle.c - one of curl's easy handles, and the origin that it asked last.
 *
 * A vault is asked for many things, and curl would take each URL apart, put it together
 * again and print its path once more: a twentieth of what a request costs.  So a handle
 * is given its origin in parsed form, once, and then the target of each request alone.
 */
#include "io/handle.h"

#include <stddef.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

bool ml_handle_open(ml_handle *h)
{
    *h = (ml_handle){.easy = curl_easy_init()};
    if (h->easy) curl_easy_setopt(h->easy, CURLOPT_PATH_AS_IS, 1L);
    return h->easy != NULL;
}

static void forget_origin(ml_handle *h)
{
    curl_easy_setopt(h->easy, CURLOPT_CURLU, NULL);
    curl_url_cleanup(h->origin); /* NULL is fine */
    ml_free(h->text);
    h->origin = NULL;
    h->text = NULL;
}

void ml_handle_close(ml_handle *h)
{
    if (!h->easy) return;
    forget_origin(h);
    curl_easy_cleanup(h->easy);
    h->easy = NULL;
}

/* Bytes of https://host:port, before a path that can be sent as it is; 0: leave all of
 * it to curl, which strips fragments, knows users and zones, and refuses what no URL
 * may hold. */
static size_t origin_length(const char *url)
{
    size_t scheme = 0;
    while (ml_is_alnum(url[scheme])) scheme++;
    if (scheme == 0 || strncmp(url + scheme, "://", 3) != 0) return 0;
    const char *path = url + scheme + 3;
    path += strcspn(path, "/?#@%");
    if (*path != '/') return 0;
    for (const char *p = path; *p; p++)
        if (*p <= ' ' || *p > '~' || *p == '#') return 0;
    return (size_t)(path - url);
}

static bool has_origin(const ml_handle *h, ml_str origin)
{
    return h->origin && ml_str_eq(ml_str_of(h->text), origin);
}

/* The text is given, too: without it libcurl 7.88 makes one from the parts, for each
 * transfer. */
static bool set_origin(ml_handle *h, ml_str origin)
{
    forget_origin(h);
    h->origin = curl_url();
    h->text = ml_dup_n(origin.p, origin.n);
    if (h->origin && h->text &&
        curl_url_set(h->origin, CURLUPART_URL, h->text, 0) == CURLUE_OK &&
        curl_easy_setopt(h->easy, CURLOPT_URL, h->text) == CURLE_OK &&
        curl_easy_setopt(h->easy, CURLOPT_CURLU, h->origin) == CURLE_OK)
        return true;
    forget_origin(h);
    return false;
}

static bool set_whole(ml_handle *h, const char *url)
{
    forget_origin(h);
    return curl_easy_setopt(h->easy, CURLOPT_URL, url) == CURLE_OK &&
           curl_easy_setopt(h->easy, CURLOPT_REQUEST_TARGET, NULL) == CURLE_OK;
}

bool ml_handle_set_url(ml_handle *h, const char *url)
{
    ml_str origin = {url, origin_length(url)};
    if (origin.n == 0 || (!has_origin(h, origin) && !set_origin(h, origin)))
        return set_whole(h, url);
    return curl_easy_setopt(h->easy, CURLOPT_REQUEST_TARGET, url + origin.n) ==
           CURLE_OK;
}
