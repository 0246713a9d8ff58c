/* bind_error.h - ml_err as a Lua table, and back. */
#pragma once
#include <lua.h>

#include "moonlatch.h"

/* Pushes {code="missing", text=, source=, ...}; only what is known. tostring gives
 * text. */
void ml_script_push_err(lua_State *L, const ml_err *e);
/* Makes *e of whatever Lua raised or returned as an error: a table as above, or text.
 * What is no error table is ML_EPOLICY.  Allocates nothing, never raises, and leaves
 * the stack as it was. */
void ml_script_take_err(lua_State *L, int index, ml_err *e);
/* Raise an error table; never return. */
int ml_script_raise(lua_State *L, const ml_err *e);
int ml_script_raisef(lua_State *L, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
#define ML_NO_MEMORY "out of memory"
int ml_script_nomem(lua_State *L);
