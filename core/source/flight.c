/* flight.c - asking a source through what is kept: the flight, and who waits for it. */
#include "source/flights.h"

#include <stdio.h>

#include "base/err.h"
#include "base/mem.h"

enum {
    REST_MIN_MS = 1000,
    REST_MAX_MS = 5000,
    REST_JITTER_MS = 1000,
    WORTH_A_NEW_TRY_MS = 20, /* who has less time left takes the failure */
    LONG_PAST = 1            /* an answer made of a failure is not kept */
};

/* ---- small things ------------------------------------------------------------------
 */

static int64_t longest(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void widen(ml_keep *all, const ml_keep *one)
{
    all->ttl_ms = longest(all->ttl_ms, one->ttl_ms);
    all->negative_ttl_ms = longest(all->negative_ttl_ms, one->negative_ttl_ms);
    all->stale_ttl_ms = longest(all->stale_ttl_ms, one->stale_ttl_ms);
    all->stale_throttled |= one->stale_throttled;
    all->stale_unavailable |= one->stale_unavailable;
}

/* Where the answer of f will be kept; NULL when it is cut off. */
static ml_entry *entry_of(const ml_flight *f)
{
    ml_entry *en = f->is_change ? NULL : ml_kept_find(f->cache, &f->key);
    return en && en->flight == f ? en : NULL;
}

int64_t ml_flight_rest_ms(const ml_flight *f, const ml_err *e)
{
    int64_t ms = e->retry_after_ms > REST_MIN_MS ? e->retry_after_ms : REST_MIN_MS;
    ms += ml_loop_random(f->loop) % REST_JITTER_MS;
    return ms < REST_MAX_MS ? ms : REST_MAX_MS;
}

/* How long an answer that was made of this end holds. */
int64_t ml_fresh_until(const ml_keep *keep, int code, int64_t now_ms,
                       int64_t rests_until_ms)
{
    switch (code) {
    case ML_OK: return now_ms + keep->ttl_ms;
    case ML_EMISSING:
        return now_ms +
               (keep->negative_ttl_ms < 0 ? keep->ttl_ms : keep->negative_ttl_ms);
    case ML_ETHROTTLED: return keep->stale_throttled ? rests_until_ms : LONG_PAST;
    case ML_EUNAVAILABLE: return keep->stale_unavailable ? rests_until_ms : LONG_PAST;
    default: return LONG_PAST;
    }
}

/* ---- life of a flight ---------------------------------------------------------------
 */

void ml_flight_free(ml_flight *f)
{
    ml_free((char *)(uintptr_t)f->key.key.p);
    ml_free((char *)(uintptr_t)f->key.version.p);
    ml_free(f->name);
    if (f->has_trace) ml_trace_fini(&f->trace);
    ml_source_unref(f->source);
    ml_free(f);
}

ml_flight *ml_flight_new(ml_kept *c, ml_loop *loop, const ml_kept_key *k,
                         const char *alias, const ml_keep_call *how)
{
    ml_flight *f = ml_calloc(1, sizeof(*f));
    if (!f) return NULL;
    *f = (ml_flight){.cache = c, .loop = loop, .keep = how->keep, .key = *k};
    snprintf(f->alias, sizeof(f->alias), "%s", alias);
    f->key.key.p = ml_dup_n(k->key.p, k->key.n);
    f->key.version.p = ml_dup_n(k->version.p, k->version.n);
    f->name = ml_dup_n(how->name.p, how->name.n);
    if (f->key.key.p && f->key.version.p && f->name) return f;
    ml_flight_free(f);
    return NULL;
}

/* From here on others find it, and its answer is kept. */
bool ml_flight_enter(ml_flight *f)
{
    ml_entry *en = ml_kept_want(f->cache, &f->key, ml_str_of(f->name));
    if (en) en->flight = f;
    return en != NULL;
}

void ml_flight_settle(ml_flight *f, ml_secret *secret, const ml_err *e, int64_t now_ms,
                      int64_t rest)
{
    ml_entry *en = entry_of(f);
    if (en) ml_kept_settle(f->cache, en, secret, e, &f->keep, now_ms, rest);
}

/* Nobody waits any more: whoever comes now begins another one. */
static void give_up(ml_flight *f)
{
    ml_flight_settle(f, NULL, &(ml_err){.code = ML_ECANCELED}, ml_loop_now_ms(f->loop),
                     0);
    ml_op_cancel(f->op);
}

bool ml_flight_is_lost(ml_flight *f, int64_t now_ms)
{
    if (now_ms < f->deadline_ms || (f->op && f->op->is_finished)) return false;
    if (!f->first && f->op) give_up(f);
    return true;
}

/* ---- waiters ------------------------------------------------------------------------
 */

static void leave(ml_waiter *w)
{
    ml_flight *f = w->flight;
    if (!f) return;
    if (w->prev)
        w->prev->next = w->next;
    else
        f->first = w->next;
    if (w->next)
        w->next->prev = w->prev;
    else
        f->last = w->prev;
    if (w->asker) w->asker->waits_for = NULL;
    w->flight = NULL;
    ml_timer_stop(w->op.loop, &w->timer);
    if (!f->first && !f->is_ahead && f->op) give_up(f);
}

static void end_alone(ml_waiter *w, int code, const char *what, const char *why)
{
    const ml_flight *f = w->flight;
    ml_err *e = &w->op.err;
    snprintf(e->source, sizeof(e->source), "%s", f->alias);
    ml_copy_printable(e->key, sizeof(e->key), f->key.key.p, f->key.key.n);
    ml_fail(e, code, "%s%s%s", what, code == ML_ECANCELED ? "" : f->alias, why);
    w->op.fresh_until_ms = LONG_PAST;
    leave(w);
    ml_op_finish(&w->op);
}

static void cancel_waiter(ml_op *op)
{
    end_alone((ml_waiter *)op, ML_ECANCELED, "canceled", "");
}

static void on_deadline(ml_timer *t, void *arg)
{
    (void)t;
    end_alone(arg, ML_EUNAVAILABLE, "no answer from ",
              " in time: a request for the same key that began before is still under "
              "way; raise the deadline (--timeout)");
}

static void destroy_waiter(ml_op *op)
{
    ml_op_fini(op);
    ml_free(op);
}

/* Waits for f.  NULL when out of memory. */
ml_waiter *ml_flight_join(ml_flight *f, const ml_keep_call *how, int64_t deadline_ms,
                          ml_trace *trace, ml_op_done *done, void *arg)
{
    ml_waiter *w = ml_op_alloc(sizeof(*w));
    if (!w) return NULL;
    ml_op_init(&w->op, f->loop, cancel_waiter, destroy_waiter);
    w->op.done = done;
    w->op.arg = arg;
    w->keep = how->keep;
    w->trace = trace;
    w->asker = how->asker;
    w->deadline_ms = deadline_ms;
    w->flight = f;
    w->prev = f->last;
    if (f->last)
        f->last->next = w;
    else
        f->first = w;
    f->last = w;
    if (w->asker) w->asker->waits_for = f;
    widen(&f->keep, &how->keep);
    if (f->owner || deadline_ms != f->deadline_ms)
        ml_timer_start(f->loop, &w->timer, deadline_ms, on_deadline, w);
    return w;
}

/* Tells one waiter; w is over then. */
void ml_flight_tell(ml_waiter *w, ml_op *op, const ml_err *e, ml_secret *secret,
                    int64_t now_ms, int64_t rest)
{
    ml_flight *f = w->flight;
    if (f->has_trace) ml_trace_append(w->trace, &f->trace);
    if (e->code) ml_err_copy(&w->op.err, e);
    w->op.secret = ml_secret_ref(secret);
    if (op && f->is_change) {
        w->op.list = op->list; /* it has one waiter only */
        op->list = (ml_secrets){0};
    }
    bool is_abandoned = e->code == 0 && !secret && !f->is_change;
    if (!is_abandoned)
        w->op.fresh_until_ms = ml_fresh_until(&w->keep, e->code, now_ms, now_ms + rest);
    leave(w);
    ml_op_finish(&w->op);
}

void ml_flight_tell_all(ml_flight *f, ml_op *op, const ml_err *e, ml_secret *secret,
                        int64_t now_ms, int64_t rest)
{
    f->is_ahead = true; /* nothing to give up any more */
    while (f->first) ml_flight_tell(f->first, op, e, secret, now_ms, rest);
}

static bool has_time(const ml_waiter *w, int64_t now_ms)
{
    return w->deadline_ms >= now_ms + WORTH_A_NEW_TRY_MS;
}

int64_t ml_flight_tell_late(ml_flight *f, const ml_err *e, int64_t now_ms, int64_t rest)
{
    bool is_late = e->code == ML_EUNAVAILABLE || e->code == ML_ETHROTTLED;
    int64_t until_ms = 0;
    if (!is_late || f->is_change || now_ms < f->deadline_ms) return 0;
    for (ml_waiter *w = f->first; w; w = w->next)
        if (has_time(w, now_ms)) until_ms = longest(until_ms, w->deadline_ms);
    for (ml_waiter *w = f->first, *next; until_ms && w; w = next) {
        next = w->next;
        if (!has_time(w, now_ms)) ml_flight_tell(w, NULL, e, NULL, now_ms, rest);
    }
    return until_ms;
}
