/* bind_secret.h - secrets as Lua sees them: opaque handles that never show their bytes.
 *
 * A handle that was made for one call is in a list of that call, which closes all of
 * them when it ends: bytes do not wait for the garbage collector. */
#pragma once
#include <lua.h>

#include "base/secret.h"

typedef struct ml_secret_handle ml_secret_handle;

void ml_script_open_secret(lua_State *L);
/* Pushes a handle with a reference of its own.  list may be NULL: the handle lives as
 * long as Lua holds it. */
void ml_script_push_secret(lua_State *L, ml_secret *s, ml_secret_handle **list);
/* Pushes a handle of these bytes; raises when out of memory. */
void ml_script_push_bytes(lua_State *L, ml_str bytes, ml_secret_handle **list);
/* Pushes a handle of a new secret; raises when out of memory. */
void ml_script_push_fields(lua_State *L, const ml_secret_fields *f,
                           ml_secret_handle **list);
/* Counts n bytes against the memory of the policy; raises when they do not fit. */
void ml_script_charge(lua_State *L, size_t n);
/* The same in two steps: a closed handle, then its secret (takes the reference; never
 * raises).  What lies between may hold memory that Lua does not know of. */
ml_secret_handle *ml_script_push_handle(lua_State *L);
void ml_script_open_handle(ml_secret_handle *h, ml_secret *s, ml_secret_handle **list);
/* Borrowed.  Raises when the argument is no secret, or closed. */
ml_secret *ml_script_check_secret(lua_State *L, int index);
/* NULL when it is no open secret. */
ml_secret *ml_script_to_secret(lua_State *L, int index);
void ml_script_close_secrets(ml_secret_handle **list);
/* core.with_name(secret, name) */
int ml_script_with_name(lua_State *L);
