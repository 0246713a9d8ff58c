/* task.c - one call: a coroutine that runs engine.run, and the op that stands for it.
 *
 *     start -> timer (now) -> resume -> yields, waiting for a child op
 *                                ^            |
 *                                +-- wake <---+  child's done
 *              resume returns -> end -> ml_op_finish -> done
 *
 * Cancel ends the child; the task ends when the child's done has come. */
#include "script/task.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "script/asking.h"
#include "script/bind_error.h"
#include "script/call.h"
#include "script/verbs.h"

struct ml_task {
    ml_op op; /* first: the task is an op */
    ml_vm *vm;
    ml_thread thread; /* the coroutine */
    ml_op *child;     /* what it waits for */
    ml_verb child_verb;
    ml_task_push *child_push; /* NULL: as child_verb says */
    unsigned rights;          /* ML_MAY_FETCH ... */
    ml_timer first;           /* brings the first resume */
    int64_t deadline_ms;
    ml_trace trace;
    size_t events_seen;
    int64_t fresh_until_ms; /* the answer: everything in it is that fresh */
    ml_asker asker;
    bool is_explain;           /* only then somebody looks at the events */
    char rule[128];            /* whose plan it walks: "policy.lua:12"; for who hears */
    ml_asking asking;          /* the source that it waits for */
    ml_alloc_refusal refusal;  /* the last one that it met */
    bool has_returned;         /* the coroutine's main function */
    ml_secret_handle *secrets; /* the handles of this call */
    char *text;
};

/* ---- what bindings ask --------------------------------------------------------- */

ml_task *ml_task_self(lua_State *L)
{
    ml_task *t = ml_vm_of(L)->running;
    ml_budget_demand(&ml_vm_of(L)->budget, L);
    if (t && t->thread.L == L && lua_isyieldable(L)) return t;
    luaL_error(L, "moonlatch: cannot wait here: not while a policy loads, nor inside "
                  "table.sort, string.gsub, tostring or require");
    return NULL;
}

int ml_task_await(lua_State *L, ml_task *t, ml_verb verb, ml_op *op)
{
    t->child = op;
    t->child_verb = verb;
    t->child_push = NULL;
    return lua_yield(L, 0);
}

int ml_task_await_value(lua_State *L, ml_task *t, ml_task_push *push, ml_op *op)
{
    t->child = op;
    t->child_push = push;
    return lua_yield(L, 0);
}

int64_t ml_task_deadline_ms(const ml_task *t)
{
    return t->deadline_ms;
}

bool ml_task_is_late(lua_State *L, const ml_task *t)
{
    return ml_mono_ms(ml_vm_of(L)->host->clock) >= t->deadline_ms;
}

ml_trace *ml_task_trace(lua_State *L)
{
    ml_task *t = ml_vm_of(L)->running;
    return t ? &t->trace : NULL;
}

ml_trace *ml_task_events(lua_State *L)
{
    ml_task *t = ml_vm_of(L)->running;
    return t && (t->is_explain || t->trace.span.span_id[0]) ? &t->trace : NULL;
}

ml_asker *ml_task_asker(lua_State *L)
{
    ml_task *t = ml_vm_of(L)->running;
    return t ? &t->asker : NULL;
}

/* ---- what is told -------------------------------------------------------------- */

void ml_task_by_rule(lua_State *L, const char *where)
{
    ml_task *t = ml_vm_of(L)->running;
    if (t && ml_asking_is_heard(t->op.loop, &t->trace))
        ml_copy_printable(t->rule, sizeof(t->rule), where, strlen(where));
}

void ml_task_asks(ml_task *t, ml_verb verb, const char *source, const char *kind)
{
    ml_asking_begin(&t->asking, t->op.loop, &t->trace, verb, source, kind);
}

void ml_task_asked_nobody(ml_task *t)
{
    ml_asking_end(&t->asking, t->op.loop, &t->trace, ML_ENOMEM);
}

static void use(ml_task *t, int64_t fresh_until_ms)
{
    if (fresh_until_ms < t->fresh_until_ms) t->fresh_until_ms = fresh_until_ms;
}

