/* bind_kept.c - the cache for sources that are written in Lua: moonlatch.kept drives
 * it.
 *
 *   shelf:look(key, version, args)   what is kept, without waiting:
 *       "found", secret              it answers
 *       "failed", fault              so it was, and is not asked again yet
 *       "flight"                     somebody asks just now: shelf:wait
 *       "free", flight               nobody does: the caller must, and then end the
 * flight shelf:wait(key, version, args)   -> secret | nil, fault | true: look again;
 * waits shelf:stale(key, version, max_age_ms)   -> secret, age_ms | nil shelf:kept(key,
 * version, keep)   -> state, ms; see keep.h shelf:forget([key])              one key,
 * or all of this source flight:finish(secret | nil, fault)      tells those who wait;
 * keeps it a flight that is closed (or whose call ends) without it is abandoned: one of
 * those who wait begins another */
#include "script/bind_kept.h"

#include <lauxlib.h>
#include <stdio.h>

#include "base/clock.h"
#include "script/bind_error.h"
#include "script/keep.h"
#include "script/options.h"
#include "script/task.h"

static const char SHELF[] = "moonlatch.shelf";
static const char FLIGHT[] = "moonlatch.flight";

typedef struct shelf {
    ml_kept *cache;
    uint32_t source;
    bool ignores_case;
    char alias[64];
} shelf;

typedef struct flight_handle {
    ml_flight *flight; /* NULL: it has ended */
} flight_handle;

int ml_script_kept(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    ml_kept *c = ml_vm_of(L)->host->kept;
    if (!c) return 0;
    const char *alias = ml_script_opt_text(L, 1, "alias");
    bool ignores_case = ml_script_opt_flag(L, 1, "ignores_case") > 0;
    shelf *s = lua_newuserdatauv(L, sizeof(*s), 0);
    *s = (shelf){c, ml_kept_new_source(c), ignores_case, ""};
    snprintf(s->alias, sizeof(s->alias), "%s", alias ? alias : "");
    luaL_setmetatable(L, SHELF);
    return 1;
}

static shelf *check_shelf(lua_State *L)
{
    return luaL_checkudata(L, 1, SHELF);
}

/* Arguments 2 and 3. */
static ml_kept_key check_key(lua_State *L, const shelf *s)
{
    ml_kept_key k = {.source = s->source, .ignores_case = s->ignores_case};
    k.key.p = luaL_checklstring(L, 2, &k.key.n);
    k.version.p = luaL_optlstring(L, 3, "", &k.version.n);
    return k;
}

/* ---- looking, and answering for it ---------------------------------------------- */

/* On the stack: "found" and h.  secret NULL: *e. */
static int push_look(lua_State *L, ml_secret_handle *h, ml_secret *secret,
                     const ml_err *e)
{
    if (secret) {
        ml_script_open_handle(h, secret, ml_task_secrets(L));
        return 2;
    }
    lua_pushliteral(L, "failed");
    ml_script_push_err(L, e);
    return 2;
}

static int begin(lua_State *L, const shelf *s, const ml_kept_key *k,
                 const ml_keep_call *how)
{
    ml_err e = {0};
    lua_pushliteral(L, "free");
    flight_handle *h = lua_newuserdatauv(L, sizeof(*h), 0);
    *h = (flight_handle){NULL};
    luaL_setmetatable(L, FLIGHT);
    if (ml_flight_begin(s->cache, ml_vm_of(L)->host->loop, k, s->alias, how, &h->flight,
                        &e) < 0) {
        return ml_script_raise(L, &e);
    }
    return 2;
}

