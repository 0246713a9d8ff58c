/* test_cli_signals.c - SIGHUP in commands that run long: noted, and it ends a wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <lauxlib.h>
#include <lualib.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"

static int to_stdin = -1;

/* A state with the functions as `system`, and a pipe as stdin. */
static int open_state(void **state)
{
    int ends[2];
    lua_State *L = luaL_newstate();
    if (!L || pipe(ends) != 0 || dup2(ends[0], STDIN_FILENO) < 0) return -1;
    close(ends[0]);
    to_stdin = ends[1];
    luaL_openlibs(L);
    lua_newtable(L);
    ml_cli_add_signals(L);
    lua_setglobal(L, "system");
    *state = L;
    return luaL_dostring(L, "system.watch_hup()");
}

static int close_state(void **state)
{
    lua_close(*state);
    if (to_stdin >= 0) close(to_stdin);
    signal(SIGHUP, SIG_DFL);
    return 0;
}

static void type(const char *text)
{
    assert_int_equal(write(to_stdin, text, strlen(text)), strlen(text));
}

static void holds(lua_State *L, const char *claim)
{
    lua_pushfstring(L,
                    "local line, why = system.read_line() assert(%s, "
                    "tostring(line) .. ' ' .. tostring(why))",
                    claim);
    if (luaL_dostring(L, lua_tostring(L, -1)) != LUA_OK)
        fail_msg("%s: %s", claim, lua_tostring(L, -1));
    lua_settop(L, 0);
}

static void test_lines(void **state)
{
    lua_State *L = *state;
    type("one\ntwo\n\nrest");
    close(to_stdin);
    to_stdin = -1;
    holds(L, "line == 'one'");
    holds(L, "line == 'two'");
    holds(L, "line == ''");
    holds(L, "line == 'rest'");
    holds(L, "line == nil and why == nil");
    holds(L, "line == nil and why == nil");
}

/* It is told once, before the next line, and no byte is lost. */
static void test_between_lines(void **state)
{
    lua_State *L = *state;
    type("one\ntw");
    holds(L, "line == 'one'");
    raise(SIGHUP);
    raise(SIGHUP);
    holds(L, "line == nil and why == 'hup'");
    type("o\n");
    holds(L, "line == 'two'");
    raise(SIGHUP);
    holds(L, "system.hup_pending() and not system.hup_pending() or why == 'hup'");
}

static void test_pending(void **state)
{
    lua_State *L = *state;
    assert_int_equal(luaL_dostring(L, "assert(not system.hup_pending())"), 0);
    raise(SIGHUP);
    assert_int_equal(luaL_dostring(L, "assert(system.hup_pending())"), 0);
    assert_int_equal(luaL_dostring(L, "assert(not system.hup_pending())"), 0);
}

/* Whenever it comes: before the wait, or in it. */
static void test_ends_a_wait(void **state)
{
    lua_State *L = *state;
    for (int i = 0; i < 20; i++) {
        pid_t parent = getpid();
        pid_t child = fork();
        if (child == 0) _exit(kill(parent, SIGHUP));
        holds(L, "line == nil and why == 'hup'");
        int status = -1;
        while (waitpid(child, &status, 0) < 0) continue;
        assert_int_equal(status, 0);
    }
    type("still here\n");
    holds(L, "line == 'still here'");
}

static void test_a_line_without_end(void **state)
{
    lua_State *L = *state;
    static char much[4096];
    memset(much, 'x', sizeof(much) - 1);
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < 17; i++)
            if (write(to_stdin, much, sizeof(much) - 1) < 0) _exit(1);
        _exit(0);
    }
    holds(L, "line == nil and why == 'the line is too long'");
    kill(child, SIGKILL); /* it may still write */
    assert_int_equal(waitpid(child, &status, 0), child);
}

#define WITH_STATE(test) cmocka_unit_test_setup_teardown(test, open_state, close_state)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STATE(test_lines),
        WITH_STATE(test_between_lines),
        WITH_STATE(test_pending),
        WITH_STATE(test_ends_a_wait),
        WITH_STATE(test_a_line_without_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
