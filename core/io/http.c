/* http.c - an exchange repeated until it is worth reporting, under one deadline.
 *
 *   turn --> send --answer--> transient and worth a retry? --no--> done
 *     ^                                | yes
 *     +------------- wait -------------+      retry.c decides, exchange.c sends
 *
 * A turn is to be had at once, unless the request goes through a gate (gate.h). */
#include "io/http.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "io/exchange.h"
#include "io/span.h"

enum { MAX_TRIES_WITHOUT_ANSWER = 3, TELLING_MS = 1000 };

struct ml_http {
    ml_op op;
    ml_http_request request;
    ml_http_response response;
    ml_exchange exchange;
    ml_timer wait;
    ml_turn turn;
    ml_span_at span; /* of the try under way */
    bool may_retry;
    int tries;
    CURLcode last_code; /* of the last try */
    int last_status;    /* of the last try that was answered */
    int last_retry_after_ms;
};

static void on_exchange(ml_exchange *x, CURLcode code, void *arg);
static void report(ml_http *h);

void ml_http_request_init(ml_http_request *q)
{
    *q = (ml_http_request){.method = "GET"};
    ml_buf_init(&q->url, 0);
    ml_buf_init(&q->body, 0);
    ml_buf_init(&q->headers, 0);
}

void ml_http_request_fini(ml_http_request *q)
{
    ml_buf_fini(&q->url);
    ml_buf_fini(&q->body);
    ml_buf_fini(&q->headers);
    ml_secret_unref(q->authorization);
    ml_free(q->ca_file);
    ml_http_request_init(q);
}

void ml_http_response_fini(ml_http_response *r)
{
    ml_buf_fini(&r->body);
    ml_buf_fini(&r->headers);
    while (r->n_challenges > 0) ml_free(r->challenges[--r->n_challenges]);
}

static int64_t left_ms(const ml_http *h)
{
    return h->request.deadline_ms - ml_loop_now_ms(h->op.loop);
}

/* ---- what is told ------------------------------------------------------------------
 */

/* Of the last try; 0: no answer came. */
static int status_of(const ml_http *h)
{
    return h->last_code == CURLE_OK ? h->response.status : 0;
}

static const char *status_text(int status, char text[16])
{
    snprintf(text, 16, "%d", status);
    return text;
}

static void note_retry(const ml_http *h, ml_meter *m)
{
    char text[16];
    m->counts.retries++;
    if (!ml_meter_is_on(m)) return;
    const char *const labels[] = {h->request.source, status_text(status_of(h), text)};
    ml_meter_note(m, ML_METRIC_RETRY, labels, 1);
}

static void note_request(const ml_http *h, ml_meter *m, int status)
{
    char text[16];
    if (!ml_meter_is_on(m)) return;
    int64_t took_ms = ml_loop_now_ms(h->op.loop) - h->exchange.began_ms;
    const char *const labels[] = {h->request.method, h->request.source,
                                  status_text(status, text)};
    ml_meter_note(m, ML_METRIC_REQUEST, labels, (double)took_ms / 1000);
}

static void begin_telling(ml_http *h)
{
    ml_meter *m = ml_loop_meter(h->op.loop);
    const ml_trace *trace = h->exchange.trace;
    if (m) m->counts.requests++;
    if (m && h->tries > 1) note_retry(h, m);
    if (!trace || !trace->span.trace_id[0]) return;
    ml_span_begin(h->op.loop, &trace->span, &h->span,
                  &(ml_span){.what = "request", .verb = h->request.method});
    ml_span_write(&h->span, h->request.traceparent);
}

static void end_telling(ml_http *h, int status)
{
    ml_meter *m = ml_loop_meter(h->op.loop);
    if (m && status == 0) m->counts.unanswered++;
    if (m && status == 429) m->counts.throttled++;
    note_request(h, m, status);
    if (!h->span.span_id[0]) return;
    ml_span_end(h->op.loop, &h->exchange.trace->span, &h->span,
                &(ml_span){.what = "request",
                           .verb = h->request.method,
                           .http_status = status});
    h->span.span_id[0] = '\0';
}

static void tell_wait(ml_http *h, bool is_sent, int64_t waited_ms)
{
    ml_meter *m = ml_loop_meter(h->op.loop);
    if (!m) return;
    if (waited_ms >= 0) m->counts.waited++;
    if (!is_sent) m->counts.refused++;
    const char *const labels[] = {h->request.source, is_sent ? "sent" : "refused"};
    ml_meter_note(m, ML_METRIC_WAIT, labels,
                  waited_ms > 0 ? (double)waited_ms / 1000 : 0);
}

