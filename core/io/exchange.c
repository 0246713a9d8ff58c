/* exchange.c - one request, one answer: the part of http that knows curl.
 *
 * What cannot be scrubbed here: curl's own copies of request headers (the bearer token
 * among them), its receive buffer, and HTTP/2 header tables. */
#include "io/exchange.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/mem.h"

enum { DEFAULT_MAX_BYTES = 1024 * 1024, MAX_CHALLENGE_BYTES = 8192 };

/* ---- headers to send: nodes of our own, so that they can be erased ----------------
 */

/* A list begins with nodes of its own, goes on with `authorization`, whose text many
 * requests share, and ends in these, which are never written to. */
static struct curl_slist fixed_headers[] = {
    {.data = "Accept: application/json", .next = &fixed_headers[1]},
    {.data = "User-Agent: moonlatch/" ML_VERSION, .next = NULL},
};

typedef struct header {
    struct curl_slist node; /* first: a header is a node */
    char text[];
} header;

static bool add_header(ml_exchange *x, ml_str name, ml_str value)
{
    header *h = ml_malloc(sizeof(*h) + name.n + value.n + 1);
    if (!h) return false;
    memcpy(h->text, name.p, name.n);
    if (value.n) memcpy(h->text + name.n, value.p, value.n);
    h->text[name.n + value.n] = '\0';
    h->node = (struct curl_slist){.data = h->text, .next = x->headers};
    x->headers = &h->node;
    return true;
}

static void free_headers(ml_exchange *x)
{
    while (x->headers && x->headers != &x->authorization &&
           x->headers != fixed_headers) {
        struct curl_slist *node = x->headers;
        x->headers = node->next;
        ml_scrub(node->data, strlen(node->data));
        ml_free(node);
    }
}

/* The caller's own: "Name: value" NUL each.  Curl sends a header without a value only
 * when it ends in ';'. */
static bool add_bare_headers(ml_exchange *x)
{
    ml_str left = ml_buf_str(&x->request->headers);
    bool ok = add_header(x, ML_LIT("User-Agent: moonlatch/" ML_VERSION), (ml_str){0}) &&
              add_header(x, ML_LIT("Accept:"), (ml_str){0}) &&
              add_header(x, ML_LIT("Content-Type:"), (ml_str){0}) &&
              add_header(x, ML_LIT("Expect:"), (ml_str){0});
    while (ok && left.n > 0) {
        size_t n = ml_str_find(left, '\0');
        size_t colon = ml_str_find((ml_str){left.p, n}, ':');
        bool is_empty = ml_str_trim((ml_str){left.p + colon, n - colon}).n == 1;
        ok = is_empty ? add_header(x, (ml_str){left.p, colon}, ML_LIT(";"))
                      : add_header(x, (ml_str){left.p, n}, (ml_str){0});
        left = (ml_str){left.p + n + 1, left.n - n - 1};
    }
    return ok;
}

static bool add_headers(ml_exchange *x)
{
    const ml_http_request *q = x->request;
    if (q->is_bare) return add_bare_headers(x);
    if (q->authorization) {
        const char *text = ml_secret_value(q->authorization).p;
        x->authorization = (struct curl_slist){(char *)(uintptr_t)text, fixed_headers};
        x->headers = &x->authorization;
    }
    bool ok = add_header(x, ML_LIT("x-ms-client-request-id: "),
                         ml_str_of(q->client_request_id));
    if (ok && q->traceparent[0])
        ok = add_header(x, ML_LIT("traceparent: "), ml_str_of(q->traceparent));
    if (ok && q->content_type) {
        ok = add_header(x, ML_LIT("Expect:"), (ml_str){0}) &&
             add_header(x, ML_LIT("Content-Type: "), ml_str_of(q->content_type));
    }
    return ok;
}

/* ---- what comes back ---------------------------------------------------------------
 */

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    ml_exchange *x = arg;
    ml_buf_add(&x->response->body, p, size * n);
    if (ml_buf_ok(&x->response->body)) return size * n;
    x->has_no_room = true;
    return 0; /* makes curl give up */
}

