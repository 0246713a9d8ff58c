/* kept_start.c - asking a source of C through what is kept. */
#include <stdlib.h>

#include "base/err.h"
#include "source/flights.h"
#include "source/ready.h"

/* ---- flights of sources
 * --------------------------------------------------------------- */

static void on_flight(ml_op *op, void *arg);

static bool launch(ml_flight *f, const ml_source_call *call)
{
    ml_source_call mine = *call;
    mine.deadline_ms = f->deadline_ms;
    mine.trace = f->has_trace ? &f->trace : NULL;
    f->op = ml_source_start(f->source, &mine, on_flight, f);
    return f->op != NULL;
}

/* The time of the first caller is over, and somebody else has more: asks again. */
static bool goes_on(ml_flight *f, const ml_err *e, int64_t now_ms, int64_t rest)
{
    int64_t until_ms = ml_flight_tell_late(f, e, now_ms, rest);
    if (until_ms == 0) return false;
    f->deadline_ms = until_ms;
    return launch(f, &(ml_source_call){
                         .verb = ML_GET, .key = f->key.key, .version = f->key.version});
}

/* Under the name of who asked first: when an answer is kept under that name too, it is
 * the same secret, not a copy. */
static ml_secret *take_named(const ml_flight *f, ml_op *op)
{
    ml_secret *secret = op->secret;
    op->secret = NULL;
    if (!secret || f->is_change || !*f->name) return secret;
    ml_secret *named = ml_secret_with_name(secret, ml_str_of(f->name));
    if (!named) return secret;
    ml_secret_unref(secret);
    return named;
}

static void forget(ml_flight *f)
{
    if (f->is_restore)
        ml_kept_forget_store(f->cache, &f->key);
    else
        ml_kept_forget_key(f->cache, &f->key);
}

static void on_flight(ml_op *op, void *arg)
{
    ml_flight *f = arg;
    int64_t now_ms = ml_loop_now_ms(f->loop);
    int64_t rest = ml_flight_rest_ms(f, &op->err);
    f->op = NULL;
    if (goes_on(f, &op->err, now_ms, rest)) return;
    ml_secret *secret = op->err.code == 0 ? take_named(f, op) : NULL;
    if (f->is_change)
        forget(f); /* what was asked in between */
    else
        ml_flight_settle(f, secret, &op->err, now_ms, rest);
    ml_flight_tell_all(f, op, &op->err, secret, now_ms, rest);
    ml_secret_unref(secret);
    ml_flight_free(f);
}

/* A flight of s; NULL when out of memory. */
static ml_flight *new_source_flight(ml_kept *c, ml_loop *loop, ml_source *s,
                                    const ml_kept_key *k, const ml_source_call *call,
                                    const ml_keep_call *how)
{
    ml_flight *f = ml_flight_new(c, loop, k, s->alias, how);
    if (!f) return NULL;
    f->source = ml_source_ref(s);
    f->deadline_ms = call->deadline_ms;
    f->has_trace = call->trace != NULL;
    if (f->has_trace) ml_trace_init_like(&f->trace, call->trace);
    return f;
}

/* Its first waiter must exist before the source is asked: the other way round there
 * could be a request without anybody to take its answer. */
static ml_op *ask(ml_flight *f, const ml_source_call *call, const ml_keep_call *how,
                  ml_op_done *done, void *arg)
{
    ml_waiter *w =
        f ? ml_flight_join(f, how, call->deadline_ms, call->trace, done, arg) : NULL;
    if (!w) {
        if (f) ml_flight_free(f);
        return NULL;
    }
    if (!f->is_change)
        ml_flight_enter(f); /* without memory for it, it is a lonely one */
    if (launch(f, call)) return &w->op;
    ml_err e = {0};
    ml_fail(&e, ML_ENOMEM, "out of memory");
    ml_flight_settle(f, NULL, &e, 0, 0);
    ml_flight_tell_all(f, NULL, &e, NULL, 0, 0);
    ml_flight_free(f);
    return &w->op;
}

static void ask_ahead(ml_kept *c, ml_loop *loop, ml_source *s, const ml_kept_key *k,
                      const ml_source_call *call, const ml_keep_call *how)
{
    ml_flight *f = new_source_flight(c, loop, s, k, call, how);
    if (!f) return;
    f->is_ahead = true;
    if (ml_flight_enter(f) && launch(f, call)) return;
    ml_flight_settle(f, NULL, &(ml_err){.code = ML_ENOMEM}, 0, 0);
    ml_flight_free(f);
}

/* ---- what is kept
 * ---------------------------------------------------------------------- */

