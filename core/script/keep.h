/* keep.h - what Lua says about keeping: fields of a source call's arguments.
 *
 *     keep     the rule's { ttl_ms, negative_ttl_ms, stale_ttl_ms, stale_throttled,
 *              stale_unavailable }; what is not there is the default
 *     refresh  true: ask the source whatever is kept; "early": unless it is young
 *     name     the logical name that is asked for */
#pragma once
#include <lua.h>

#include "source/flight.h"

/* From the table at `args`; nil counts as an empty one. */
ml_keep_call ml_script_keep_call(lua_State *L, int args, const ml_kept *c,
                                 bool is_pinned);
/* From the table of keep itself, or nil. */
ml_keep ml_script_keep(lua_State *L, int index, const ml_kept *c, bool is_pinned);

/* (key, version, max_age_ms | keep) -> secret, age_ms | nil; the answer that is made of
 * it is kept no longer than the source rests.  The arguments begin at `first`. */
int ml_script_push_stale(lua_State *L, ml_kept *c, const ml_kept_key *k, int first);
/* (key, version, keep) -> "empty" | "flight" | "fresh" | "stale" | "negative" |
 * "resting", ms */
int ml_script_push_kept(lua_State *L, ml_kept *c, const ml_kept_key *k, int first);