/* Who was answered before reports that. */
static void end_late(ml_http *h)
{
    if (h->tries > 0)
        report(h);
    else
        ml_op_fail(&h->op, ML_EUNAVAILABLE,
                   "the deadline passed before the request to the service could be "
                   "sent");
}

static void send_now(ml_http *h)
{
    int64_t left = left_ms(h);
    if (left <= 0) {
        if (h->request.gate) ml_gate_drop(h->request.gate, &h->turn);
        end_late(h);
        return;
    }
    h->tries++;
    begin_telling(h);
    if (ml_exchange_start(&h->exchange, left, &h->op.err) == 0) return;
    end_telling(h, 0);
    if (h->request.gate) ml_gate_drop(h->request.gate, &h->turn);
    ml_op_finish(&h->op);
}

/* ---- turns ------------------------------------------------------------------------
 */

/* Not sent.  Who was answered before reports that. */
static void give_up(ml_http *h)
{
    if (h->tries > 0) {
        report(h);
        return;
    }
    ml_gate_explain(h->request.gate, &h->op.err);
    ml_op_finish(&h->op);
}

static void on_turn(ml_turn *t, ml_turn_word word)
{
    ml_http *h = (ml_http *)((char *)t - offsetof(ml_http, turn));
    int64_t waited_ms = ml_loop_now_ms(h->op.loop) - t->since_ms;
    ml_trace_add(h->exchange.trace, "budget", "%s after %d ms in the queue",
                 word == ML_TURN_GO ? "its turn" : "no turn", (int)waited_ms);
    tell_wait(h, word == ML_TURN_GO, waited_ms);
    if (word == ML_TURN_GO)
        send_now(h);
    else
        give_up(h);
}

static void send_in_turn(ml_http *h)
{
    ml_gate *gate = h->request.gate;
    if (!gate || left_ms(h) <= 0) {
        send_now(h);
        return;
    }
    switch (ml_gate_enter(gate, &h->turn, h->request.deadline_ms, on_turn)) {
    case ML_TURN_GO: send_now(h); return;
    case ML_TURN_WAIT: return;
    default: tell_wait(h, false, -1); give_up(h);
    }
}

/* It timed out, but nobody gave it time: its caller, or who should turn the loop. */
static bool had_no_time(const ml_http *h)
{
    int64_t began_ms = h->exchange.began_ms;
    return ml_loop_now_ms(h->op.loop) - began_ms < TELLING_MS ||
           ml_loop_lagged_ms(h->op.loop) > began_ms;
}

/* What a try says about the service. */
static ml_heard heard(const ml_http *h, CURLcode code)
{
    if (code != CURLE_OK) {
        if (code == CURLE_OPERATION_TIMEDOUT && had_no_time(h)) return ML_HEARD_NOTHING;
        return ml_exchange_is_outage(code) ? ML_HEARD_OUTAGE : ML_HEARD_NOTHING;
    }
    int status = h->response.status;
    if (status == 429) return ML_HEARD_THROTTLED;
    if (status < 500) return ML_HEARD_GOOD;
    return ml_retry_is_transient(status) ? ML_HEARD_OUTAGE : ML_HEARD_GOOD;
}

/* ---- tries ------------------------------------------------------------------------
 */

/* Milliseconds until the next try, or ML_RETRY_STOP. */
static int next_try(ml_http *h, CURLcode code)
{
    if (!h->may_retry) return ML_RETRY_STOP;
    ml_retry rule = h->exchange.client->retry;
    int status = code == CURLE_OK ? h->response.status : 0;
    if (h->request.is_bare) rule.max_attempts = h->request.max_tries;
    if (code != CURLE_OK) {
        if (!ml_exchange_may_repeat(&h->exchange, code)) return ML_RETRY_STOP;
        if (!h->request.is_bare) rule.max_attempts = MAX_TRIES_WITHOUT_ANSWER;
    } else if (!ml_retry_is_transient(status)) {
        return ML_RETRY_STOP;
    }
    return ml_retry_next(&rule, h->tries, status, h->response.retry_after_ms,
                         left_ms(h), ml_loop_random(h->op.loop));
}