static void keep(char *out, size_t size, ml_str value)
{
    value = ml_str_trim(value);
    ml_copy_printable(out, size, value.p, value.n);
}

/* One that is cut off would be another time. */
static void keep_whole(char *out, size_t size, ml_str value)
{
    if (ml_str_trim(value).n < size) keep(out, size, value);
}

/* Past the limits a line is left out: the answer is a 401 all the same. */
static void keep_challenge(ml_exchange *x, ml_str value)
{
    ml_http_response *r = x->response;
    value = ml_str_trim(value);
    if (r->n_challenges == ML_HTTP_MAX_CHALLENGES || value.n > MAX_CHALLENGE_BYTES)
        return;
    char *copy = ml_malloc(value.n + 1);
    if (!copy) x->has_no_room = true;
    if (!copy) return;
    keep(copy, value.n + 1, value);
    r->challenges[r->n_challenges++] = copy;
}

static void on_header_line(ml_exchange *x, ml_str name, ml_str value)
{
    ml_http_response *r = x->response;
    if (ml_str_ieq(name, ML_LIT("content-type"))) {
        keep(r->content_type, sizeof(r->content_type), value);
    } else if (ml_str_ieq(name, ML_LIT("x-ms-request-id"))) {
        keep(r->request_id, sizeof(r->request_id), value);
    } else if (ml_str_ieq(name, ML_LIT("retry-after-ms"))) {
        keep_whole(x->retry_after[0], sizeof(x->retry_after[0]), value);
    } else if (ml_str_ieq(name, ML_LIT("x-ms-retry-after-ms"))) {
        keep_whole(x->retry_after[1], sizeof(x->retry_after[1]), value);
    } else if (ml_str_ieq(name, ML_LIT("retry-after"))) {
        keep_whole(x->retry_after[2], sizeof(x->retry_after[2]), value);
    } else if (ml_str_ieq(name, ML_LIT("www-authenticate"))) {
        keep_challenge(x, value);
    }
}

/* A new status line (after a 100, or a proxy's CONNECT) starts the answer afresh. */
static void forget_answer(ml_exchange *x)
{
    ml_http_response *r = x->response;
    ml_buf_clear(&r->body);
    while (r->n_challenges > 0) ml_free(r->challenges[--r->n_challenges]);
    ml_buf_clear(&r->headers);
    r->status = r->retry_after_ms = 0;
    r->content_type[0] = r->request_id[0] = '\0';
    for (int i = 0; i < 3; i++) x->retry_after[i][0] = '\0';
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
    ml_exchange *x = arg;
    ml_str line = {p, size * n};
    if (ml_str_starts(line, ML_LIT("HTTP/"))) {
        forget_answer(x);
        return size * n;
    }
    size_t colon = ml_str_find(line, ':');
    /* One that begins with a blank goes on with the header before: nobody sends that
     * now, and what it says is no header of its own. */
    if (colon == line.n || *p == ' ' || *p == '\t') return size * n;
    if (x->request->keeps_headers) {
        ml_buf_add_str(&x->response->headers, ml_str_trim(line));
        ml_buf_add_char(&x->response->headers, '\0');
        x->has_no_room |= x->response->headers.failed && !x->response->headers.is_full;
    }
    on_header_line(x, (ml_str){p, colon}, (ml_str){p + colon + 1, line.n - colon - 1});
    return x->has_no_room ? 0 : size * n; /* 0 makes curl give up */
}

/* ---- a body that is sent once ------------------------------------------------------
 *
 * When a used connection breaks before the first byte of an answer, libcurl opens a new
 * one and sends again by itself, whatever the method is.  It must rewind a body that it
 * reads through a function, and ours cannot be: so the request fails instead.  Over
 * HTTP/2 that includes a request that crossed a GOAWAY, which would be safe to send
 * again; libcurl does not tell the two apart.  (HTTP/1.1 for these requests alone is no
 * way out: libcurl 7.88 then puts HTTP/2 requests on a busy HTTP/1.1 connection, and
 * answers are mixed up.) */

