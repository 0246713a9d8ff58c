/* stdlib.h - what of Lua's standard library the VM has. */
#pragma once
#include <lua.h>

/* base, string, table, math and utf8 as globals; no coroutine, io, os, debug, package.
 * Anything that could dodge the budget is replaced or left out; the .c file says how.
 */
void ml_script_open_stdlib(lua_State *L);
