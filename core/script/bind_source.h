/* bind_source.h - sources as Lua sees them; source:call is where policies wait. */
#pragma once
#include <lua.h>

void ml_script_open_source(lua_State *L);
/* core.key_vault{...}, core.environment{...} */
int ml_script_key_vault(lua_State *L);
int ml_script_environment(lua_State *L);
