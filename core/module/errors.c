/* errors.c - ml_err as Lua sees it: a table that prints as its text. */
#include <lauxlib.h>

#include "module/module.h"

/* The one place that says which error ends a program with which code. */
static const struct exit_row {
    int code;
    int exit;
} exit_rows[] = {
    {ML_OK, 0},           {ML_EUSAGE, 2},           {ML_EMISSING, 3},
    {ML_EDISABLED, 4},    {ML_EFORBIDDEN, 4},       {ML_ETHROTTLED, 5},
    {ML_EUNAVAILABLE, 5}, {ML_EUNAUTHENTICATED, 6}, {ML_EPOLICY, 7},
    {ML_ECONFLICT, 8},
}; /* all others: 1 */

int ml_lua_exit_code(int code)
{
    for (size_t i = 0; i < sizeof(exit_rows) / sizeof(exit_rows[0]); i++) {
        if (exit_rows[i].code == code) return exit_rows[i].exit;
    }
    return 1;
}

static void set_text(lua_State *L, const char *name, const char *text)
{
    if (!text[0]) return;
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
}

static void set_number(lua_State *L, const char *name, int value)
{
    if (!value) return;
    lua_pushinteger(L, value);
    lua_setfield(L, -2, name);
}

int ml_lua_push_failure(lua_State *L, const ml_err *e)
{
    lua_pushnil(L);
    lua_createtable(L, 0, 10);
    /* "invalid" is the outcome of two codes; the code word tells them apart. */
    set_text(L, "code", e->code == ML_EUSAGE ? "usage" : ml_outcome(e->code));
    set_text(L, "outcome", ml_outcome(e->code));
    set_number(L, "exit", ml_lua_exit_code(e->code));
    set_text(L, "text", e->text[0] ? e->text : ml_strerror(e->code));
    set_text(L, "source", e->source);
    set_text(L, "key", e->key);
    set_text(L, "service_code", e->service_code);
    set_text(L, "request_id", e->request_id);
    set_number(L, "http_status", e->http_status);
    set_number(L, "retry_after_ms", e->retry_after_ms);
    luaL_setmetatable(L, ML_LUA_ERROR);
    return 2;
}

static int error_tostring(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_getfield(L, 1, "text");
    return 1;
}

void ml_lua_errors_register(lua_State *L)
{
    luaL_newmetatable(L, ML_LUA_ERROR);
    lua_pushcfunction(L, error_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pop(L, 1);
}
