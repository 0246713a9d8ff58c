/* exchange.c - one request: read from libevent's HTTP, answered by an endpoint.
 *
 * The body is copied into a scrubbing buffer and the original is overwritten.  How an
 * answer leaves is in deliver.c. */
#include "devvault/exchange.h"

#include <event2/buffer.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "io/json.h"

static const char *vault_of_host(const ml_dv *dv, const char *hostname)
{
    ml_str host = ml_str_of(hostname);
    const ml_dv_config *c = &dv->config;
    if (!ml_str_iends(host, ML_LIT(".localhost"))) {
        bool is_plain = ml_str_ieq(host, ML_LIT("localhost")) || host.p[0] == '[' ||
                        strspn(hostname, "0123456789.") == host.n;
        return is_plain ? c->vaults[0] : NULL;
    }
    ml_str label = {host.p, ml_str_find(host, '.')};
    for (size_t i = 0; i < c->n_vaults; i++) {
        if (ml_str_ieq(label, ml_str_of(c->vaults[i]))) return c->vaults[i];
    }
    return NULL;
}

/* HOST or HOST:PORT, of characters that are safe inside a URL and a header. */
static bool read_host(ml_dv_exchange *x)
{
    const char *host = ml_dv_sent_header(x, "Host");
    static const char safe[] = "0123456789.-:[]"
                               "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    if (!host || !host[0] || strspn(host, safe) != strlen(host)) return false;
    if (strlen(host) >= sizeof(x->hostname)) return false;
    snprintf(x->host, sizeof(x->host), "%s", host);
    const char *end = strrchr(host, ':');
    const char *bracket = strrchr(host, ']');
    size_t n = end && (!bracket || end > bracket) ? (size_t)(end - host) : strlen(host);
    ml_copy_printable(x->hostname, sizeof(x->hostname), host, n);
    return n > 0;
}

static bool read_body(ml_dv_exchange *x)
{
    struct evbuffer *in = evhttp_request_get_input_buffer(x->req);
    size_t n = evbuffer_get_length(in);
    ml_buf_init(&x->body, ML_DV_LARGEST_BODY);
    if (n == 0) return true;
    unsigned char *p = evbuffer_pullup(in, -1);
    if (!p) return false;
    ml_buf_add(&x->body, p, n);
    ml_scrub(p, n);
    evbuffer_drain(in, n);
    return ml_buf_ok(&x->body);
}

ml_dv_exchange *ml_dv_exchange_new(ml_dv *dv, struct evhttp_request *req)
{
    ml_dv_exchange *x = calloc(1, sizeof(*x));
    if (!x) {
        evhttp_send_error(req, 503, NULL);
        return NULL;
    }
    const char *uri = evhttp_request_get_uri(req); /* path?query, or a whole URL */
    ml_str all = ml_str_of(uri);
    if (all.n && all.p[0] != '/') all = ML_LIT("");
    size_t n = ml_str_find(all, '?');
    size_t from = n < all.n ? n + 1 : n;
    *x = (ml_dv_exchange){.dv = dv,
                          .req = req,
                          .method = evhttp_request_get_command(req),
                          .path = {all.p, n},
                          .query = {all.p + from, all.n - from},
                          .op = "other",
                          .is_json = true};
    ml_buf_init(&x->out, ML_DV_LARGEST_BODY);
    if (read_body(x) && read_host(x)) {
        x->vault = vault_of_host(dv, x->hostname);
        return x;
    }
    evhttp_send_error(req, 400, NULL);
    ml_buf_fini(&x->body);
    free(x);
    return NULL;
}

const char *ml_dv_sent_header(const ml_dv_exchange *x, const char *name)
{
    return evhttp_find_header(evhttp_request_get_input_headers(x->req), name);
}

bool ml_dv_query(const ml_dv_exchange *x, const char *name, ml_buf *out)
{
    return ml_dv_form_get(x->query, name, out);
}

void ml_dv_answer(ml_dv_exchange *x, int status)
{
    x->status = status;
}

void ml_dv_header(ml_dv_exchange *x, const char *name, const char *fmt, ...)
{
    char value[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(value, sizeof(value), fmt, args);
    va_end(args);
    struct evkeyvalq *headers = evhttp_request_get_output_headers(x->req);
    evhttp_remove_header(headers, name);
    evhttp_add_header(headers, name, value);
}

bool ml_dv_refuse(ml_dv_exchange *x, int status, const char *code, const char *inner,
                  const char *fmt, ...)
{
    char message[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    ml_buf_clear(&x->out);
    ml_buf_addf(&x->out, "{\"error\":{\"code\":\"%s\",\"message\":", code);
    if (!ml_json_write_string(&x->out, ml_str_of(message)))
        ml_buf_add_text(&x->out, "\"\"");
    if (inner) ml_buf_addf(&x->out, ",\"innererror\":{\"code\":\"%s\"}", inner);
    ml_buf_add_text(&x->out, "}}");
    ml_dv_answer(x, status);
    return false;
}

bool ml_dv_broken(ml_dv_exchange *x, const ml_err *e)
{
    fprintf(stderr, "dev-vault: %s\n", e->text);
    return ml_dv_refuse(x, 500, "InternalServerError", NULL, "The dev vault failed: %s",
                        e->text);
}
