/* token.c - access tokens: one request for many callers, kept until shortly before
 * they expire.
 *
 *            want                 answer                renew time        usable time
 *   EMPTY ---------> IN FLIGHT -----------> FRESH ----------------> AGING ----------->
 * EMPTY ^                  | refused            ^    (served, while one request
 *     +---- REFUSED <----+                    +---- for a new one runs)
 *
 * The request may outlive who began it, in a host that turns the loop for its own calls
 * only.  Once its time is over it is dropped, and the next caller begins another. */
#include "azure/token.h"

#include <openssl/crypto.h>
#include <string.h>

#include "azure/entra.h"
#include "base/err.h"
#include "base/mem.h"

enum { REFUSED_MS = 5000, RENEW_PAUSE_MS = 30000, FLIGHT_MS = 30000 };

typedef struct waiter waiter;
struct waiter {
    ml_op op;
    ml_token_entry *entry;
    ml_timer deadline;
    ml_trace *trace;
    waiter *next;
};

struct ml_token_entry {
    ml_azure *azure;
    char *authority, *tenant, *audience, *client_id;
    ml_secret *client_secret;
    ml_secret *token;   /* its header; NULL: none */
    int64_t renew_ms;   /* from here on, ask for a new one */
    int64_t usable_ms;  /* from here on, do not use this one */
    ml_err refused;     /* code 0: not refused */
    int64_t refused_ms; /* until when */
    ml_op *flight;
    int64_t sent_ms;
    bool has_claims; /* the flight does */
    ml_trace flight_trace;
    waiter *waiters;
    ml_token_entry *next;
};

static bool same_secret(const ml_secret *a, const ml_secret *b)
{
    ml_str x = ml_secret_value(a), y = ml_secret_value(b);
    return x.n == y.n && CRYPTO_memcmp(x.p, y.p, x.n) == 0;
}

static bool matches(const ml_token_entry *t, const ml_token_want *w)
{
    return strcmp(t->authority, w->authority) == 0 &&
           strcmp(t->tenant, w->tenant) == 0 && strcmp(t->audience, w->audience) == 0 &&
           strcmp(t->client_id, w->client_id) == 0 &&
           same_secret(t->client_secret, w->client_secret);
}

static ml_token_entry *find(const ml_azure *a, const ml_token_want *w)
{
    ml_token_entry *t = a->tokens;
    while (t && !matches(t, w)) t = t->next;
    return t;
}

static void free_entry(ml_token_entry *t)
{
    ml_free(t->authority);
    ml_free(t->tenant);
    ml_free(t->audience);
    ml_free(t->client_id);
    ml_secret_unref(t->client_secret);
    ml_secret_unref(t->token);
    ml_trace_fini(&t->flight_trace);
    ml_free(t);
}

static ml_token_entry *find_or_add(ml_azure *a, const ml_token_want *w)
{
    ml_token_entry *t = find(a, w);
    if (t) return t;
    t = ml_calloc(1, sizeof(*t));
    if (!t) return NULL;
    *t = (ml_token_entry){.azure = a,
                          .authority = ml_dup(w->authority),
                          .tenant = ml_dup(w->tenant),
                          .audience = ml_dup(w->audience),
                          .client_id = ml_dup(w->client_id),
                          .client_secret = ml_secret_ref(w->client_secret)};
    if (!t->authority || !t->tenant || !t->audience || !t->client_id) {
        free_entry(t);
        return NULL;
    }
    t->next = a->tokens;
    a->tokens = t;
    return t;
}

/* ---- those who wait ----------------------------------------------------------------
 */

static void leave(waiter *w)
{
    ml_timer_stop(w->op.loop, &w->deadline);
    for (waiter **at = &w->entry->waiters; *at; at = &(*at)->next) {
        if (*at != w) continue;
        *at = w->next;
        return;
    }
}

static void cancel_waiter(ml_op *op)
{
    leave((waiter *)op);
    ml_op_fail(op, ML_ECANCELED, "canceled");
}

static void destroy_waiter(ml_op *op)
{
    ml_op_fini(op);
    ml_free(op);
}

static void share_trace(const ml_token_entry *t, ml_trace *trace)
{
    for (size_t i = 0; i < t->flight_trace.n; i++) {
        const ml_trace_event *ev = &t->flight_trace.events[i];
        ml_trace_add(trace, ev->what, "%s", ev->text);
    }
}

