/* keep.c - what Lua says about keeping: fields of a source call's arguments. */
#include "script/keep.h"

#include <lauxlib.h>
#include <string.h>

#include "base/clock.h"
#include "script/options.h"
#include "script/task.h"

static void read_ms(lua_State *L, int table, const char *name, int64_t *ms)
{
    if (lua_getfield(L, table, name) == LUA_TNUMBER) *ms = lua_tointeger(L, -1);
    lua_pop(L, 1);
}

ml_keep ml_script_keep(lua_State *L, int index, const ml_kept *c, bool is_pinned)
{
    ml_keep keep = ml_kept_default(c, is_pinned);
    if (!lua_istable(L, index)) return keep;
    index = lua_absindex(L, index);
    luaL_checkstack(L, 2, NULL);
    read_ms(L, index, "ttl_ms", &keep.ttl_ms);
    read_ms(L, index, "negative_ttl_ms", &keep.negative_ttl_ms);
    read_ms(L, index, "stale_ttl_ms", &keep.stale_ttl_ms);
    keep.stale_throttled = ml_script_opt_flag(L, index, "stale_throttled") > 0;
    keep.stale_unavailable = ml_script_opt_flag(L, index, "stale_unavailable") > 0;
    return keep;
}

static ml_freshness freshness_of(lua_State *L, int args)
{
    ml_freshness f = ML_FRESH_ENOUGH;
    int type = lua_getfield(L, args, "refresh");
    if (type == LUA_TSTRING)
        f = ML_FRESH_EARLY;
    else if (lua_toboolean(L, -1))
        f = ML_FRESH_ANEW;
    lua_pop(L, 1);
    return f;
}

ml_keep_call ml_script_keep_call(lua_State *L, int args, const ml_kept *c,
                                 bool is_pinned)
{
    ml_keep_call how = {.asker = ml_task_asker(L)};
    if (!c || !lua_istable(L, args)) return how;
    luaL_checkstack(L, 3, NULL);
    lua_getfield(L, args, "keep");
    how.keep = ml_script_keep(L, -1, c, is_pinned);
    lua_pop(L, 1);
    how.freshness = freshness_of(L, args);
    how.name = ml_script_opt_str(L, args, "name");
    return how;
}

static int64_t now_ms(lua_State *L)
{
    return ml_mono_ms(ml_vm_of(L)->host->clock);
}

int ml_script_push_stale(lua_State *L, ml_kept *c, const ml_kept_key *k, int first)
{
    int64_t age_ms = 0, now = now_ms(L);
    ml_keep keep = ml_script_keep(L, first, c, k->version.n > 0);
    int64_t max_age_ms = keep.stale_ttl_ms;
    if (lua_isinteger(L, first)) max_age_ms = lua_tointeger(L, first);
    ml_secret_handle *h = ml_script_push_handle(L); /* while nothing could be lost */
    const ml_entry *en = ml_kept_peek(c, k);
    ml_secret *secret = ml_kept_stale(en, max_age_ms, now, &age_ms);
    if (!secret) return 0;
    int64_t rests_ms = en->rests_until_ms - now, left_ms = max_age_ms - age_ms;
    if (left_ms > rests_ms) left_ms = rests_ms;
    ml_task_used(L, left_ms > 0 ? now + left_ms : 1);
    ml_script_open_handle(h, secret, ml_task_secrets(L));
    lua_pushinteger(L, age_ms);
    return 2;
}

int ml_script_push_kept(lua_State *L, ml_kept *c, const ml_kept_key *k, int first)
{
    static const char *const words[] = {
        [ML_KEPT_EMPTY] = "empty",    [ML_KEPT_FLIGHT] = "flight",
        [ML_KEPT_FRESH] = "fresh",    [ML_KEPT_LATE] = "fresh",
        [ML_KEPT_STALE] = "stale",    [ML_KEPT_NEGATIVE] = "negative",
        [ML_KEPT_RESTING] = "resting"};
    ml_keep keep = ml_script_keep(L, first, c, k->version.n > 0);
    int64_t ms;
    ml_kept_state state =
        ml_kept_state_of(c, ml_kept_peek(c, k), &keep, now_ms(L), &ms);
    lua_pushstring(L, words[state]);
    lua_pushinteger(L, ms);
    return 2;
}
