/* bind_value.h - what a rule asks of a secret's bytes: checks, and copies of which the
 * value is another.  The bytes never become a Lua string, but in core.transform. */
#pragma once
#include <lua.h>

/* core.field(secret, pointer) -> secret | nil, why */
int ml_script_field(lua_State *L);
/* core.decode(secret, "base64" | "base64url" | "hex") -> secret | nil, why */
int ml_script_decode(lua_State *L);
/* core.value_problem(secret, {min_bytes=, max_bytes=, utf8=, json=, like={...}}) -> why
 */
int ml_script_value_problem(lua_State *L);
/* core.transform(secret, fn) -> secret | nil, why: fn(text) gives the new text; what it
 * raises passes. */
int ml_script_transform(lua_State *L);
/* core.is_pointer(text) -> boolean: a JSON pointer? */
int ml_script_is_pointer(lua_State *L);
