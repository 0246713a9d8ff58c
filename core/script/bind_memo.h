/* bind_memo.h - what a source that is written in Lua remembers: tokens, for a while.
 *
 * core.memo() -> memo, which lives as long as Lua holds it:
 *     memo:get(name)  -> secret | nil; one of the call that runs
 *     memo:put(name, secret, ttl_s)       replaces; of too many the oldest goes
 *     memo:drop(name)
 *     memo:lead(name) -> guard | nil      nil while another call leads
 *     memo:wait(name) -> true | nil, outcome, text; until nobody leads any more
 * The guard is a to-be-closed variable of the call that leads; closing it, however that
 * call ends, lets those that wait go on. */
#pragma once
#include <lua.h>

int ml_script_memo(lua_State *L);
void ml_script_open_memo(lua_State *L);