void ml_task_used(lua_State *L, int64_t fresh_until_ms)
{
    ml_task *t = ml_vm_of(L)->running;
    if (t) use(t, fresh_until_ms);
}

ml_secret_handle **ml_task_secrets(lua_State *L)
{
    ml_task *t = ml_vm_of(L)->running;
    return t ? &t->secrets : NULL;
}

unsigned *ml_task_rights(lua_State *L)
{
    ml_task *t = ml_vm_of(L)->running;
    return t ? &t->rights : NULL;
}

size_t *ml_task_events_seen(lua_State *L)
{
    ml_task *t = ml_vm_of(L)->running;
    return t ? &t->events_seen : NULL;
}

/* ---- the answer ---------------------------------------------------------------- */

static int bad_answer(ml_task *t, const char *what)
{
    return ml_fail(&t->op.err, ML_EPOLICY, "the engine's answer has %s", what);
}

static int take_secret(ml_task *t, ml_secret *s)
{
    if (ml_secrets_add(&t->op.list, ml_secret_ref(s))) return 0;
    return ml_fail(&t->op.err, ML_ENOMEM, "out of memory");
}

/* The array on top of the stack. */
static int take_secrets(ml_task *t, lua_State *L)
{
    lua_Unsigned n = lua_rawlen(L, -1);
    for (lua_Unsigned i = 1; i <= n; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i);
        ml_secret *s = ml_script_to_secret(L, -1);
        lua_pop(L, 1);
        if (!s) return bad_answer(t, "something other than secrets in its list");
        int rc = take_secret(t, s);
        if (rc) return rc;
    }
    return 0;
}

/* The string on top of the stack. */
static int take_text(ml_task *t, lua_State *L)
{
    size_t n;
    const char *text = lua_tolstring(L, -1, &n);
    t->text = ml_dup_n(text, n);
    return t->text ? 0 : ml_fail(&t->op.err, ML_ENOMEM, "out of memory");
}

/* Stack: the two results of engine.run; a get's answer is the secret itself. */
static void take_answer(ml_task *t, lua_State *L)
{
    if (lua_isnil(L, -2)) {
        ml_vm_blame(t->vm, L, LUA_ERRRUN, &t->op.err);
        return;
    }
    lua_pop(L, 1);
    ml_secret *only = ml_script_to_secret(L, -1);
    if (only) {
        take_secret(t, only);
        return;
    }
    if (!lua_istable(L, -1)) {
        bad_answer(t, "no table");
        return;
    }
    lua_pushliteral(L, "secrets");
    int type = lua_rawget(L, -2);
    if (type == LUA_TTABLE ? take_secrets(t, L) : type != LUA_TNIL) {
        if (type != LUA_TTABLE) bad_answer(t, "a list of secrets that is no list");
        return;
    }
    lua_pop(L, 1);
    lua_pushliteral(L, "text");
    type = lua_rawget(L, -2);
    if (type == LUA_TSTRING)
        take_text(t, L);
    else if (type != LUA_TNIL)
        bad_answer(t, "a text that is no string");
}

static int body_end(lua_State *L, int status, lua_KContext arg)
{
    ml_task *t = (ml_task *)arg;
    if (status == LUA_OK || status == LUA_YIELD)
        take_answer(t, L);
    else
        ml_vm_blame(t->vm, L, status, &t->op.err);
    return 0;
}

/* The main function of the coroutine: task, engine.run, policy, call.  The inner pcall
 * is there because it turns hooks on again before it closes variables: a coroutine that
 * the hook has killed would run its __close without any budget. */
static int body(lua_State *L)
{
    ml_task *t = lua_touserdata(L, 1);
    int status = lua_pcallk(L, 2, 2, 0, (lua_KContext)t, body_end);
    return body_end(L, status, (lua_KContext)t);
}

/* ---- running ------------------------------------------------------------------- */

/* A coroutine that has returned can run another function: it is kept for that. */
static bool keep_thread(ml_vm *vm, ml_thread thread)
{
    if (vm->n_idle == ML_MAX_IDLE_THREADS) return false;
    lua_settop(thread.L, 0);
    ml_budget_forget(thread.L);
    vm->idle[vm->n_idle++] = thread;
    return true;
}

