/* bytes.h - arguments that are text or a secret, and answers that are secret as soon as
 * one of their parts was. */
#pragma once
#include <lua.h>

#include "base/buf.h"
#include "moonlatch.h"

/* A view; it lives as long as the value stays on the stack or in its table. */
typedef struct ml_bytes {
    ml_str str;
    bool is_secret;
} ml_bytes;

/* Raises when the argument is neither a string nor a secret with a value. */
ml_bytes ml_script_check_bytes(lua_State *L, int index);
/* The same for the value of a table's field: what names it in the error. */
ml_bytes ml_script_bytes_of(lua_State *L, int index, const char *what);
/* Appends text, a secret, or each of a list of them; true when any was secret. */
bool ml_script_add_bytes(lua_State *L, int index, const char *what, ml_buf *out);

/* A scrubbing buffer that Lua owns: nothing leaks whatever is raised. */
ml_buf *ml_script_push_buf(lua_State *L, size_t max);
/* Raises ML_ENOMEM when that is why the buffer has failed: it is not for being full. */
void ml_script_need_memory(lua_State *L, const ml_buf *b);
/* A string, or a secret of the call that runs.  Raises when the buffer has failed. */
int ml_script_push_bytes_of(lua_State *L, const ml_buf *b, bool is_secret);
int ml_script_push_either(lua_State *L, ml_str bytes, bool is_secret);
/* For policies: nil, outcome word, text, milliseconds to wait or nil. */
int ml_script_push_outcome(lua_State *L, const ml_err *e);
/* The same when the deadline is past. */
int ml_script_push_late(lua_State *L);
/* Charges the budget for work on n bytes. */
void ml_script_spend_bytes(lua_State *L, size_t n);

void ml_script_open_bytes(lua_State *L);
