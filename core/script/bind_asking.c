/* bind_asking.c - telling the host that a source written in Lua is asked. */
#include "script/bind_asking.h"

#include <lauxlib.h>
#include <stdio.h>

#include "base/err.h"
#include "script/asking.h"
#include "script/task.h"
#include "script/verbs.h"

static const char CLASS[] = "moonlatch.asking";

/* It is closed by its coroutine, and so before the task, whose trace it is, has ended.
 */
typedef struct lua_asking {
    ml_asking asking;
    ml_trace *trace;
    char alias[64];
    int code;
} lua_asking;

/* asking:ended(word): nil is found */
static int ended(lua_State *L)
{
    lua_asking *a = luaL_checkudata(L, 1, CLASS);
    const char *word = luaL_optstring(L, 2, NULL);
    a->code = word ? ml_code_of_name(word) : ML_OK;
    return 0;
}

static int close(lua_State *L)
{
    lua_asking *a = luaL_checkudata(L, 1, CLASS);
    ml_asking_end(&a->asking, ml_vm_of(L)->host->loop, a->trace, a->code);
    return 0;
}

void ml_script_open_asking(lua_State *L)
{
    luaL_newmetatable(L, CLASS);
    lua_pushcfunction(L, close);
    lua_setfield(L, -2, "__close");
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, ended);
    lua_setfield(L, -2, "ended");
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}

int ml_script_asking(lua_State *L)
{
    const char *alias = luaL_checkstring(L, 1);
    ml_verb verb = ml_verb_of(luaL_checkstring(L, 2));
    luaL_argcheck(L, verb != ML_VERB_COUNT, 2, "no such verb");
    ml_trace *trace = ml_task_trace(L);
    ml_loop *l = ml_vm_of(L)->host->loop;
    if (!trace || !ml_asking_is_heard(l, trace)) return 0;
    lua_asking *a = lua_newuserdatauv(L, sizeof(*a), 0);
    *a = (lua_asking){.trace = trace, .code = ML_ECANCELED};
    snprintf(a->alias, sizeof(a->alias), "%s", alias);
    luaL_setmetatable(L, CLASS);
    ml_asking_begin(&a->asking, l, trace, verb, a->alias, "lua");
    return 1;
}