static void on_deadline(ml_timer *t, void *arg)
{
    (void)t;
    waiter *w = arg;
    const ml_token_entry *entry = w->entry;
    int *retry_after_ms = &w->op.err.retry_after_ms;
    int status = entry->flight ? ml_http_last_status(entry->flight, retry_after_ms) : 0;
    leave(w);
    share_trace(entry, w->trace);
    if (status == 0) {
        ml_op_fail(&w->op, ML_EUNAVAILABLE,
                   "no token from %s in time: raise the deadline (--timeout), or look "
                   "for a firewall that drops packets",
                   entry->authority);
        return;
    }
    w->op.err.http_status = status;
    ml_op_fail(&w->op, status == 429 ? ML_ETHROTTLED : ML_EUNAVAILABLE,
               "no token from %s in time; the last answer was HTTP %d",
               entry->authority, status);
}

static void answer(waiter *w, ml_secret *token, const ml_err *err)
{
    if (err->code)
        ml_err_copy(&w->op.err, err);
    else
        w->op.secret = ml_secret_ref(token);
    ml_op_finish(&w->op);
}

/* ---- the flight ---------------------------------------------------------------------
 */

static ml_secret *header_of(const ml_secret *token)
{
    ml_buf line;
    ml_buf_init(&line, 0);
    ml_buf_add_text(&line, "Authorization: Bearer ");
    ml_buf_add_str(&line, ml_secret_value(token));
    ml_secret *header = ml_buf_ok(&line) ? ml_secret_of_bytes(ml_buf_str(&line)) : NULL;
    ml_buf_fini(&line);
    return header;
}

static void keep_token(ml_token_entry *t, const ml_token *got, ml_err *err)
{
    ml_secret *header = header_of(got->secret);
    if (!header) {
        ml_fail(err, ML_ENOMEM, "out of memory for a token");
        return;
    }
    ml_secret_unref(t->token);
    t->token = header;
    t->renew_ms = t->sent_ms + ml_token_renew_after_s(got) * 1000;
    t->usable_ms = t->sent_ms + ml_token_usable_s(got) * 1000;
    t->refused.code = 0;
}

static const char *host_of(const ml_token_entry *t)
{
    return t->authority + strlen("https://");
}

/* Reads the answer of a flight into the entry; the error that waiters get in *err. */
static void land(ml_token_entry *t, ml_op *op, ml_err *err)
{
    ml_loop *loop = op->loop;
    ml_token got = {0};
    ml_err_copy(err, &op->err);
    if (err->code == 0) {
        ml_http_response *r = ml_http_answer(op);
        ml_entra_parse(r->status, ml_buf_str(&r->body), host_of(t), t->tenant,
                       t->client_id, ml_loop_wall_s(loop), &got, err);
        if (err->code) err->retry_after_ms = r->retry_after_ms;
    }
    int64_t now_ms = ml_loop_now_ms(loop);
    if (err->code == 0) keep_token(t, &got, err);
    ml_secret_unref(got.secret);
    if (err->code == 0) return;
    if (t->token)
        t->renew_ms = now_ms + RENEW_PAUSE_MS; /* the old one goes on serving */
    if (err->code != ML_EUNAUTHENTICATED) return;
    ml_err_copy(&t->refused, err);
    t->refused_ms = now_ms + REFUSED_MS;
}

static void on_flight(ml_op *op, void *arg);

static int take_off(ml_token_entry *t, ml_str claims, ml_err *e)
{
    ml_loop *loop = t->azure->client->loop;
    ml_http_request q;
    ml_http_request_init(&q);
    int rc = ml_entra_build(&(ml_entra_request){.authority = t->authority,
                                                .tenant = t->tenant,
                                                .audience = t->audience,
                                                .client_id = t->client_id,
                                                .client_secret = t->client_secret,
                                                .claims = claims},
                            &q.url, &q.body, e);
    if (rc < 0) {
        ml_http_request_fini(&q);
        return rc;
    }
    q.method = "POST";
    q.content_type = "application/x-www-form-urlencoded";
    q.is_idempotent = true; /* a second token does no harm */
    t->sent_ms = ml_loop_now_ms(loop);
    q.deadline_ms = t->sent_ms + FLIGHT_MS;
    t->has_claims = claims.n > 0;
    ml_trace_fini(&t->flight_trace);
    ml_trace_init(&t->flight_trace, ml_loop_clock(loop));
    t->flight =
        ml_http_start(t->azure->client, &q, true, &t->flight_trace, on_flight, t);
    return t->flight ? 0 : ml_fail(e, ML_ENOMEM, "out of memory");
}

