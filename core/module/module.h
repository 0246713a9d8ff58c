/* module.h - the public Lua module `moonlatch`, over moonlatch.h and nothing else.
 *
 * lua_moonlatch.c  the table that require returns
 * options.c        moonlatch.open: a Lua table -> ml_options; the log function
 * calls.c          resolver methods: arguments -> ml_call -> answer
 * secrets.c        secret handles
 * errors.c         ml_err -> error table, and the exit code of each error */
#pragma once
#include <lua.h>

#include "moonlatch.h"

#define ML_LUA_RESOLVER "moonlatch.resolver"
#define ML_LUA_SECRET   "moonlatch.secret"
#define ML_LUA_ERROR    "moonlatch.error"

/* One open resolver as Lua holds it. */
typedef struct ml_lua_resolver {
    ml_resolver *r;  /* NULL once closed */
    lua_State *L;    /* who is inside the library now: the log function runs there */
    int log_ref;     /* of the log function, LUA_NOREF when there is none */
    bool is_logging; /* inside that function: no calls */
} ml_lua_resolver;

ML_API int luaopen_moonlatch(lua_State *L);

/* moonlatch.open{...} -> resolver | nil, err. */
int ml_lua_open(lua_State *L);
/* Creates the metatables of their file; called once a state. */
void ml_lua_calls_register(lua_State *L);
void ml_lua_secrets_register(lua_State *L);
void ml_lua_errors_register(lua_State *L);

/* Pushes a handle with a reference of its own. */
void ml_lua_push_secret(lua_State *L, ml_secret *s);
/* Pushes nil and the error table; returns 2. */
int ml_lua_push_failure(lua_State *L, const ml_err *e);
/* The exit code of a command that ends with an ML_E... code (README, Command line). */
int ml_lua_exit_code(int code);

/* {name = value} of plain texts at idx -> pairs that live while the userdata pushed by
 * this function and the table do.  Raises on anything else; idx may be nil. */
const ml_pair *ml_lua_pairs(lua_State *L, int idx, const char *what, size_t *n);
/* Text of field `name` in the table at idx; NULL when nil.  Left on the stack. */
const char *ml_lua_text_field(lua_State *L, int idx, const char *name);
lua_Integer ml_lua_int_field(lua_State *L, int idx, const char *name);
/* Raises when the table at idx has a key that is not in the NULL-ended list. */
void ml_lua_check_keys(lua_State *L, int idx, const char *const *known);
