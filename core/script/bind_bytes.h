/* bind_bytes.h - joining, encoding and hashing what may be secret. */
#pragma once
#include <lua.h>

/* All take text or secrets.  What comes out is a secret as soon as one of them was. */
int ml_script_secret_text(lua_State *L); /* (list) -> secret, always */
int ml_script_join(lua_State *L);        /* (list) */
int ml_script_hex(lua_State *L);
int ml_script_base64(lua_State *L);
int ml_script_base64_decode(lua_State *L); /* nil when it is none */
int ml_script_url_encode(lua_State *L);
int ml_script_chomp(lua_State *L); /* without one line end at the end */
int ml_script_sha256(lua_State *L);
int ml_script_hmac_sha256(lua_State *L); /* (key, data) */
