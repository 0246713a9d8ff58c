/* handle.c - one of curl's easy handles, and the origin that it asked last.
 *
 * A vault is asked for many things, and curl would take each URL apart, put it together
 * again and print its path once more: a twentieth of what a request costs.  So a handle
 * is given its origin in parsed form, once, and then the target of each request alone.
 */
#include "io/handle.h"

#include <stddef.h>
#include <string.h>

enum { ORIGIN_MAX = 300 };

bool ml_handle_open(ml_handle *h)
{
    *h = (ml_handle){.easy = curl_easy_init()};
    return h->easy != NULL;
}

static void forget_origin(ml_handle *h)
{
    if (!h->origin) return;
    curl_easy_setopt(h->easy, CURLOPT_CURLU, NULL);
    curl_url_cleanup(h->origin);
    h->origin = NULL;
}

void ml_handle_close(ml_handle *h)
{
    if (!h->easy) return;
    forget_origin(h);
    curl_easy_cleanup(h->easy);
    h->easy = NULL;
}

/* Bytes of https://host:port, before a path that can be sent as it is; 0: leave all of
 * it to curl, which strips fragments and refuses what no URL may hold. */
static size_t origin_length(const char *url)
{
    const char *host = strstr(url, "://");
    if (!host) return 0;
    const char *path = host + 3 + strcspn(host + 3, "/?#");
    if (*path != '/' || path - url >= ORIGIN_MAX) return 0;
    for (const char *p = path; *p; p++)
        if (*p <= ' ' || *p > '~' || *p == '#') return 0;
    return (size_t)(path - url);
}

/* The text is given, too: curl would make one from the parts, for each transfer. */
static bool has_origin(const ml_handle *h, const char *origin)
{
    const char *last = NULL;
    if (!h->origin) return false;
    curl_easy_getinfo(h->easy, CURLINFO_EFFECTIVE_URL, &last);
    return last && strcmp(last, origin) == 0;
}

static bool set_origin(ml_handle *h, const char *origin)
{
    forget_origin(h);
    h->origin = curl_url();
    if (h->origin && curl_url_set(h->origin, CURLUPART_URL, origin, 0) == CURLUE_OK &&
        curl_easy_setopt(h->easy, CURLOPT_URL, origin) == CURLE_OK &&
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
    char origin[ORIGIN_MAX];
    size_t n = origin_length(url);
    memcpy(origin, url, n);
    origin[n] = '\0';
    if (n == 0 || (!has_origin(h, origin) && !set_origin(h, origin)))
        return set_whole(h, url);
    return curl_easy_setopt(h->easy, CURLOPT_REQUEST_TARGET, url + n) == CURLE_OK;
}
