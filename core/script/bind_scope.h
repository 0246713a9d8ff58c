/* bind_scope.h - what a source that is written in Lua gets to know, and may do. */
#pragma once
#include <lua.h>

/* core.rights(n) -> what they were; 1 http, 2 programs.  Of the call that runs. */
int ml_script_rights(lua_State *L);
/* core.left_ms() -> milliseconds until the call's deadline, at least 0 */
int ml_script_left_ms(lua_State *L);
/* core.now() -> unix seconds; inside a source's functions only: plans have no clock */
int ml_script_now(lua_State *L);
/* core.utc(seconds, format) -> text; %Y %m %d %H %M %S %% only */
int ml_script_utc(lua_State *L);
/* core.exec_allowed() -> does the host allow programs? */
int ml_script_exec_allowed(lua_State *L);
/* core.describe(secret | nil, { source=, key=, version=, content_type=, tags={} }) ->
 * a copy with these texts; without a secret one without a value */
int ml_script_describe(lua_State *L);
/* core.module_text(name) -> the Lua text of a module, or nil: sources that policies
 * load into their own sandbox */
int ml_script_module_text(lua_State *L);
