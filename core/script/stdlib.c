/* stdlib.c - what of Lua's standard library the VM has.
 *
 * Left out or replaced, because a policy could hang the host with them:
 *
 * - coroutine: it would swallow the waits of the engine; and Lua closes the variables
 *   of a coroutine that the hook has killed with hooks turned off.
 * - xpcall calls its handler inside the hook, where hooks are off: here the handler
 *   runs after the stack is unwound.
 * - setmetatable: no __gc, because finalizers run with hooks off.
 * - load: text only, from a string; byte code is not checked by Lua.
 * - table.insert, remove, move loop in C without end (__len, borders): bounded here.
 * - collectgarbage, dofile, loadfile, print, warn, string.dump, math.random[seed].
 *
 * Still possible: a pattern that string.find needs ages for; sandbox.lua bounds it. */
#include "script/stdlib.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>
#include <string.h>

#include "base/str.h"
#include "script/state.h"

enum { LONGEST_TABLE = 1000 * 1000 };

static int set_metatable(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argexpected(L, lua_isnil(L, 2) || lua_istable(L, 2), 2, "nil or table");
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL) {
        return luaL_error(L, "cannot change a protected metatable");
    }
    lua_settop(L, 2);
    if (lua_istable(L, 2)) {
        lua_pushliteral(L, "__gc");
        if (lua_rawget(L, 2) != LUA_TNIL) return luaL_error(L, "__gc is not available");
        lua_settop(L, 2);
    }
    lua_setmetatable(L, 1);
    return 1;
}

enum { PIECE = 1024 };

/* Lua's parser is at worst quadratic (labels, jumps): it gets the text piece by piece,
 * and the budget looks on. */
static const char *read_piece(lua_State *L, void *arg, size_t *size)
{
    ml_str *rest = arg;
    const char *piece = rest->p;
    *size = rest->n < PIECE ? rest->n : PIECE;
    rest->p += *size;
    rest->n -= *size;
    ml_budget_spend(&ml_vm_of(L)->budget, L, (int64_t)*size);
    return piece;
}