ml_kept_look ml_kept_look_at(const ml_kept *c, const ml_entry *en,
                             const ml_keep_call *how, int64_t now_ms)
{
    ml_kept_look a = {0};
    if (how->freshness == ML_FRESH_ANEW) return a;
    a.state = ml_kept_state_of(c, en, &how->keep, now_ms, &a.ms);
    bool is_failure = a.state == ML_KEPT_NEGATIVE || a.state == ML_KEPT_RESTING;
    a.answers = is_failure || a.state == ML_KEPT_FRESH ||
                (a.state == ML_KEPT_LATE && how->freshness == ML_FRESH_ENOUGH);
    if (is_failure) a.failure = en->failure;
    a.fresh_until_ms = now_ms + a.ms;
    return a;
}

static void note(ml_trace *trace, const ml_kept_look *a)
{
    const char *what = a->state == ML_KEPT_NEGATIVE  ? "missing for another"
                       : a->state == ML_KEPT_RESTING ? "not asked for another"
                                                     : "fresh for another";
    ml_trace_add(trace, "cache", "%s %.1f s", what, (double)a->ms / 1000);
}

static ml_op *ready(ml_loop *loop, const ml_entry *en, const ml_kept_look *a,
                    ml_op_done *done, void *arg)
{
    ml_op *op = ml_ready_new(loop, done, arg);
    if (!op) return NULL;
    op->fresh_until_ms = a->fresh_until_ms;
    if (a->failure)
        ml_err_copy(&op->err, a->failure);
    else
        op->secret = ml_secret_ref(en->secret);
    ml_op_finish(op);
    return op;
}

static ml_op *get(ml_kept *c, ml_loop *loop, ml_source *s, const ml_source_call *call,
                  const ml_keep_call *how, ml_op_done *done, void *arg)
{
    ml_kept_key k = ml_kept_key_of(c, s, call->key, call->version);
    ml_entry *en = ml_kept_find(c, &k);
    int64_t now_ms = ml_loop_now_ms(loop);
    ml_kept_look a = ml_kept_look_at(c, en, how, now_ms);
    ml_flight *f = en ? en->flight : NULL;
    ml_kept_note_name(en, how->name);
    if (en && a.answers) {
        note(call->trace, &a);
        ml_kept_note_keep(en, &how->keep);
        if (ml_loop_meter(loop)) ml_loop_meter(loop)->counts.kept_hits++;
        ml_op *op = ready(loop, en, &a, done, arg);
        if (op && a.state == ML_KEPT_LATE && (!f || ml_flight_is_lost(f, now_ms)))
            ask_ahead(c, loop, s, &k, call, how);
        return op;
    }
    if (f && how->freshness != ML_FRESH_ANEW && !ml_flight_is_lost(f, now_ms)) {
        ml_trace_add(call->trace, "cache", "waits for a request that is under way");
        ml_waiter *w =
            ml_flight_join(f, how, call->deadline_ms, call->trace, done, arg);
        if (ml_loop_meter(loop)) ml_loop_meter(loop)->counts.joined++;
        return w ? &w->op : NULL;
    }
    return ask(new_source_flight(c, loop, s, &k, call, how), call, how, done, arg);
}

static bool is_change(ml_verb verb)
{
    return verb == ML_PUT || verb == ML_UPDATE || verb == ML_DELETE ||
           verb == ML_RECOVER || verb == ML_PURGE || verb == ML_RESTORE;
}

static ml_op *change(ml_kept *c, ml_loop *loop, ml_source *s,
                     const ml_source_call *call, const ml_keep_call *how,
                     ml_op_done *done, void *arg)
{
    ml_kept_key k = ml_kept_key_of(c, s, call->key, (ml_str){0});
    ml_flight *f = new_source_flight(c, loop, s, &k, call, how);
    if (!f) return NULL;
    f->is_change = true;
    f->is_restore = call->verb == ML_RESTORE;
    forget(f);
    return ask(f, call, how, done, arg);
}

ml_kept_key ml_kept_key_of(ml_kept *c, ml_source *s, ml_str key, ml_str version)
{
    if (!s->kept) {
        s->kept = c;
        s->kept_as = ml_kept_new_source(c);
    }
    return (ml_kept_key){s->kept_as, s->store, key, version, s->ignores_case};
}

ml_op *ml_kept_start(ml_kept *c, ml_loop *loop, ml_source *s,
                     const ml_source_call *call, const ml_keep_call *how,
                     ml_op_done *done, void *arg)
{
    if (c && call->verb == ML_GET) return get(c, loop, s, call, how, done, arg);
    if (c && is_change(call->verb)) return change(c, loop, s, call, how, done, arg);
    return ml_source_start(s, call, done, arg);
}
