/* bind_core.h - the module "moonlatch.core": what the engine in Lua gets from C. */
#pragma once
#include <lua.h>

/* Makes the classes, pushes the module's table. */
void ml_script_push_core(lua_State *L);
