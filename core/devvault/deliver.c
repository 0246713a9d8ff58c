/* deliver.c - how an answer leaves: whole, in chunks, half, late, or not at all.
 *
 * The body is lent to libevent and scrubbed when it was written.  A client may go away
 * while an answer waits for its delay; libevent then leaves us a request without
 * connection, and sending into that only frees it. */
#include "devvault/exchange.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/err.h"

static const char *method_name(enum evhttp_cmd_type method)
{
    switch (method) {
    case EVHTTP_REQ_GET: return "GET";
    case EVHTTP_REQ_POST: return "POST";
    case EVHTTP_REQ_PUT: return "PUT";
    case EVHTTP_REQ_DELETE: return "DELETE";
    case EVHTTP_REQ_PATCH: return "PATCH";
    case EVHTTP_REQ_HEAD: return "HEAD";
    case EVHTTP_REQ_OPTIONS: return "OPTIONS";
    default: return "OTHER";
    }
}

static void note(const ml_dv_exchange *x)
{
    int status = x->delivery == ML_DV_DROPPED ? 0 : x->status;
    ml_dv_stats_add(&x->dv->stats, x->op, status);
    if (!x->dv->config.verbose) return;
    char path[512];
    ml_copy_printable(path, sizeof(path), x->path.p, x->path.n);
    fprintf(stderr, "dev-vault: %s %s%s %d\n", method_name(x->method), x->hostname,
            path, status);
}

static void add_common_headers(ml_dv_exchange *x)
{
    if (x->status != 204) {
        ml_dv_header(x, "Content-Type", "%s",
                     x->is_json ? "application/json; charset=utf-8" : "text/html");
    }
    char id[ML_DV_GUID_BYTES];
    ml_dv_random_guid(id);
    ml_dv_header(x, "x-ms-request-id", "%s", id);
    ml_dv_header(x, "Cache-Control", "no-cache");
    ml_dv_header(x, "X-Content-Type-Options", "nosniff");
    const char *echo = ml_dv_sent_header(x, x->is_token ? "client-request-id"
                                                        : "x-ms-client-request-id");
    if (echo && strlen(echo) <= 128) {
        ml_dv_header(x, x->is_token ? "client-request-id" : "x-ms-client-request-id",
                     "%s", echo);
    }
    if (x->is_token) return;
    ml_dv_header(x, "Strict-Transport-Security", "max-age=31536000;includeSubDomains");
    ml_dv_header(x, "x-ms-keyvault-region", "local");
    ml_dv_header(x, "x-ms-keyvault-service-version", "1.9.0.0-moonlatch-" ML_VERSION);
    ml_dv_header(x, "x-ms-keyvault-network-info",
                 "conn_type=Ipv4;addr=127.0.0.1;act_addr_fam=InterNetwork;");
}

static void free_body(const void *data, size_t n, void *arg)
{
    (void)data;
    (void)n;
    ml_buf *b = arg;
    ml_buf_fini(b);
    free(b);
}

/* An evbuffer that lends x->out's bytes [0, n), and owns all of it. */
static struct evbuffer *lend_body(ml_dv_exchange *x, size_t n)
{
    struct evbuffer *out = evbuffer_new();
    ml_buf *body = malloc(sizeof(*body));
    if (!out || !body) abort(); /* out of memory in a development server */
    *body = x->out;
    ml_buf_init(&x->out, ML_DV_LARGEST_BODY);
    if (n == 0 || evbuffer_add_reference(out, body->data, n, free_body, body) != 0) {
        free_body(NULL, 0, body);
    }
    return out;
}

/* Resets the connection, with nothing sent. */
static void drop(struct evhttp_request *req)
{
    struct evhttp_connection *con = evhttp_request_get_connection(req);
    if (!con) {
        evhttp_request_free(req);
        return;
    }
    evutil_socket_t fd = bufferevent_getfd(evhttp_connection_get_bufferevent(con));
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    evhttp_connection_free(con); /* and the request with it */
}

/* Promises all of the body, sends half of it, and closes. */
static void send_truncated(ml_dv_exchange *x)
{
    ml_dv_header(x, "Content-Length", "%zu", x->out.len);
    ml_dv_header(x, "Connection", "close");
    struct evbuffer *half = lend_body(x, x->out.len / 2);
    evhttp_send_reply(x->req, x->status, NULL, half);
    evbuffer_free(half);
    free(x);
}

static void send_in_chunks(ml_dv_exchange *x)
{
    struct evbuffer *all = lend_body(x, x->out.len), *part = evbuffer_new();
    if (!part) abort();
    evhttp_send_reply_start(x->req, x->status, NULL);
    while (evbuffer_get_length(all) > 0) {
        evbuffer_remove_buffer(all, part, 7);
        evhttp_send_reply_chunk(x->req, part);
    }
    evhttp_send_reply_end(x->req);
    evbuffer_free(all);
    evbuffer_free(part);
    free(x);
}

static void send_whole(ml_dv_exchange *x)
{
    struct evbuffer *body = lend_body(x, x->status == 204 ? 0 : x->out.len);
    evhttp_send_reply(x->req, x->status, NULL, body);
    evbuffer_free(body);
    free(x);
}

static void deliver(ml_dv_exchange *x)
{
    if (x->delivery == ML_DV_DROPPED) {
        drop(x->req);
        ml_buf_fini(&x->out);
        free(x);
    } else if (x->delivery == ML_DV_TRUNCATED) {
        send_truncated(x);
    } else if (x->delivery == ML_DV_IN_CHUNKS &&
               evhttp_request_get_connection(x->req)) {
        send_in_chunks(x);
    } else {
        send_whole(x);
    }
}

static void unlink_waiting(ml_dv_exchange *x)
{
    *x->link = x->next;
    if (x->next) x->next->link = x->link;
    event_free(x->timer);
}

static void deliver_later(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    unlink_waiting(arg);
    deliver(arg);
}

static void wait_and_deliver(ml_dv_exchange *x)
{
    struct timeval wait = {x->delay_ms / 1000, (long)(x->delay_ms % 1000) * 1000};
    x->timer = evtimer_new(x->dv->base, deliver_later, x);
    if (!x->timer || evtimer_add(x->timer, &wait) != 0) abort(); /* out of memory */
    x->next = x->dv->waiting;
    x->link = &x->dv->waiting;
    if (x->next) x->next->link = &x->next;
    x->dv->waiting = x;
}

void ml_dv_exchange_abandon_all(ml_dv *dv)
{
    ml_dv_exchange *next;
    for (ml_dv_exchange *x = dv->waiting; x; x = next) {
        next = x->next;
        event_free(x->timer);
        if (!evhttp_request_get_connection(x->req)) evhttp_request_free(x->req);
        ml_buf_fini(&x->out);
        free(x);
    }
    dv->waiting = NULL;
}

void ml_dv_exchange_finish(ml_dv_exchange *x)
{
    if (!ml_buf_ok(&x->out)) {
        ml_dv_refuse(x, 500, "InternalServerError", NULL, "The answer is too large");
    }
    add_common_headers(x);
    note(x);
    ml_buf_fini(&x->body);
    /* A drop frees the connection, which must not happen below libevent's own frames.
     */
    bool must_wait = x->delay_ms > 0 || x->delivery == ML_DV_DROPPED;
    if (must_wait)
        wait_and_deliver(x);
    else
        deliver(x);
}
