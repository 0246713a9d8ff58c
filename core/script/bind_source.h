/* bind_source.h - sources as Lua sees them; source:call is where policies wait. */
#pragma once
#include <lua.h>

void ml_script_open_source(lua_State *L);
/* core.key_vault{...}, core.environment{...}, core.dotenv{...}, ... : all need an
 * alias, the files a path, host_source a name. */
int ml_script_key_vault(lua_State *L);
int ml_script_environment(lua_State *L);
int ml_script_dotenv(lua_State *L);
int ml_script_file(lua_State *L);
int ml_script_directory(lua_State *L);
int ml_script_local_file(lua_State *L);
int ml_script_host_source(lua_State *L);