static size_t on_read(char *p, size_t size, size_t n, void *arg)
{
    ml_exchange *x = arg;
    const ml_buf *body = &x->request->body;
    size_t left = body->len - x->body_read, room = size * n;
    if (left > room) left = room;
    memcpy(p, body->data + x->body_read, left);
    x->body_read += left;
    return left;
}

static int on_rewind(void *arg, curl_off_t offset, int origin)
{
    (void)arg;
    (void)offset;
    (void)origin;
    return CURL_SEEKFUNC_FAIL;
}

static void send_body(ml_exchange *x, CURL *easy)
{
    const ml_http_request *q = x->request;
    bool once = !q->is_idempotent && q->body.len > 0;
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body.len);
    if (!once) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, q->body.data ? q->body.data : "");
        return;
    }
    x->body_read = 0;
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(easy, CURLOPT_READDATA, x);
    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_rewind);
}

/* ---- running -----------------------------------------------------------------------
 */

/* Method, host and path: what logs and traces may show of a URL. */
static ml_str shown_url(const ml_http_request *q)
{
    ml_str url = ml_buf_str(&q->url);
    url.n = ml_str_find(url, '?');
    if (!q->hides_path) return url;
    size_t scheme = q->is_plain ? strlen("http://") : strlen("https://");
    if (url.n < scheme) return (ml_str){0};
    return (ml_str){
        url.p, scheme + ml_str_find((ml_str){url.p + scheme, url.n - scheme}, '/')};
}

static void note_answer(ml_exchange *x, CURLcode code)
{
    if (!x->trace && !ml_log_wants(ml_loop_log(x->client->loop), ML_LOG_DEBUG)) return;
    ml_str url = shown_url(x->request);
    int took_ms = (int)(ml_loop_now_ms(x->client->loop) - x->began_ms);
    long version = 0, connects = 0;
    curl_easy_getinfo(x->handle.easy, CURLINFO_HTTP_VERSION, &version);
    curl_easy_getinfo(x->handle.easy, CURLINFO_NUM_CONNECTS, &connects);
    const char *how = connects ? "new connection" : "same connection";
    const char *http = version == CURL_HTTP_VERSION_2_0 ? "HTTP/2" : "HTTP/1.1";
    char text[ML_TRACE_TEXT];
    if (code == CURLE_OK) {
        snprintf(text, sizeof(text), "%s %.*s: %d in %d ms (%s, %s)",
                 x->request->method, (int)url.n, url.p, x->response->status, took_ms,
                 http, how);
    } else {
        snprintf(text, sizeof(text), "%s %.*s: %s after %d ms", x->request->method,
                 (int)url.n, url.p, curl_easy_strerror(code), took_ms);
    }
    ml_trace_add(x->trace, "http", "%s", text);
    ml_logf(ml_loop_log(x->client->loop), ML_LOG_DEBUG, "http", "%s", text);
}

static void read_retry_after(ml_exchange *x)
{
    if (!x->retry_after[0][0] && !x->retry_after[1][0] && !x->retry_after[2][0]) return;
    x->response->retry_after_ms =
        ml_retry_after_ms(ml_str_of(x->retry_after[0]), ml_str_of(x->retry_after[1]),
                          ml_str_of(x->retry_after[2]),
                          ml_loop_wall_s(x->client->loop));
}

/* Programs that the host starts do not inherit it. */
static curl_socket_t open_socket(void *arg, curlsocktype purpose,
                                 struct curl_sockaddr *to)
{
    (void)arg;
    (void)purpose;
    return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

/* The same for every request of a client: set once a handle. */
static void set_fixed(const ml_http_client *c, CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    /* Who gives up on a name server does not wait for it: the thread that asks ends by
     * itself, some seconds later. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
    curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    /* Never what curl itself would find in the environment: see set_proxy in open.c. */
    curl_easy_setopt(easy, CURLOPT_PROXY, c->proxy ? c->proxy : "");
    curl_easy_setopt(easy, CURLOPT_NOPROXY, c->no_proxy ? c->no_proxy : "");
    curl_easy_setopt(easy, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
    ml_tls_apply(c->tls, easy);
}

static void set_method(ml_exchange *x, CURL *easy)
{
    const ml_http_request *q = x->request;
    bool is_get = strcmp(q->method, "GET") == 0;
    bool has_body = !is_get && (q->body.len > 0 || strcmp(q->method, "DELETE") != 0);
    curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L); /* forgets the last use's method */
    if (has_body) send_body(x, easy); /* an empty one too: Content-Length: 0 */
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, is_get ? NULL : q->method);
}

