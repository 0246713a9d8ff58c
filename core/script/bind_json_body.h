/* bind_json_body.h - JSON that may be secret: parts of it, and writing it. */
#pragma once
#include <lua.h>

/* core.json_field(body, pointer) -> secret | nil
 * The decoded string that is there, or any other value as it is written; nil when
 * nothing is there, or null.  Raises when body is not JSON. */
int ml_script_json_field(lua_State *L);
/* core.json_text(body, pointer) -> string | nil
 * The same as plain text, for what is not secret; at most 4 KiB. */
int ml_script_json_text(lua_State *L);
/* core.json_texts(body, pointer) -> list of strings | nil; of an array of strings */
int ml_script_json_texts(lua_State *L);
/* core.json_encode(value) -> string, or a secret when a part of it is one */
int ml_script_json_encode(lua_State *L);
