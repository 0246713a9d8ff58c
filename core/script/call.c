/* call.c - ml_call as the table that engine.run gets. */
#include "script/call.h"

#include <lauxlib.h>

#include "script/verbs.h"

static void set_text(lua_State *L, const char *name, const char *value)
{
    if (!value) return;
    lua_pushstring(L, value);
    lua_setfield(L, -2, name);
}

static void set_flag(lua_State *L, const char *name, bool value)
{
    lua_pushboolean(L, value);
    lua_setfield(L, -2, name);
}

/* What is not set counts as false. */
static void set_if(lua_State *L, const char *name, bool value)
{
    if (value) set_flag(L, name, value);
}

static void set_seconds(lua_State *L, const char *name, int64_t value_s)
{
    if (value_s == 0) return;
    lua_pushinteger(L, value_s);
    lua_setfield(L, -2, name);
}

static void set_pairs(lua_State *L, const char *name, const ml_pair *pairs, size_t n)
{
    lua_createtable(L, 0, (int)n);
    for (size_t i = 0; i < n; i++) {
        if (pairs[i].name) set_text(L, pairs[i].name, pairs[i].value);
    }
    lua_setfield(L, -2, name);
}

/* What the caller wrote for the policy's author is no secret. */
static bool is_plain(ml_verb verb)
{
    return verb == ML_CHECK || verb == ML_TEST;
}

static bool has_value(const ml_call *call)
{
    return call->value || call->verb == ML_PUT || call->verb == ML_RESTORE;
}

void ml_script_push_call(lua_State *L, const ml_call *call, int64_t cached_ms,
                         ml_secret_handle **list)
{
    luaL_checkstack(L, 6, NULL);
    lua_createtable(L, 0, 4); /* as many as a plain get comes to have */
    set_text(L, "verb", ml_verb_word(call->verb));
    set_text(L, "name", call->name);
    if (call->n_context) set_pairs(L, "context", call->context, call->n_context);
    set_text(L, "version", call->version);
    set_text(L, "content_type", call->content_type);
    if (call->tags) set_pairs(L, "tags", call->tags, call->n_tags);
    if (call->enabled != 0) set_flag(L, "enabled", call->enabled > 0);
    set_seconds(L, "not_before_s", call->not_before_s);
    set_seconds(L, "expires_s", call->expires_s);
    if (cached_ms > 0) {
        lua_pushinteger(L, cached_ms);
        lua_setfield(L, -2, "cached_ms");
    }
    if (call->flags & ML_REFRESH_EARLY)
        set_text(L, "refresh", "early");
    else
        set_if(L, "refresh", (call->flags & ML_REFRESH) != 0);
    set_if(L, "plan_only", (call->flags & ML_PLAN_ONLY) != 0);
    set_if(L, "json", (call->flags & ML_AS_JSON) != 0);
    set_if(L, "replace_metadata", (call->flags & ML_REPLACE_METADATA) != 0);
    if (!has_value(call)) return;
    ml_str value = {call->value ? call->value : "", call->value ? call->value_len : 0};
    if (is_plain(call->verb))
        lua_pushlstring(L, value.p, value.n);
    else
        ml_script_push_bytes(L, value, list);
    lua_setfield(L, -2, "value");
}
