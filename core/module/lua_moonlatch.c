/* lua_moonlatch.c - what `require "moonlatch"` returns. */
#include <lauxlib.h>

#include "module/module.h"

static const luaL_Reg functions[] = {
    {"open", ml_lua_open},
    {NULL, NULL},
};

int luaopen_moonlatch(lua_State *L)
{
    luaL_checkversion(L);
    ml_lua_errors_register(L);
    ml_lua_secrets_register(L);
    ml_lua_calls_register(L);
    luaL_newlib(L, functions);
    lua_pushliteral(L, ML_VERSION);
    lua_setfield(L, -2, "version");
    lua_pushliteral(L, ML_POLICY_AIRFLOW);
    lua_setfield(L, -2, "policy_airflow");
    return 1;
}
