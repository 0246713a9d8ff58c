/* bind_http.h - one HTTP exchange for a source that is written in Lua. */
#pragma once
#include <lua.h>

/* core.http(options) -> { status =, headers = {}, body = secret } | nil, error; waits.
 * Options as lua/moonlatch/source_tools.lua documents them. */
int ml_script_http(lua_State *L);
