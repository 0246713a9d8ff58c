/* options.c - reading the fields of an option table, strictly. */
#include "script/options.h"

#include <lauxlib.h>
#include <string.h>

#include "script/bind_error.h"
#include "script/bind_secret.h"

/* Pushes the field; false and nothing when it is nil. */
static bool get(lua_State *L, int table, const char *name)
{
    table = lua_absindex(L, table);
    luaL_checkstack(L, 3, NULL);
    lua_pushstring(L, name);
    if (lua_rawget(L, table) != LUA_TNIL) return true;
    lua_pop(L, 1);
    return false;
}

static bool get_type(lua_State *L, int table, const char *name, int type)
{
    if (!get(L, table, name)) return false;
    if (lua_type(L, -1) == type) return true;
    return ml_script_raisef(L, ML_EUSAGE, "%s must be a %s, not a %s", name,
                            lua_typename(L, type), luaL_typename(L, -1));
}

ml_str ml_script_opt_str(lua_State *L, int table, const char *name)
{
    ml_str s = {0};
    if (!get_type(L, table, name, LUA_TSTRING)) return s;
    s.p = lua_tolstring(L, -1, &s.n);
    lua_pop(L, 1); /* the table still holds it */
    return s;
}

const char *ml_script_opt_text(lua_State *L, int table, const char *name)
{
    ml_str s = ml_script_opt_str(L, table, name);
    if (s.p && strlen(s.p) != s.n) {
        ml_script_raisef(L, ML_EUSAGE, "%s must not contain a NUL byte", name);
    }
    return s.p;
}

int ml_script_opt_flag(lua_State *L, int table, const char *name)
{
    if (!get_type(L, table, name, LUA_TBOOLEAN)) return 0;
    int flag = lua_toboolean(L, -1) ? 1 : -1;
    lua_pop(L, 1);
    return flag;
}

int64_t ml_script_opt_int(lua_State *L, int table, const char *name)
{
    if (!get_type(L, table, name, LUA_TNUMBER)) return 0;
    int is_int;
    lua_Integer n = lua_tointegerx(L, -1, &is_int);
    lua_pop(L, 1);
    if (!is_int) ml_script_raisef(L, ML_EUSAGE, "%s must be a whole number", name);
    return n;
}

ml_secret *ml_script_opt_secret(lua_State *L, int table, const char *name)
{
    if (!get(L, table, name)) return NULL;
    ml_secret *s = ml_script_to_secret(L, -1);
    if (!s) ml_script_raisef(L, ML_EUSAGE, "%s must be a secret", name);
    lua_pop(L, 1);
    return s;
}

bool ml_script_opt_table(lua_State *L, int table, const char *name)
{
    return get_type(L, table, name, LUA_TTABLE);
}

void ml_script_check_names(lua_State *L, int table, const char *what,
                           const char *const *names)
{
    table = lua_absindex(L, table);
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
        const char *const *known = names;
        while (*known && strcmp(*known, name) != 0) known++;
        if (!*known) luaL_error(L, "%s has no option '%s'", what, name);
    }
}

int64_t ml_script_opt_bounded(lua_State *L, int table, const char *name, int64_t least,
                              int64_t most, int64_t fallback)
{
    if (!get(L, table, name)) return fallback;
    lua_pop(L, 1);
    int64_t n = ml_script_opt_int(L, table, name);
    if (n < least || n > most) {
        luaL_error(L, "%s must be between %d and %d", name, (int)least, (int)most);
    }
    return n;
}
