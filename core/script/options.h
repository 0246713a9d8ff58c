/* options.h - reading the fields of an option table, strictly.
 *
 * Raw look-ups: no metamethod runs.  What is of the wrong type raises a "usage" error
 * that names the field.  Texts point into the table's strings. */
#pragma once
#include <lua.h>

#include "base/secret.h"

/* NULL when absent; raises when it holds a NUL byte. */
const char *ml_script_opt_text(lua_State *L, int table, const char *name);
/* p is NULL when absent. */
ml_str ml_script_opt_str(lua_State *L, int table, const char *name);
/* 0 absent, 1 true, -1 false */
int ml_script_opt_flag(lua_State *L, int table, const char *name);
/* 0 when absent */
int64_t ml_script_opt_int(lua_State *L, int table, const char *name);
/* NULL when absent; borrowed */
ml_secret *ml_script_opt_secret(lua_State *L, int table, const char *name);
/* fallback when absent; raises when it is out of bounds. */
int64_t ml_script_opt_bounded(lua_State *L, int table, const char *name, int64_t least,
                              int64_t most, int64_t fallback);
/* Raises when the table has a field that is not in names, which end in NULL. */
void ml_script_check_names(lua_State *L, int table, const char *what,
                           const char *const *names);
/* Pushes the table and answers true, or pushes nothing when it is absent. */
bool ml_script_opt_table(lua_State *L, int table, const char *name);
