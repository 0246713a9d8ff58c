/* await.c - r:await: a call that a coroutine waits for, with any loop around.
 *
 * The request's function puts the end into a box and wakes the coroutine: by resuming
 * it, or, where a loop alone may do that, through the object that it waits by. */
#include <lauxlib.h>

#include "module/module.h"

enum { IS_THERE = 1, ANSWER, ERR }; /* in the box */

/* Of what is on the stack: resolver, verb, name, [bytes,] opts, signal, box. */
static int answer_or_wait(lua_State *L, int status, lua_KContext box)
{
    int at = (int)box, signal = at - 1;
    (void)status;
    for (;;) {
        lua_settop(L, at);
        if (lua_rawgeti(L, at, IS_THERE) != LUA_TNIL) break;
        lua_settop(L, at);
        /* Resumed by anybody else before there is an answer, it waits on. */
        if (lua_isnil(L, signal)) return lua_yieldk(L, 0, box, answer_or_wait);
        lua_getfield(L, signal, "wait");
        lua_pushvalue(L, signal);
        lua_callk(L, 1, 0, box, answer_or_wait);
    }
    lua_rawgeti(L, at, ANSWER);
    lua_rawgeti(L, at, ERR);
    return 2;
}

/* As coroutine.wrap does: an error of the coroutine is the resumer's. */
static int resume(lua_State *L, lua_State *co)
{
    int n_results = 0;
    if (lua_status(co) != LUA_YIELD) return 0; /* it was closed meanwhile */
    int status = lua_resume(co, L, 0, &n_results);
    if (status == LUA_OK || status == LUA_YIELD) {
        lua_pop(co, n_results);
        return 0;
    }
    lua_resetthread(co); /* runs what is to be closed; leaves an error */
    lua_xmove(co, L, 1);
    return lua_error(L);
}

/* fn(answer, err), with the box, the coroutine and the signal. */
static int wake(lua_State *L)
{
    lua_settop(L, 2);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1); /* box, answer, err */
    lua_rawseti(L, 1, ERR);
    lua_rawseti(L, 1, ANSWER);
    lua_pushboolean(L, 1);
    lua_rawseti(L, 1, IS_THERE);
    if (lua_isnil(L, lua_upvalueindex(3)))
        return resume(L, lua_tothread(L, lua_upvalueindex(2)));
    lua_getfield(L, lua_upvalueindex(3), "signal");
    lua_pushvalue(L, lua_upvalueindex(3));
    lua_call(L, 1, 0);
    return 0;
}

int ml_lua_await(lua_State *L)
{
    const ml_lua_verb *verb = ml_lua_check_verb(L, 2);
    int signal = verb->takes_value ? 6 : 5, box = signal + 1;
    lua_settop(L, signal);
    if (!lua_isyieldable(L))
        return luaL_error(L, "await waits in a coroutine; here, call run or start");
    luaL_checkstack(L, 10, NULL);
    lua_createtable(L, ERR, 0);
    lua_pushvalue(L, box);
    lua_pushthread(L);
    lua_pushvalue(L, signal);
    lua_pushcclosure(L, wake, 3);
    int n = ml_lua_begin(L, verb, lua_gettop(L));
    return n == 1 ? answer_or_wait(L, LUA_OK, box) : n;
}
