/* request.c - one call in flight: from the cache or as a task, to its answer. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "io/span.h"
#include "resolver.h"
#include "script/verbs.h"
#include "source/ready.h"

static int check_pairs(const char *what, const ml_pair *pairs, size_t n, ml_err *e)
{
    if (n && !pairs) return ml_fail(e, ML_EUSAGE, "%s is missing", what);
    for (size_t i = 0; i < n; i++) {
        if (pairs[i].name && pairs[i].value) continue;
        return ml_fail(e, ML_EUSAGE, "%s %zu has no name or no value", what, i + 1);
    }
    return 0;
}

static bool needs_name(ml_verb verb)
{
    return verb != ML_LIST && verb != ML_LIST_DELETED && verb != ML_CHECK &&
           verb != ML_TEST;
}

int ml_call_widen(const ml_call *call, ml_call *full, ml_err *e)
{
    if (!call || call->size < sizeof(size_t) || call->size > sizeof(*call)) {
        return ml_fail(e, ML_EUSAGE,
                       "the call was not filled with ML_CALL_INIT of "
                       "version " ML_VERSION " or older");
    }
    *full = (ml_call){0};
    memcpy(full, call, call->size);
    if (full->verb < 0 || full->verb >= ML_VERB_COUNT) {
        return ml_fail(e, ML_EUSAGE, "no such verb");
    }
    if (needs_name(full->verb) && (!full->name || !*full->name)) {
        return ml_fail(e, ML_EUSAGE, "a name is missing");
    }
    if (full->value_len && !full->value)
        return ml_fail(e, ML_EUSAGE, "a value is missing");
    int rc = check_pairs("context", full->context, full->n_context, e);
    return rc < 0 ? rc : check_pairs("tag", full->tags, full->n_tags, e);
}

static bool is_change(ml_verb verb)
{
    return verb == ML_PUT || verb == ML_UPDATE || verb == ML_DELETE ||
           verb == ML_RECOVER || verb == ML_PURGE || verb == ML_RESTORE;
}

static bool copy_key(ml_request *q, const ml_call *c)
{
    q->name = ml_dup(c->name);
    q->version = ml_dup(c->version);
    q->context = ml_calloc(c->n_context + 1, sizeof(*q->context));
    if (!q->name || (c->version && !q->version) || !q->context) return false;
    for (q->n_context = 0; q->n_context < c->n_context; q->n_context++) {
        ml_pair *copy = &q->context[q->n_context];
        copy->name = ml_dup(c->context[q->n_context].name);
        copy->value = ml_dup(c->context[q->n_context].value);
        if (copy->name && copy->value) continue;
        q->n_context++;
        return false;
    }
    return true;
}

ml_request *ml_request_new(ml_resolver *r, const ml_call *call, ml_err *e)
{
    ml_request *q = ml_alloc_with_err(sizeof(*q), offsetof(ml_request, err));
    ml_answer *answer = ml_calloc(1, sizeof(*answer));
    if (!q || !answer) {
        ml_free(q);
        ml_free(answer);
        ml_fail(e, ML_ENOMEM, "out of memory");
        return NULL;
    }
    q->resolver = r;
    q->answer = answer;
    q->verb = call->verb;
    q->began_ms = ml_loop_now_ms(r->loop);
    q->changes_store = is_change(call->verb);
    q->keeps_answer = r->cache && call->verb == ML_GET;
    q->policy_generation = atomic_load(&r->policy_generation);
    if (!q->keeps_answer || copy_key(q, call)) return q;
    ml_request_free(q);
    ml_fail(e, ML_ENOMEM, "out of memory");
    return NULL;
}

void ml_request_free(ml_request *q)
{
    if (!q) return;
    for (size_t i = 0; i < q->n_context; i++) {
        ml_free((char *)(uintptr_t)q->context[i].name);
        ml_free((char *)(uintptr_t)q->context[i].value);
    }
    ml_free(q->context);
    ml_free(q->name);
    ml_free(q->version);
    ml_answer_free(q->answer);
    ml_free(q);
}

static ml_cache_key key_of(const ml_request *q)
{
    return (ml_cache_key){q->policy_generation, q->name, q->version, q->context,
                          q->n_context};
}

void ml_request_note_change(ml_resolver *r)
{
    r->generation++;
    if (r->cache) ml_cache_clear(r->cache);
}

static void remember(ml_request *q, const ml_op *op)
{
    ml_resolver *r = q->resolver;
    if (!q->keeps_answer) return;
    ml_cache_key key = key_of(q);
    /* What was asked before a change is not kept: it may be the old value. */
    if (q->generation != r->generation ||
        (q->err.code == 0 && q->answer->list.n != 1)) {
        if (q->is_ahead) ml_answer_rest(r, &key); /* or nobody would try again */
        return;
    }
    ml_answer_keep(r, &key, q->err.code == 0 ? q->answer->list.items[0] : NULL,
                   q->err.code, ml_task_fresh_until_ms(op));
}

static void take_error(ml_request *q, const ml_op *op)
{
    if (op->err.code) ml_err_copy(&q->err, &op->err);
}

static void take_answer(ml_request *q, ml_op *op)
{
    ml_answer *a = q->answer;
    a->list = op->list;
    op->list = (ml_secrets){0};
    if (op->secret) { /* a hit of the cache comes as a plain op */
        ml_secret *secret = op->secret;
        op->secret = NULL;
        if (!ml_secrets_add(&a->list, secret))
            ml_fail(&q->err, ML_ENOMEM, "out of memory");
    }
}