/* The coroutine is over, or will never go on: pending __close run here, with a budget
 * but without being able to wait. */
static void end(ml_task *t)
{
    if (!t->has_returned || !keep_thread(t->vm, t->thread)) {
        ml_budget_close_thread(&t->vm->budget, t->thread.L);
        luaL_unref(t->vm->L, LUA_REGISTRYINDEX, t->thread.ref);
    }
    t->thread.L = NULL;
    while (t->asker.owns) ml_flight_abandon(t->asker.owns);
    ml_script_close_secrets(&t->secrets);
    if (t->op.err.code != 0) ml_secrets_fini(&t->op.list);
    ml_op_finish(&t->op);
}

static void end_canceled(ml_task *t)
{
    ml_err_clear(&t->op.err);
    ml_fail(&t->op.err, ML_ECANCELED, "the call was canceled");
    end(t);
}

/* The only lua_resume there is; its arguments are on the coroutine's stack. */
static void run(ml_task *t, int n_args)
{
    int n_results = 0;
    t->vm->running = t;
    t->vm->alloc.refusal = t->refusal;
    ml_budget_begin(&t->vm->budget, t->thread.L);
    int status = lua_resume(t->thread.L, t->vm->L, n_args, &n_results);
    t->refusal = t->vm->alloc.refusal;
    t->vm->running = NULL;
    t->has_returned = status == LUA_OK;
    if (status == LUA_YIELD && t->child) {
        if (t->op.is_canceled) ml_op_cancel(t->child);
        return;
    }
    if (status == LUA_YIELD) {
        ml_fail(&t->op.err, ML_EPOLICY, "the policy yielded; only sources may wait");
    } else if (status != LUA_OK) {
        ml_vm_blame(t->vm, t->thread.L, status, &t->op.err);
    } else {
        ml_budget_check(&t->vm->budget, &t->op.err);
    }
    if (t->op.is_canceled)
        end_canceled(t);
    else
        end(t);
}

static void on_first(ml_timer *timer, void *arg)
{
    (void)timer;
    run(arg, 4);
}

typedef struct delivery {
    ml_task *task;
    ml_op *child;
    int n_results;
} delivery;

