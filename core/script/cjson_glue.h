/* cjson_glue.h - lua-cjson, with buffers that are scrubbed. */
#pragma once
#include <lua.h>

/* A lua_CFunction that leaves the module on the stack. */
int ml_open_cjson(lua_State *L);
