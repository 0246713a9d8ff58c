/* bind_exec.c - one helper program for a source that is written in Lua.
 *
 * Arguments are plain text: everybody on the machine can read them.  Variables and
 * input may be secret. */
#include "script/bind_exec.h"

#include <lauxlib.h>
#include <string.h>

#include "base/clock.h"
#include "io/child.h"
#include "script/bind_error.h"
#include "script/bytes.h"
#include "script/options.h"
#include "script/task.h"

enum { MAX_ARGS = 128 * 1024, MAX_OUTPUT = 16 * 1024 * 1024, TIMEOUT_MS = 10 * 1000 };

static const char CLASS[] = "moonlatch.child_request";

static int request_close(lua_State *L)
{
    ml_child_request_fini(luaL_checkudata(L, 1, CLASS));
    return 0;
}

static ml_child_request *push_request(lua_State *L)
{
    ml_child_request *q = lua_newuserdatauv(L, sizeof(*q), 0);
    ml_child_request_init(q);
    q->argv.max = q->env.max = MAX_ARGS;
    if (luaL_newmetatable(L, CLASS)) {
        lua_pushcfunction(L, request_close);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return q;
}

static void add_word(lua_State *L, ml_buf *b, ml_str word, const char *what)
{
    if (ml_str_find(word, '\0') < word.n)
        luaL_error(L, "ml.exec: %s has a NUL byte", what);
    ml_buf_add_str(b, word);
}

static void read_argv(lua_State *L, ml_child_request *q)
{
    if (!ml_script_opt_table(L, 1, "argv")) luaL_error(L, "ml.exec needs argv");
    for (lua_Integer i = 1; lua_rawgeti(L, -1, i) != LUA_TNIL; i++) {
        ml_str word = {0};
        if (lua_type(L, -1) == LUA_TSTRING) word.p = lua_tolstring(L, -1, &word.n);
        if (!word.p)
            luaL_error(L,
                       "ml.exec: argv is a list of strings; what is secret goes into "
                       "env or stdin");
        if (i == 1 && !ml_str_starts(word, ML_LIT("/")))
            luaL_error(L,
                       "ml.exec: the program needs its whole path: \"/usr/bin/...\"");
        add_word(L, &q->argv, word, "an argument");
        ml_buf_add_char(&q->argv, '\0');
        lua_pop(L, 1);
    }
    lua_pop(L, 2);
    if (q->argv.len == 0) luaL_error(L, "ml.exec: argv is empty");
}

static void read_env(lua_State *L, ml_child_request *q)
{
    if (!ml_script_opt_table(L, 1, "env")) return;
    int table = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        ml_str name = {0};
        if (lua_type(L, -2) == LUA_TSTRING) name.p = lua_tolstring(L, -2, &name.n);
        if (name.n == 0 || ml_str_find(name, '=') < name.n)
            luaL_error(L, "ml.exec: env is { NAME = value }");
        add_word(L, &q->env, name, "the name of a variable");
        ml_buf_add_char(&q->env, '=');
        add_word(L, &q->env, ml_script_bytes_of(L, -1, name.p).str, name.p);
        ml_buf_add_char(&q->env, '\0');
    }
    lua_pop(L, 1);
}

static void read_input(lua_State *L, ml_child_request *q)
{
    if (lua_getfield(L, 1, "stdin") != LUA_TNIL) {
        ml_bytes input = ml_script_bytes_of(L, -1, "ml.exec: stdin");
        q->input = ml_secret_of_bytes(input.str);
        if (!q->input) ml_script_nomem(L);
    }
    lua_pop(L, 1);
}

static int push_answer(lua_State *L, ml_op *op, ml_secret_handle **list)
{
    if (op->err.code != 0) return ml_script_push_outcome(L, &op->err);
    const ml_child_answer *a = ml_child_answer_of(op);
    lua_createtable(L, 0, 2);
    lua_pushinteger(L, a->status);
    lua_setfield(L, -2, "status");
    ml_script_push_bytes(L, ml_buf_str(&a->output), list);
    lua_setfield(L, -2, "output");
    return 1;
}

int ml_script_exec(lua_State *L)
{
    const ml_host *host = ml_vm_of(L)->host;
    static const char *const names[] = {"argv",       "env",       "stdin",
                                        "timeout_ms", "max_bytes", NULL};
    const unsigned *rights = ml_task_rights(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    if (!rights || !(*rights & ML_MAY_EXEC) || !host->allow_exec)
        return luaL_error(L, "ml.exec works inside the functions of an ml.source with "
                             "exec = true only");
    ml_task *t = ml_task_self(L); /* before there is an op that could be left behind */
    if (ml_task_is_late(L, t)) return ml_script_push_late(L);
    lua_settop(L, 1);
    ml_script_check_names(L, 1, "ml.exec", names);
    ml_child_request *q = push_request(L);
    read_argv(L, q);
    read_env(L, q);
    read_input(L, q);
    q->max_bytes =
        (size_t)ml_script_opt_bounded(L, 1, "max_bytes", 1, MAX_OUTPUT, 1024 * 1024);
    q->deadline_ms =
        ml_mono_ms(host->clock) +
        ml_script_opt_bounded(L, 1, "timeout_ms", 1, 3600 * 1000, TIMEOUT_MS);
    if (q->deadline_ms > ml_task_deadline_ms(t))
        q->deadline_ms = ml_task_deadline_ms(t);
    ml_op *op = ml_child_start(host->loop, q, ml_task_events(L), ml_task_wake, t);
    if (!op) return ml_script_nomem(L);
    return ml_task_await_value(L, t, push_answer, op);
}
