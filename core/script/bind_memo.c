/* bind_memo.c - what a source that is written in Lua remembers: tokens, for a while. */
#include "script/bind_memo.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "script/bind_error.h"
#include "script/bytes.h"
#include "script/task.h"

enum { MAX_ENTRIES = 16, MAX_NAME = 64, MAX_TTL_S = 30 * 24 * 3600 };

static const char CLASS[] = "moonlatch.memo";
static const char GUARD[] = "moonlatch.memo_guard";

typedef struct entry {
    char name[MAX_NAME]; /* "": free */
    ml_secret *secret;
    int64_t put_ms;
    int64_t ends_ms; /* monotonic */
} entry;

typedef struct waiter waiter;

typedef struct guard guard;

typedef struct memo {
    ml_alloc *alloc; /* what the bytes count against */
    entry entries[MAX_ENTRIES];
    waiter *waiters;
    guard *guards;
} memo;

/* Somebody leads.  Its user value keeps the memo. */
struct guard {
    memo *memo; /* NULL: closed */
    char name[MAX_NAME];
    const ml_task *leader;
    guard *next;
};

/* An op that ends when somebody opens its name. */
struct waiter {
    ml_op op;
    memo *memo; /* NULL: it is gone, or no longer waited on */
    char name[MAX_NAME];
    ml_timer deadline;
    waiter *prev, *next;
};

/* ---- waiting ------------------------------------------------------------------- */

static void leave(waiter *w)
{
    if (!w->memo) return;
    if (w->prev)
        w->prev->next = w->next;
    else
        w->memo->waiters = w->next;
    if (w->next) w->next->prev = w->prev;
    w->memo = NULL;
    ml_timer_stop(w->op.loop, &w->deadline);
}

static void cancel(ml_op *op)
{
    leave((waiter *)op);
    ml_op_fail(op, ML_ECANCELED, "canceled");
}

static void destroy(ml_op *op)
{
    ml_op_fini(op);
    ml_free(op);
}

static void on_deadline(ml_timer *t, void *arg)
{
    (void)t;
    waiter *w = arg;
    leave(w);
    ml_op_fail(&w->op, ML_EUNAVAILABLE,
               "the deadline passed while another call was logging in");
}

static void open_gate(memo *m, const char *name)
{
    for (waiter *w = m->waiters; w;) {
        waiter *next = w->next;
        if (!name || strcmp(w->name, name) == 0) {
            leave(w);
            ml_op_finish(&w->op);
        }
        w = next;
    }
}

/* ---- entries ------------------------------------------------------------------- */

static memo *check_memo(lua_State *L)
{
    return luaL_checkudata(L, 1, CLASS);
}

static const char *check_name(lua_State *L)
{
    size_t n;
    const char *name = luaL_checklstring(L, 2, &n);
    luaL_argcheck(L, n > 0 && n < MAX_NAME && strlen(name) == n, 2,
                  "a name of 1 to 63 bytes");
    return name;
}

static void drop(memo *m, entry *e)
{
    if (!e->secret) return;
    ml_alloc_discharge(m->alloc, ml_secret_size(e->secret));
    ml_secret_unref(e->secret);
    *e = (entry){0};
}

static entry *find(memo *m, const char *name)
{
    for (int i = 0; i < MAX_ENTRIES; i++) {
        if (strcmp(m->entries[i].name, name) == 0) return &m->entries[i];
    }
    return NULL;
}

/* A free one, else the oldest. */
static entry *make_room(memo *m)
{
    entry *oldest = &m->entries[0];
    for (int i = 0; i < MAX_ENTRIES; i++) {
        entry *e = &m->entries[i];
        if (!e->secret) return e;
        if (e->put_ms < oldest->put_ms) oldest = e;
    }
    drop(m, oldest);
    return oldest;
}

static int memo_get(lua_State *L)
{
    memo *m = check_memo(L);
    entry *e = find(m, check_name(L));
    if (e && ml_mono_ms(ml_vm_of(L)->host->clock) >= e->ends_ms) {
        drop(m, e);
        e = NULL;
    }
    if (e)
        ml_script_push_secret(L, e->secret, ml_task_secrets(L));
    else
        lua_pushnil(L);
    return 1;
}

static int memo_put(lua_State *L)
{
    memo *m = check_memo(L);
    const char *name = check_name(L);
    ml_secret *s = ml_script_check_secret(L, 3);
    lua_Number ttl_s = luaL_checknumber(L, 4);
    entry *e = find(m, name);
    if (e) drop(m, e);
    if (!(ttl_s > 0)) return 0;
    if (ttl_s > MAX_TTL_S) ttl_s = MAX_TTL_S;
    e = make_room(m);
    ml_script_charge(L, ml_secret_size(s));
    snprintf(e->name, sizeof(e->name), "%s", name);
    e->secret = ml_secret_ref(s);
    e->put_ms = ml_mono_ms(ml_vm_of(L)->host->clock);
    e->ends_ms = e->put_ms + (int64_t)(ttl_s * 1000);
    return 0;
}