/* load(text [, chunkname [, "t" [, env]]]) -> function | nil, message */
static int load_text(lua_State *L)
{
    ml_str text;
    luaL_checktype(L, 1, LUA_TSTRING);
    text.p = lua_tolstring(L, 1, &text.n);
    const char *chunkname = luaL_optstring(L, 2, "=(load)");
    if (strcmp(luaL_optstring(L, 3, "t"), "t") != 0) {
        return luaL_argerror(L, 3, "only text can be loaded: \"t\"");
    }
    bool has_env = !lua_isnone(L, 4);
    if (lua_load(L, read_piece, &text, chunkname, "t") != LUA_OK) {
        ml_budget_blame_text(&ml_vm_of(L)->budget, chunkname);
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    if (has_env) {
        lua_pushvalue(L, 4);
        if (!lua_setupvalue(L, -2, 1)) lua_pop(L, 1);
    }
    return 1;
}

static int after_handler(lua_State *L, int status, lua_KContext base)
{
    (void)status;
    return lua_gettop(L) - (int)base;
}

/* Stack: handler, true, then the results or the error. */
static int after_xpcall(lua_State *L, int status, lua_KContext base)
{
    if (status == LUA_OK || status == LUA_YIELD) return lua_gettop(L) - (int)base;
    lua_pushboolean(L, 0);
    lua_replace(L, 2);
    lua_settop(L, 3);
    lua_pushvalue(L, 1);
    lua_insert(L, 3);
    lua_callk(L, 1, LUA_MULTRET, 1, after_handler);
    return after_handler(L, LUA_OK, 1);
}

static int xpcall_unwound(lua_State *L)
{
    luaL_checktype(L, 2, LUA_TFUNCTION);
    int n_args = lua_gettop(L) - 2;
    lua_pushboolean(L, 1);
    lua_insert(L, 3); /* f, handler, true, args */
    lua_pushvalue(L, 1);
    lua_insert(L, 4); /* f, handler, true, f, args */
    lua_remove(L, 1);
    return after_xpcall(L, lua_pcallk(L, n_args, LUA_MULTRET, 0, 1, after_xpcall), 1);
}

/* Borders, not __len: a table cannot lie about them beyond what it holds by much. */
static lua_Integer length_of(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_Unsigned n = lua_rawlen(L, 1);
    if (n > LONGEST_TABLE) luaL_error(L, "the table is too long");
    return (lua_Integer)n;
}

static int table_insert(lua_State *L)
{
    lua_Integer at = length_of(L) + 1;
    int top = lua_gettop(L);
    if (top != 2 && top != 3)
        return luaL_error(L, "wrong number of arguments to 'insert'");
    if (top == 3) {
        lua_Integer pos = luaL_checkinteger(L, 2);
        luaL_argcheck(L, pos >= 1 && pos <= at, 2, "position out of bounds");
        for (; at > pos; at--) {
            lua_geti(L, 1, at - 1);
            lua_seti(L, 1, at);
        }
    }
    lua_seti(L, 1, at);
    return 0;
}

static int table_remove(lua_State *L)
{
    lua_Integer n = length_of(L);
    lua_Integer pos = luaL_optinteger(L, 2, n);
    if (lua_gettop(L) > 1) {
        luaL_argcheck(L, pos == n || (pos >= 1 && pos <= n + 1), 2,
                      "position out of bounds");
    }
    lua_geti(L, 1, pos);
    for (; pos < n; pos++) {
        lua_geti(L, 1, pos + 1);
        lua_seti(L, 1, pos);
    }
    lua_pushnil(L);
    lua_seti(L, 1, pos);
    return 1;
}

static int table_move(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_Integer from = luaL_checkinteger(L, 2);
    lua_Integer end = luaL_checkinteger(L, 3);
    lua_Integer to = luaL_checkinteger(L, 4);
    int target = lua_isnoneornil(L, 5) ? 1 : 5;
    luaL_checktype(L, target, LUA_TTABLE);
    lua_Unsigned n = end < from ? 0 : (lua_Unsigned)end - (lua_Unsigned)from + 1;
    if (end >= from && (n == 0 || n > LONGEST_TABLE)) {
        return luaL_argerror(L, 3, "too many elements to move");
    }
    luaL_argcheck(L, n == 0 || to <= LUA_MAXINTEGER - (lua_Integer)n + 1, 4,
                  "destination wrap around");
    bool is_upwards = target == 1 && to > from && to <= end; /* they overlap */
    for (lua_Integer i = 0; i < (lua_Integer)n; i++) {
        lua_Integer k = is_upwards ? (lua_Integer)n - 1 - i : i;
        lua_geti(L, 1, from + k);
        lua_seti(L, target, to + k);
    }
    lua_pushvalue(L, target);
    return 1;
}

static void drop(lua_State *L, const char *const *names)
{
    for (; *names; names++) {
        lua_pushnil(L);
        lua_setfield(L, -2, *names);
    }
}

static void open_libs(lua_State *L)
{
    static const luaL_Reg libs[] = {
        {LUA_GNAME, luaopen_base},       {LUA_STRLIBNAME, luaopen_string},
        {LUA_TABLIBNAME, luaopen_table}, {LUA_MATHLIBNAME, luaopen_math},
        {LUA_UTF8LIBNAME, luaopen_utf8}, {NULL, NULL}};
    for (const luaL_Reg *lib = libs; lib->func; lib++) {
        luaL_requiref(L, lib->name, lib->func, 1);
        lua_pop(L, 1);
    }
}

static void trim(lua_State *L, const char *lib, const char *const *without,
                 const luaL_Reg *instead)
{
    lua_getglobal(L, lib);
    drop(L, without);
    luaL_setfuncs(L, instead, 0);
    lua_pop(L, 1);
}

void ml_script_open_stdlib(lua_State *L)
{
    static const luaL_Reg none[] = {{NULL, NULL}};
    static const luaL_Reg base[] = {{"setmetatable", set_metatable},
                                    {"load", load_text},
                                    {"xpcall", xpcall_unwound},
                                    {NULL, NULL}};
    static const luaL_Reg tables[] = {{"insert", table_insert},
                                      {"remove", table_remove},
                                      {"move", table_move},
                                      {NULL, NULL}};
    open_libs(L);
    trim(L, LUA_GNAME,
         (const char *const[]){"collectgarbage", "dofile", "loadfile", "print", "warn",
                               NULL},
         base);
    trim(L, LUA_STRLIBNAME, (const char *const[]){"dump", NULL}, none);
    trim(L, LUA_MATHLIBNAME, (const char *const[]){"random", "randomseed", NULL}, none);
    trim(L, LUA_TABLIBNAME, (const char *const[]){NULL}, tables);
    lua_pushliteral(L, "");
    lua_getmetatable(L, -1); /* ("").x is string.x: out of reach for changes */
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 2);
}
