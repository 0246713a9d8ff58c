/* bind_kept.h - the cache for sources that are written in Lua. */
#pragma once
#include <lua.h>

void ml_script_open_kept(lua_State *L);
/* core.kept{alias=, ignores_case=} -> shelf | nil when the cache is switched off */
int ml_script_kept(lua_State *L);
