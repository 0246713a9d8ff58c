/* secrets.c - secret handles: bytes only when asked for by name. */
#include <lauxlib.h>

#include "module/module.h"

static ml_secret *check_secret(lua_State *L)
{
    ml_secret **box = luaL_checkudata(L, 1, ML_LUA_SECRET);
    luaL_argcheck(L, *box, 1, "the secret was closed");
    return *box;
}

void ml_lua_push_secret(lua_State *L, ml_secret *s)
{
    ml_secret **box = lua_newuserdatauv(L, sizeof(*box), 0);
    *box = NULL;
    luaL_setmetatable(L, ML_LUA_SECRET);
    *box = ml_secret_ref(s);
}

static int secret_bytes(lua_State *L)
{
    size_t len = 0;
    const void *p = ml_secret_data(check_secret(L), &len);
    if (!p) return lua_pushnil(L), 1;
    lua_pushlstring(L, p, len);
    return 1;
}

#define TEXT_METHOD(what)                                                              \
    static int secret_##what(lua_State *L)                                             \
    {                                                                                  \
        lua_pushstring(L, ml_secret_##what(check_secret(L)));                          \
        return 1;                                                                      \
    }
TEXT_METHOD(name)
TEXT_METHOD(source)
TEXT_METHOD(key)
TEXT_METHOD(version)
TEXT_METHOD(content_type)
TEXT_METHOD(recovery_id)
#undef TEXT_METHOD

static int secret_tags(lua_State *L)
{
    ml_secret *s = check_secret(L);
    lua_newtable(L);
    for (size_t i = 0; i < ml_secret_tag_count(s); i++) {
        ml_pair tag = ml_secret_tag_at(s, i);
        lua_pushstring(L, tag.value);
        lua_setfield(L, -2, tag.name);
    }
    return 1;
}

static void set_time(lua_State *L, const char *name, int64_t value)
{
    if (!value) return; /* unknown */
    lua_pushinteger(L, value);
    lua_setfield(L, -2, name);
}

static int secret_attributes(lua_State *L)
{
    ml_attributes a = ml_secret_attributes(check_secret(L));
    lua_newtable(L);
    lua_pushboolean(L, a.enabled);
    lua_setfield(L, -2, "enabled");
    lua_pushboolean(L, a.managed);
    lua_setfield(L, -2, "managed");
    set_time(L, "created_s", a.created_s);
    set_time(L, "updated_s", a.updated_s);
    set_time(L, "not_before_s", a.not_before_s);
    set_time(L, "expires_s", a.expires_s);
    set_time(L, "deleted_s", a.deleted_s);
    set_time(L, "scheduled_purge_s", a.scheduled_purge_s);
    set_time(L, "recoverable_days", a.recoverable_days);
    return 1;
}

static int secret_tostring(lua_State *L)
{
    lua_pushliteral(L, "secret (hidden)");
    return 1;
}

static int secret_gc(lua_State *L)
{
    ml_secret **box = luaL_checkudata(L, 1, ML_LUA_SECRET);
    ml_secret_unref(*box);
    *box = NULL;
    return 0;
}

static const luaL_Reg methods[] = {
    {"bytes", secret_bytes},
    {"name", secret_name},
    {"source", secret_source},
    {"key", secret_key},
    {"version", secret_version},
    {"content_type", secret_content_type},
    {"recovery_id", secret_recovery_id},
    {"tags", secret_tags},
    {"attributes", secret_attributes},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", secret_gc},
    {"__close", secret_gc},
    {"__tostring", secret_tostring},
    {NULL, NULL},
};

void ml_lua_secrets_register(lua_State *L)
{
    luaL_newmetatable(L, ML_LUA_SECRET);
    luaL_setfuncs(L, metamethods, 0);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}
