/* searchers.c - require in this program: built-in modules, and nothing from disk.
 *
 * package.path would start with "./": a file in the current directory would run with
 * the user's secrets at hand. */
#include <lauxlib.h>

#include "cli/cli.h"
#include "script/embedded.h"

/* lua/commands and lua-argparse; generated. */
const ml_embedded *ml_cli_embedded_find(const char *name);

static int search_embedded(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    const ml_embedded *m = ml_cli_embedded_find(name);
    if (!m) m = ml_embedded_find(name);
    if (!m) {
        lua_pushfstring(L, "no built-in module '%s'", name);
        return 1;
    }
    if (ml_embedded_load(L, m) != LUA_OK) return lua_error(L);
    lua_pushstring(L, name);
    return 2;
}

void ml_cli_close_searchers(lua_State *L)
{
    lua_getglobal(L, "package");
    lua_pushliteral(L, "");
    lua_setfield(L, -2, "path");
    lua_pushliteral(L, "");
    lua_setfield(L, -2, "cpath");
    lua_getfield(L, -1, "searchers"); /* 1 is package.preload: it stays */
    lua_pushcfunction(L, search_embedded);
    lua_rawseti(L, -2, 2);
    for (lua_Integer i = (lua_Integer)lua_rawlen(L, -1); i > 2; i--) {
        lua_pushnil(L);
        lua_rawseti(L, -2, i);
    }
    lua_pop(L, 2);
}