/* The last try was not answered, but one before was: that is the cause to look for. */
static void add_last_status(ml_http *h)
{
    ml_err *e = &h->op.err;
    size_t n = strlen(e->text);
    if (e->code != ML_EUNAVAILABLE || h->last_status == 0) return;
    e->http_status = h->last_status;
    snprintf(e->text + n, sizeof(e->text) - n, "; the last answer was HTTP %d",
             h->last_status);
}

static void report(ml_http *h)
{
    if (h->last_code != CURLE_OK) {
        ml_exchange_explain(&h->exchange, h->last_code, &h->op.err);
        add_last_status(h);
    }
    ml_op_finish(&h->op);
}

/* Who wakes up too late has no time for another try, and reports the last one: a wait
 * that was to end before the deadline need not do so on a busy machine. */
static void on_wait(ml_timer *t, void *arg)
{
    (void)t;
    ml_http *h = arg;
    if (left_ms(h) > 0)
        send_in_turn(h);
    else
        report(h);
}

static void on_exchange(ml_exchange *x, CURLcode code, void *arg)
{
    ml_http *h = arg;
    h->last_code = code;
    if (code == CURLE_OK) {
        h->last_status = h->response.status;
        h->last_retry_after_ms = h->response.retry_after_ms;
    }
    int status = status_of(h);
    ml_gate *gate = h->request.gate;
    end_telling(h, status);
    if (gate) {
        ml_gate_leave(gate, &h->turn, heard(h, code), h->response.retry_after_ms);
        if (status == 429 && h->may_retry) {
            send_in_turn(h);
            return;
        }
    }
    int wait_ms = next_try(h, code);
    if (wait_ms != ML_RETRY_STOP) {
        ml_trace_add(x->trace, "retry", "try %d in %d ms", h->tries + 1, wait_ms);
        ml_timer_start(h->op.loop, &h->wait, ml_loop_now_ms(h->op.loop) + wait_ms,
                       on_wait, h);
        return;
    }
    report(h);
}

static void cancel(ml_op *op)
{
    ml_http *h = (ml_http *)op;
    if (h->exchange.handle.easy) end_telling(h, 0);
    ml_exchange_stop(&h->exchange);
    ml_timer_stop(op->loop, &h->wait);
    if (h->request.gate) ml_gate_drop(h->request.gate, &h->turn);
    ml_op_fail(op, ML_ECANCELED, "canceled");
}

static void destroy(ml_op *op)
{
    ml_http *h = (ml_http *)op;
    ml_http_request_fini(&h->request);
    ml_http_response_fini(&h->response);
    ml_op_fini(op);
    ml_free(h);
}

/* A random (version 4) GUID, one for all tries of a request. */
static void make_request_id(ml_loop *l, char out[40])
{
    static const char hex[] = "0123456789abcdef";
    static const char shape[] = "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx";
    uint32_t bits = 0;
    for (size_t i = 0; i < sizeof(shape); i++) {
        if (i % 8 == 0) bits = ml_loop_random(l);
        char c = shape[i];
        out[i] = c == 'x' ? hex[bits & 15] : c == 'y' ? hex[8 | (bits & 3)] : c;
        bits >>= 4;
    }
}

ml_op *ml_http_start(const ml_http_client *c, ml_http_request *q, bool retry,
                     ml_trace *trace, ml_op_done *done, void *arg)
{
    ml_http *h = ml_op_alloc(sizeof(*h));
    if (!h) {
        ml_http_request_fini(q);
        return NULL;
    }
    ml_op_init(&h->op, c->loop, cancel, destroy);
    h->op.done = done;
    h->op.arg = arg;
    h->request = *q;
    ml_http_request_init(q);
    h->may_retry = retry;
    ml_buf_init(&h->response.body, 0);
    ml_buf_init(&h->response.headers, 0);
    make_request_id(c->loop, h->request.client_request_id);
    h->exchange = (ml_exchange){.client = c,
                                .request = &h->request,
                                .response = &h->response,
                                .trace = trace,
                                .done = on_exchange,
                                .arg = h};
    send_in_turn(h);
    return &h->op;
}

ml_http_response *ml_http_answer(ml_op *op)
{
    return &((ml_http *)op)->response;
}

int ml_http_last_status(const ml_op *op, int *retry_after_ms)
{
    *retry_after_ms = ((const ml_http *)op)->last_retry_after_ms;
    return ((const ml_http *)op)->last_status;
}