static void push_list(lua_State *L, const ml_secrets *list, ml_secret_handle **handles)
{
    lua_createtable(L, (int)list->n, 0);
    for (size_t i = 0; i < list->n; i++) {
        ml_script_push_secret(L, list->items[i], handles);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

static void push_success(lua_State *L, const delivery *d)
{
    const ml_op *child = d->child;
    switch (d->task->child_verb) {
    case ML_LIST:
    case ML_VERSIONS:
    case ML_LIST_DELETED: push_list(L, &child->list, &d->task->secrets); return;
    default:
        if (child->secret)
            ml_script_push_secret(L, child->secret, &d->task->secrets);
        else
            lua_pushboolean(L, 1);
    }
}

/* Protected: puts what the child brought onto the coroutine's stack. */
static int deliver(lua_State *L)
{
    delivery *d = lua_touserdata(L, 1);
    if (!lua_checkstack(d->task->thread.L, 4)) return luaL_error(L, "stack overflow");
    if (d->task->child_push) {
        d->n_results = d->task->child_push(L, d->child, &d->task->secrets);
    } else if (d->child->err.code == 0) {
        push_success(L, d);
        d->n_results = 1;
    } else {
        lua_pushnil(L);
        ml_script_push_err(L, &d->child->err);
        d->n_results = 2;
    }
    lua_xmove(L, d->task->thread.L, d->n_results);
    return 0;
}

void ml_task_wake(ml_op *child, void *arg)
{
    ml_task *t = arg;
    assert(t->child == child);
    t->child = NULL;
    ml_asking_end(&t->asking, t->op.loop, &t->trace, child->err.code);
    if (child->fresh_until_ms != 0) use(t, child->fresh_until_ms);
    if (t->op.is_canceled) {
        end_canceled(t);
        return;
    }
    delivery d = {.task = t, .child = child};
    if (ml_vm_protect(t->vm, deliver, &d, &t->op.err) == 0)
        run(t, d.n_results);
    else
        end(t);
}

/* ---- life ---------------------------------------------------------------------- */

static void cancel(ml_op *op)
{
    ml_task *t = (ml_task *)op;
    if (t->child) {
        ml_op_cancel(t->child);
    } else if (t->first.is_armed) {
        ml_timer_stop(op->loop, &t->first);
        end_canceled(t);
    } /* else it runs just now, and sees is_canceled when it stops */
}

static void destroy(ml_op *op)
{
    ml_task *t = (ml_task *)op;
    assert(!t->thread.L);
    ml_op_fini(op);
    ml_trace_fini(&t->trace);
    ml_free(t->text);
    ml_free(t);
}

typedef struct birth {
    ml_task *task;
    const ml_call *call;
    int64_t cached_ms;
} birth;

/* One that ran before, or a new one; may raise. */
static ml_thread take_thread(ml_vm *vm)
{
    if (vm->n_idle > 0) return vm->idle[--vm->n_idle];
    ml_thread thread = {.L = lua_newthread(vm->L)};
    thread.ref = luaL_ref(vm->L, LUA_REGISTRYINDEX);
    return thread;
}

/* Protected: the coroutine, with what its first resume needs. */
static int make_coroutine(lua_State *L)
{
    birth *b = lua_touserdata(L, 1);
    ml_task *t = b->task;
    t->thread = take_thread(t->vm);
    lua_pushcfunction(L, body);
    lua_pushlightuserdata(L, t);
    lua_rawgeti(L, LUA_REGISTRYINDEX, t->vm->run_ref);
    lua_rawgeti(L, LUA_REGISTRYINDEX, t->vm->policy_ref);
    ml_script_push_call(L, b->call, b->cached_ms, &t->secrets);
    if (!lua_checkstack(t->thread.L, 5)) return luaL_error(L, "stack overflow");
    lua_xmove(L, t->thread.L, 5);
    return 0;
}

ml_op *ml_task_start(ml_vm *vm, const ml_call *call, int64_t deadline_ms,
                     int64_t cached_ms, ml_op_done *done, void *arg, ml_err *e)
{
    if (vm->policy_ref == LUA_NOREF) {
        ml_fail(e, ML_EPOLICY, "no policy is loaded");
        return NULL;
    }
    ml_task *t = ml_op_alloc(sizeof(*t));
    if (!t) {
        ml_fail(e, ML_ENOMEM, "out of memory");
        return NULL;
    }
    t->vm = vm;
    t->deadline_ms = t->asker.deadline_ms = deadline_ms;
    t->fresh_until_ms = INT64_MAX;
    t->is_explain = call->verb == ML_EXPLAIN;
    if (ml_vm_protect(vm, make_coroutine, &(birth){t, call, cached_ms}, e) != 0) {
        ml_script_close_secrets(&t->secrets);
        if (t->thread.L) luaL_unref(vm->L, LUA_REGISTRYINDEX, t->thread.ref);
        ml_free(t);
        return NULL;
    }
    ml_op_init(&t->op, vm->host->loop, cancel, destroy);
    t->op.done = done;
    t->op.arg = arg;
    ml_trace_init(&t->trace, vm->host->clock);
    ml_timer_start(t->op.loop, &t->first, ml_mono_ms(vm->host->clock), on_first, t);
    return &t->op;
}

void ml_task_set_span(ml_op *op, const ml_span_at *span)
{
    ml_task *t = (ml_task *)op;
    t->trace.span = *span;
    t->trace.keeps_nothing = !t->is_explain;
}

const char *ml_task_rule(const ml_op *op)
{
    return ((const ml_task *)op)->rule;
}

int64_t ml_task_fresh_until_ms(const ml_op *op)
{
    return ((const ml_task *)op)->fresh_until_ms;
}

const char *ml_task_text(const ml_op *op)
{
    const ml_task *t = (const ml_task *)op;
    return t->text ? t->text : "";
}