/* What differs for one request alone: such a handle is not used again. */
static void set_bare(const ml_http_request *q, CURL *easy)
{
    if (q->is_plain) {
        curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http");
        curl_easy_setopt(easy, CURLOPT_NOPROXY, "*"); /* it is on this machine */
    }
    if (q->ca_file) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, q->ca_file);
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
}

static void set_options(ml_exchange *x, CURL *easy, int64_t left_ms)
{
    const ml_http_client *c = x->client;
    int64_t connect_ms = c->connect_ms < left_ms ? c->connect_ms : left_ms;
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)left_ms);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, x->headers);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, x);
    set_method(x, easy);
    if (x->request->is_bare) set_bare(x->request, easy);
}

/* The handle keeps no pointer to us. */
static void give_back(ml_exchange *x)
{
    curl_easy_setopt(x->handle.easy, CURLOPT_HTTPHEADER, NULL);
    curl_easy_setopt(x->handle.easy, CURLOPT_POSTFIELDS, NULL);
    if (x->request->is_bare)
        ml_handle_close(&x->handle);
    else
        ml_loop_curl_give(x->client->loop, &x->handle);
    free_headers(x);
}

static void on_done(CURL *easy, CURLcode code, void *arg)
{
    ml_exchange *x = arg;
    long status = 0, proxy_status = 0;
    curl_off_t sent = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &sent);
    curl_easy_getinfo(easy, CURLINFO_HTTP_CONNECTCODE, &proxy_status);
    if (code == CURLE_PEER_FAILED_VERIFICATION)
        curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &x->verified);
    x->response->status = (int)status;
    x->proxy_status = (int)proxy_status;
    x->was_sent = sent > 0; /* the connection was ready: bytes may have left */
    read_retry_after(x);
    note_answer(x, code);
    give_back(x);
    x->done(x, code, x->arg);
}

int ml_exchange_start(ml_exchange *x, int64_t left_ms, ml_err *e)
{
    bool is_fresh = false;
    x->has_no_room = x->was_sent = false;
    x->began_ms = ml_loop_now_ms(x->client->loop);
    x->response->body.max =
        x->request->max_bytes ? x->request->max_bytes : DEFAULT_MAX_BYTES;
    forget_answer(x);
    x->headers = x->request->is_bare ? NULL : fixed_headers;
    if (x->request->is_bare)
        ml_handle_open(&x->handle);
    else
        x->handle = ml_loop_curl_take(x->client->loop, &is_fresh);
    if (!x->handle.easy) return ml_fail(e, ML_ENOMEM, "out of memory for a request");
    if (is_fresh || x->request->is_bare) set_fixed(x->client, x->handle.easy);
    if (ml_buf_ok(&x->request->url) && ml_buf_ok(&x->request->body) &&
        ml_handle_set_url(&x->handle, x->request->url.data) && add_headers(x)) {
        set_options(x, x->handle.easy, left_ms);
        x->transfer = (ml_transfer){on_done, x};
        if (ml_loop_curl_add(x->client->loop, x->handle.easy, &x->transfer)) return 0;
    }
    give_back(x);
    return ml_fail(e, ML_ENOMEM, "out of memory for a request");
}

void ml_exchange_stop(ml_exchange *x)
{
    if (!x->handle.easy) return;
    ml_loop_curl_remove(x->client->loop, x->handle.easy);
    give_back(x);
}

/* ---- judging ------------------------------------------------------------------------
 */

bool ml_exchange_is_outage(CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM: return true;
    default: return false;
    }
}

bool ml_exchange_may_repeat(const ml_exchange *x, CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR: return true; /* nothing was sent */
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM: return x->request->is_idempotent || !x->was_sent;
    default: return false;
    }
}
