/* bind_exec.h - one helper program for a source that is written in Lua. */
#pragma once
#include <lua.h>

/* core.exec{ argv=, env=, stdin=, timeout_ms=, max_bytes= } ->
 * { status =, output = secret } | nil, error; waits. */
int ml_script_exec(lua_State *L);
