/* env_file.c - `moonlatch.system`.dotenv: the grammar of --env-file, which is that of
 * dotenv sources. */
#include <lauxlib.h>

#include "cli/cli.h"
#include "source/dotenv.h"

static int close_reader(lua_State *L)
{
    ml_dotenv_fini(lua_touserdata(L, 1));
    return 0;
}

/* Anchored: whatever is raised, its value is scrubbed. */
static ml_dotenv *push_reader(lua_State *L)
{
    ml_dotenv *d = lua_newuserdatauv(L, sizeof(*d), 0);
    ml_dotenv_init(d, (ml_str){0});
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, close_reader);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    return d;
}

static void push_line(lua_State *L, const ml_dotenv *d)
{
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, d->line);
    lua_setfield(L, -2, "line");
    if (d->name.n) lua_pushlstring(L, d->name.p, d->name.n);
    if (d->name.n) lua_setfield(L, -2, "name");
    if (d->reason)
        lua_pushstring(L, d->reason);
    else
        lua_pushlstring(L, ml_buf_str(&d->value).p, d->value.len);
    lua_setfield(L, -2, d->reason ? "reason" : "value");
}

/* dotenv(text) -> array of {line=, name=, value=} and {line=, name= or nil, reason=};
 * or nil and the line of a NUL byte */
int ml_cli_dotenv(lua_State *L)
{
    ml_str text;
    text.p = luaL_checklstring(L, 1, &text.n);
    ml_dotenv *d = push_reader(L);
    lua_Integer nul_line = ml_dotenv_init(d, text), n = 0;
    if (nul_line) {
        lua_pushnil(L);
        lua_pushinteger(L, nul_line);
        return 2;
    }
    lua_newtable(L);
    while (ml_dotenv_next(d)) {
        push_line(L, d);
        lua_rawseti(L, -2, ++n);
    }
    if (!ml_dotenv_fini(d)) return luaL_error(L, "out of memory");
    return 1;
}