static bool is_over(const ml_token_entry *t)
{
    return ml_loop_now_ms(t->azure->client->loop) >= t->sent_ms + FLIGHT_MS;
}

static bool somebody_has_time(const ml_token_entry *t)
{
    int64_t now_ms = ml_loop_now_ms(t->azure->client->loop);
    const waiter *w = t->waiters;
    while (w && w->deadline.at_ms <= now_ms) w = w->next;
    return w != NULL;
}

/* It had no time left, and somebody has: asks again.  The others end by themselves. */
static bool goes_on(ml_token_entry *t, const ml_err *err)
{
    bool is_late = err->code == ML_EUNAVAILABLE || err->code == ML_ETHROTTLED;
    ml_err unseen = {0};
    if (!is_late || t->has_claims || !is_over(t) || !somebody_has_time(t)) return false;
    return take_off(t, (ml_str){0}, &unseen) == 0;
}

static void on_flight(ml_op *op, void *arg)
{
    ml_token_entry *t = arg;
    ml_err err;
    t->flight = NULL;
    land(t, op, &err);
    if (goes_on(t, &err)) return;
    waiter *all = t->waiters;
    t->waiters = NULL;
    while (all) { /* taken off the list first: an answer may start new calls */
        waiter *w = all;
        all = w->next;
        ml_timer_stop(w->op.loop, &w->deadline);
        share_trace(t, w->trace);
        answer(w, t->token, &err);
    }
    ml_trace_fini(&t->flight_trace);
}

/* ---- asking -------------------------------------------------------------------------
 */

/* Drops the flight when nobody has turned the loop for it in time. */
static bool is_under_way(ml_token_entry *t)
{
    if (!t->flight) return false;
    if (!is_over(t) || t->flight->is_finished) return true;
    t->flight->done = NULL;
    ml_op_cancel(t->flight);
    t->flight = NULL;
    return false;
}

ml_secret *ml_token_kept(ml_azure *a, const ml_token_want *want)
{
    ml_token_entry *t = want->claims.n ? NULL : find(a, want);
    int64_t now_ms = ml_loop_now_ms(a->client->loop);
    if (!t || !t->token || now_ms >= t->usable_ms) return NULL;
    ml_err unseen = {0};
    if (now_ms >= t->renew_ms && !is_under_way(t))
        (void)take_off(t, want->claims, &unseen);
    ml_trace_add(want->trace, "token", "kept from before, for %s", t->audience);
    return ml_secret_ref(t->token);
}

/* Answers at once when possible. */
static bool serve(ml_token_entry *t, waiter *w, const ml_token_want *want)
{
    if (want->claims.n) return false;
    w->op.secret = ml_token_kept(t->azure, want);
    if (w->op.secret) {
        ml_op_finish(&w->op);
        return true;
    }
    if (t->refused.code && ml_loop_now_ms(w->op.loop) < t->refused_ms) {
        ml_trace_add(want->trace, "token", "refused a moment ago");
        answer(w, NULL, &t->refused);
        return true;
    }
    return false;
}

ml_op *ml_token_start(ml_azure *a, const ml_token_want *want, ml_op_done *done,
                      void *arg)
{
    ml_loop *loop = a->client->loop;
    ml_token_entry *t = find_or_add(a, want);
    waiter *w = t ? ml_op_alloc(sizeof(*w)) : NULL;
    if (!w) return NULL;
    ml_op_init(&w->op, loop, cancel_waiter, destroy_waiter);
    w->op.done = done;
    w->op.arg = arg;
    w->entry = t;
    w->trace = want->trace;
    if (serve(t, w, want)) return &w->op;
    if (!is_under_way(t) && take_off(t, want->claims, &w->op.err) < 0) {
        ml_op_finish(&w->op);
        return &w->op;
    }
    w->next = t->waiters;
    t->waiters = w;
    ml_timer_start(loop, &w->deadline, want->deadline_ms, on_deadline, w);
    return &w->op;
}

void ml_token_forget(ml_azure *a, const ml_token_want *want, const ml_secret *token)
{
    ml_token_entry *t = find(a, want);
    if (!t || t->token != token) return;
    ml_secret_unref(t->token);
    t->token = NULL;
}

void ml_token_free_all(ml_azure *a)
{
    while (a->tokens) {
        ml_token_entry *t = a->tokens;
        a->tokens = t->next;
        free_entry(t);
    }
}
