/* bind_json.h - JSON from environment variables, some of its strings as secrets. */
#pragma once
#include <lua.h>

void ml_script_open_json(lua_State *L);
/* core.env_json(name [, secret_keys]) -> value | nil when unset */
int ml_script_env_json(lua_State *L);