static int shelf_look(lua_State *L)
{
    const shelf *s = check_shelf(L);
    ml_kept_key k = check_key(L, s);
    ml_task_self(L); /* only a call may answer for a flight */
    ml_keep_call how = ml_script_keep_call(L, 4, s->cache, k.version.n > 0);
    int64_t now_ms = ml_mono_ms(ml_vm_of(L)->host->clock), fresh_until_ms = 0;
    ml_secret *secret = NULL;
    ml_err e = {0};
    lua_pushliteral(L, "found");
    ml_secret_handle *h = ml_script_push_handle(L); /* while nothing could be lost */
    if (ml_flight_look(s->cache, &k, &how, now_ms, &secret, &e, &fresh_until_ms)) {
        ml_task_used(L, fresh_until_ms);
        return push_look(L, h, secret, &e);
    }
    if (how.freshness == ML_FRESH_ANEW ||
        !ml_flight_is_under_way(s->cache, &k, &how, now_ms))
        return begin(L, s, &k, &how);
    lua_pushliteral(L, "flight");
    return 1;
}

static int shelf_wait(lua_State *L)
{
    const shelf *s = check_shelf(L);
    ml_kept_key k = check_key(L, s);
    ml_task *t = ml_task_self(L);
    ml_keep_call how = ml_script_keep_call(L, 4, s->cache, k.version.n > 0);
    ml_err e = {0};
    ml_op *op =
        ml_flight_wait(s->cache, &k, &how, ml_task_deadline_ms(t), ml_task_wake, t, &e);
    if (op) return ml_task_await(L, t, ML_GET, op);
    lua_pushnil(L);
    ml_script_push_err(L, &e);
    return 2;
}

/* ---- the rest of a shelf --------------------------------------------------------- */

static int shelf_stale(lua_State *L)
{
    const shelf *s = check_shelf(L);
    ml_kept_key k = check_key(L, s);
    return ml_script_push_stale(L, s->cache, &k, 4);
}

static int shelf_kept(lua_State *L)
{
    const shelf *s = check_shelf(L);
    ml_kept_key k = check_key(L, s);
    return ml_script_push_kept(L, s->cache, &k, 4);
}

static int shelf_forget(lua_State *L)
{
    const shelf *s = check_shelf(L);
    if (lua_isnoneornil(L, 2)) {
        ml_kept_forget_source(s->cache, s->source);
    } else {
        ml_kept_key k = check_key(L, s);
        ml_kept_forget_key(s->cache, &k);
    }
    return 0;
}

static int shelf_gc(lua_State *L)
{
    const shelf *s = check_shelf(L);
    ml_kept_forget_source(s->cache, s->source);
    return 0;
}

/* ---- flights ----------------------------------------------------------------------
 */

static int flight_finish(lua_State *L)
{
    flight_handle *h = luaL_checkudata(L, 1, FLIGHT);
    ml_secret *secret = lua_isnoneornil(L, 2) ? NULL : ml_script_check_secret(L, 2);
    ml_err e = {0};
    if (!secret) ml_script_take_err(L, 3, &e);
    luaL_argcheck(L, h->flight, 1, "the flight has ended");
    ml_task_used(L, ml_flight_end(h->flight, secret, &e));
    return 0;
}

static int flight_close(lua_State *L)
{
    flight_handle *h = luaL_checkudata(L, 1, FLIGHT);
    if (h->flight) ml_flight_abandon(h->flight);
    return 0;
}

static void open_class(lua_State *L, const char *name, const luaL_Reg *meta,
                       const luaL_Reg *methods)
{
    luaL_newmetatable(L, name);
    luaL_setfuncs(L, meta, 0);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_createtable(L, 0, 5);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}

void ml_script_open_kept(lua_State *L)
{
    static const luaL_Reg shelf_meta[] = {{"__gc", shelf_gc}, {NULL, NULL}};
    static const luaL_Reg shelf_methods[] = {
        {"look", shelf_look}, {"wait", shelf_wait},     {"stale", shelf_stale},
        {"kept", shelf_kept}, {"forget", shelf_forget}, {NULL, NULL}};
    static const luaL_Reg flight_meta[] = {
        {"__gc", flight_close}, {"__close", flight_close}, {NULL, NULL}};
    static const luaL_Reg flight_methods[] = {{"finish", flight_finish}, {NULL, NULL}};
    open_class(L, SHELF, shelf_meta, shelf_methods);
    open_class(L, FLIGHT, flight_meta, flight_methods);
}