static int memo_drop(lua_State *L)
{
    memo *m = check_memo(L);
    entry *e = find(m, check_name(L));
    if (e) drop(m, e);
    return 0;
}

/* Of who leads; NULL: nobody does. */
static const guard *guard_of(const memo *m, const char *name)
{
    const guard *g = m->guards;
    while (g && strcmp(g->name, name) != 0) g = g->next;
    return g;
}

static int memo_lead(lua_State *L)
{
    memo *m = check_memo(L);
    const char *name = check_name(L);
    const ml_task *t = ml_task_self(L);
    if (guard_of(m, name)) {
        lua_pushnil(L);
        return 1;
    }
    guard *g = lua_newuserdatauv(L, sizeof(*g), 1);
    *g = (guard){.leader = t};
    snprintf(g->name, sizeof(g->name), "%s", name);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    luaL_setmetatable(L, GUARD);
    g->memo = m; /* nothing can be raised any more */
    g->next = m->guards;
    m->guards = g;
    return 1;
}

/* In C, so that no budget that ran out can keep it from being done. */
static int guard_close(lua_State *L)
{
    guard *g = luaL_checkudata(L, 1, GUARD);
    if (!g->memo) return 0;
    guard **at = &g->memo->guards;
    while (*at != g) at = &(*at)->next;
    *at = g->next;
    open_gate(g->memo, g->name);
    g->memo = NULL;
    return 0;
}

static int push_woken(lua_State *L, ml_op *op, ml_secret_handle **list)
{
    (void)list;
    if (op->err.code != 0) return ml_script_push_outcome(L, &op->err);
    lua_pushboolean(L, 1);
    return 1;
}

static int memo_wait(lua_State *L)
{
    memo *m = check_memo(L);
    const char *name = check_name(L);
    ml_task *t = ml_task_self(L); /* before there is an op that could be left behind */
    if (ml_task_is_late(L, t)) return ml_script_push_late(L);
    const guard *g = guard_of(m, name);
    if (!g) {
        lua_pushboolean(L, 1);
        return 1;
    }
    if (g->leader == t)
        return luaL_error(L,
                          "memo:once(\"%s\") waits for itself: it is asked inside of "
                          "its own function",
                          name);
    waiter *w = ml_op_alloc(sizeof(*w));
    if (!w) return ml_script_nomem(L);
    ml_op_init(&w->op, ml_vm_of(L)->host->loop, cancel, destroy);
    w->op.done = ml_task_wake;
    w->op.arg = t;
    w->memo = m;
    w->next = m->waiters;
    if (w->next) w->next->prev = w;
    m->waiters = w;
    snprintf(w->name, sizeof(w->name), "%s", name);
    ml_timer_start(w->op.loop, &w->deadline, ml_task_deadline_ms(t), on_deadline, w);
    return ml_task_await_value(L, t, push_woken, &w->op);
}

/* ---- life ---------------------------------------------------------------------- */

static int memo_close(lua_State *L)
{
    memo *m = check_memo(L);
    for (int i = 0; i < MAX_ENTRIES; i++) drop(m, &m->entries[i]);
    for (guard *g = m->guards; g; g = g->next) g->memo = NULL; /* collected with it */
    m->guards = NULL;
    open_gate(m, NULL);
    return 0;
}

int ml_script_memo(lua_State *L)
{
    memo *m = lua_newuserdatauv(L, sizeof(*m), 0);
    *m = (memo){.alloc = &ml_vm_of(L)->alloc};
    luaL_setmetatable(L, CLASS);
    return 1;
}

void ml_script_open_memo(lua_State *L)
{
    static const luaL_Reg meth[] = {{"get", memo_get},   {"put", memo_put},
                                    {"drop", memo_drop}, {"wait", memo_wait},
                                    {"lead", memo_lead}, {NULL, NULL}};
    luaL_newmetatable(L, CLASS);
    lua_pushcfunction(L, memo_close);
    lua_setfield(L, -2, "__gc");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    luaL_newlib(L, meth);
    lua_setfield(L, -2, "__index");
    luaL_newmetatable(L, GUARD);
    lua_pushcfunction(L, guard_close);
    lua_setfield(L, -2, "__close");
    lua_pushcfunction(L, guard_close);
    lua_setfield(L, -2, "__gc");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 2);
}
