/* module.h - the public Lua module `moonlatch`, over moonlatch.h and nothing else.
 *
 * lua_moonlatch.c  the table that require returns
 * options.c        moonlatch.open: a Lua table -> ml_options; the log function
 * calls.c          resolver methods: arguments -> ml_call -> answer
 * requests.c       start, step, and what else an event loop needs
 * await.c          the same for a coroutine that waits
 * secrets.c        secret handles
 * errors.c         ml_err -> error table, and the exit code of each error */
#pragma once
#include <lua.h>

#include "moonlatch.h"

#define ML_LUA_RESOLVER "moonlatch.resolver"
#define ML_LUA_SECRET   "moonlatch.secret"
#define ML_LUA_ERROR    "moonlatch.error"
#define ML_LUA_REQUEST  "moonlatch.request"

typedef struct ml_lua_request ml_lua_request;

/* One open resolver as Lua holds it; its user value is the set of its requests. */
typedef struct ml_lua_resolver {
    ml_resolver *r;  /* NULL once closed */
    lua_State *L;    /* who is inside the library now: the log function runs there */
    int log_ref;     /* of the log function, LUA_NOREF when there is none */
    bool is_logging; /* inside that function: no calls */
    ml_lua_request *ended_first, *ended_last; /* whose functions are to be called */
} ml_lua_resolver;

typedef struct ml_lua_verb {
    const char *name;
    ml_verb verb;
    bool takes_value;
} ml_lua_verb;

ML_API int luaopen_moonlatch(lua_State *L);

/* moonlatch.open{...} -> resolver | nil, err. */
int ml_lua_open(lua_State *L);
/* Creates the metatables of their file; called once a state. */
void ml_lua_calls_register(lua_State *L);
void ml_lua_secrets_register(lua_State *L);
void ml_lua_errors_register(lua_State *L);

void ml_lua_requests_register(lua_State *L);
/* Into the table of a resolver's methods, on top of the stack. */
void ml_lua_requests_add_methods(lua_State *L);

/* The open resolver at index 1; raises when it is something else. */
ml_lua_resolver *ml_lua_check_resolver(lua_State *L);
/* Raises inside a log function: the library holds its lock there. */
void ml_lua_check_not_logging(lua_State *L, const ml_lua_resolver *self);
const ml_lua_verb *ml_lua_check_verb(lua_State *L, int idx);
/* Name, bytes where the verb has them, options, from index `first` on; borrows. */
ml_call ml_lua_read_call(lua_State *L, const ml_lua_verb *verb, int first);

/* Starts the call at index 2 and on, for the resolver at index 1; fn: the index of its
 * function.  Pushes the request, or nil and an error; answers how many. */
int ml_lua_begin(lua_State *L, const ml_lua_verb *verb, int fn);
int ml_lua_await(lua_State *L);
/* Functions of ended requests wait for a step: whoever watches the descriptor shall
 * make one. */
void ml_lua_remind(const ml_lua_resolver *self);
/* Calls all that are left, for the resolver at index 1 that was closed; raises the
 * first error when all were called. */
void ml_lua_deliver_last(lua_State *L);

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