/* Who asked for less time than it had is told that it is up, not of a cancel. */
static void finish(ml_request *q)
{
    ml_resolver *r = q->resolver;
    ml_timer_stop(r->loop, &q->late);
    if (q->is_late && q->err.code == ML_ECANCELED)
        ml_fail(&q->err, ML_EUNAVAILABLE, "no answer within the time that was left");
    if (q->err.code) {
        ml_answer_free(q->answer);
        q->answer = NULL;
    }
    if (q->is_ahead) {
        ml_request_free(q);
        return;
    }
    q->is_finished = true;
    q->op = NULL;
    q->next = NULL;
    if (!q->done) return; /* its blocking caller looks at is_finished */
    if (r->finished_last)
        r->finished_last->next = q;
    else
        r->finished_first = q;
    r->finished_last = q;
}

static void on_hit(ml_op *op, void *arg)
{
    ml_request *q = arg;
    take_error(q, op);
    if (op->is_canceled) ml_fail(&q->err, ML_ECANCELED, "canceled");
    if (q->err.code == 0) take_answer(q, op);
    finish(q);
}

/* Failed ones may have changed something, too.  The source has forgotten the key; when
 * a reload came in between, the sources of the policy after it have not. */
static void note_changed(ml_request *q)
{
    ml_resolver *r = q->resolver;
    ml_request_note_change(r);
    if (r->kept && q->policy_generation != atomic_load(&r->policy_generation))
        ml_kept_forget(r->kept, (ml_str){0});
}

/* ---- what is told -----------------------------------------------------------------
 */

static void begin_telling(ml_request *q, const ml_call *call)
{
    const ml_meter *m = &q->resolver->meter;
    ml_loop *loop = q->resolver->loop;
    if (!ml_span_parse(&q->parent, call->traceparent) && m->traceparent)
        ml_span_parse(&q->parent, m->traceparent(m->span_arg));
    if (!ml_span_is_on(loop, &q->parent)) return;
    ml_span_begin(loop, &q->parent, &q->span,
                  &(ml_span){.what = "call", .verb = ml_verb_word(q->verb)});
    ml_task_set_span(q->op, &q->span);
}

static void end_telling(ml_request *q, const ml_op *op)
{
    ml_meter *m = &q->resolver->meter;
    ml_loop *loop = q->resolver->loop;
    const char *verb = ml_verb_word(q->verb), *rule = ml_task_rule(op);
    const char *outcome = ml_outcome(q->err.code);
    m->counts.calls++;
    if (q->err.code) m->counts.failures++;
    if (ml_meter_is_on(m))
        ml_meter_note(m, ML_METRIC_CALL, (const char *const[]){verb, rule, outcome},
                      (double)(ml_loop_now_ms(loop) - q->began_ms) / 1000);
    ml_span_end(loop, &q->parent, &q->span,
                &(ml_span){.what = "call",
                           .verb = verb,
                           .rule = rule,
                           .outcome = outcome,
                           .source = q->err.source});
}

static void on_task(ml_op *op, void *arg)
{
    ml_request *q = arg;
    take_error(q, op);
    if (q->err.code == 0) {
        take_answer(q, op);
        q->answer->text = ml_dup(ml_task_text(op));
        if (!q->answer->text) ml_fail(&q->err, ML_ENOMEM, "out of memory");
    }
    if (q->changes_store) note_changed(q);
    remember(q, op);
    end_telling(q, op);
    ml_resolver_note_memory(q->resolver);
    finish(q);
}

static bool start_from_cache(ml_request *q, const ml_call *call)
{
    ml_resolver *r = q->resolver;
    ml_cache_key key = key_of(q);
    ml_cache_due due;
    ml_secret *secret = ml_cache_get(r->cache, &key, ml_loop_now_ms(r->loop), &due);
    if (!secret) {
        r->misses++;
        return false;
    }
    if (due == ML_CACHE_REFRESH) ml_refresh_ahead(r, call);
    q->op = ml_ready_new(r->loop, on_hit, q);
    if (!q->op) {
        ml_secret_unref(secret);
        return false;
    }
    q->op->secret = secret;
    ml_op_finish(q->op);
    return true;
}

static int64_t cached_ms(ml_resolver *r, const ml_call *c)
{
    if (!r->cache || c->verb != ML_EXPLAIN) return 0;
    ml_cache_key key = ml_cache_key_of(r, c);
    return ml_cache_left_ms(r->cache, &key, ml_loop_now_ms(r->loop));
}

int ml_request_start(ml_request *q, const ml_call *call, ml_err *e)
{
    ml_resolver *r = q->resolver;
    int deadline_ms = call->deadline_ms > 0 ? call->deadline_ms : r->deadline_ms;
    q->deadline_ms = ml_loop_now_ms(r->loop) + deadline_ms;
    if (q->keeps_answer && !(call->flags & ML_REFRESH) && start_from_cache(q, call))
        return 0;
    if (q->changes_store) ml_request_note_change(r);
    q->generation = r->generation;
    q->op =
        ml_task_start(r->vm, call, q->deadline_ms, cached_ms(r, call), on_task, q, e);
    if (!q->op) return e->code;
    begin_telling(q, call);
    return 0;
}

static void on_late(ml_timer *timer, void *arg)
{
    ml_request *q = arg;
    (void)timer;
    q->is_late = !q->op->is_canceled;
    ml_op_cancel(q->op);
}

void ml_request_hurry(ml_request *q, int ms)
{
    ml_loop *l = q->resolver->loop;
    int64_t at_ms = ml_loop_now_ms(l) + (ms > 0 ? ms : 0);
    if (!q->op || at_ms >= q->deadline_ms) return;
    q->deadline_ms = at_ms;
    ml_timer_stop(l, &q->late);
    ml_timer_start(l, &q->late, at_ms, on_late, q);
}
