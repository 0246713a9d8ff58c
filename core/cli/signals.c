/* signals.c - SIGHUP for commands that run long: it asks to read the policy again.
 *
 * The library installs no handlers; the program does, and only once a command has asked
 * for it (until then SIGHUP ends the program, as it ends others).  A signal that comes
 * while a line is awaited ends the waiting, and none comes unseen between the look and
 * the wait: it is blocked but inside ppoll. */
#include <errno.h>
#include <lauxlib.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cli/cli.h"

enum { LINE_MAX_BYTES = 64 * 1024 };

static const char CLASS[] = "moonlatch.lines";

static volatile sig_atomic_t hung_up;

static void note_hup(int number)
{
    (void)number;
    hung_up = 1;
}

/* watch_hup(): from now on SIGHUP is noted. */
static int watch_hup(lua_State *L)
{
    struct sigaction sa = {.sa_handler = note_hup, .sa_flags = SA_RESTART};
    sigemptyset(&sa.sa_mask);
    if (sigaction(SIGHUP, &sa, NULL) != 0) return luaL_error(L, "%s", strerror(errno));
    return 0;
}

/* Cleared only when it was seen: one that comes in between is not lost. */
static bool take_hup(void)
{
    if (!hung_up) return false;
    hung_up = 0;
    return true;
}

/* hup_pending() -> boolean: has one come since somebody asked? */
static int hup_pending(lua_State *L)
{
    lua_pushboolean(L, take_hup());
    return 1;
}

/* ---- lines of stdin ------------------------------------------------------------ */

/* What was read and not yet handed out. */
typedef struct lines {
    ml_buf kept;
    bool is_at_end;
} lines;

static int lines_gc(lua_State *L)
{
    lines *l = luaL_checkudata(L, 1, CLASS);
    ml_buf_fini(&l->kept);
    return 0;
}

/* Waits for bytes or for SIGHUP.  0, or an errno; EINTR: a signal came. */
static int wait_for_input(void)
{
    sigset_t hup, usual;
    sigemptyset(&hup);
    sigaddset(&hup, SIGHUP);
    sigprocmask(SIG_BLOCK, &hup, &usual);
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    int problem = hung_up ? EINTR : 0;
    if (!problem && ppoll(&p, 1, NULL, &usual) < 0) problem = errno;
    sigprocmask(SIG_SETMASK, &usual, NULL);
    return problem;
}

/* 0, or an errno. */
static int read_more(lines *l)
{
    char chunk[4096];
    ssize_t got = read(STDIN_FILENO, chunk, sizeof(chunk));
    int problem = got < 0 ? errno : 0;
    if (got > 0) ml_buf_add(&l->kept, chunk, (size_t)got);
    if (got == 0) l->is_at_end = true;
    ml_scrub(chunk, sizeof(chunk));
    return problem == EINTR ? 0 : problem;
}

/* Pushes the first line that is there, or at the end what is left; false: neither. */
static bool push_line(lua_State *L, lines *l)
{
    ml_buf *b = &l->kept;
    size_t n = ml_str_find(ml_buf_str(b), '\n');
    bool is_whole = n < b->len;
    if (!is_whole && (!l->is_at_end || b->len == 0)) return false;
    lua_pushlstring(L, b->data, n);
    size_t used = is_whole ? n + 1 : n;
    memmove(b->data, b->data + used, b->len - used);
    ml_scrub(b->data + b->len - used, used);
    b->len -= used;
    return true;
}

static int push_why(lua_State *L, const char *why)
{
    lua_pushnil(L);
    lua_pushstring(L, why);
    return 2;
}

/* read_line() -> line without its end | nil at the end of stdin | nil, "hup" |
 * nil, problem.  Upvalue: the lines. */
static int read_line(lua_State *L)
{
    lines *l = lua_touserdata(L, lua_upvalueindex(1));
    if (take_hup()) return push_why(L, "hup");
    while (!push_line(L, l)) {
        if (l->is_at_end) return 0;
        int problem = wait_for_input();
        if (problem == EINTR && take_hup()) return push_why(L, "hup");
        if (problem == 0) problem = read_more(l);
        if (problem && problem != EINTR) return push_why(L, strerror(problem));
        if (!ml_buf_ok(&l->kept)) return push_why(L, "the line is too long");
    }
    return 1;
}

void ml_cli_add_signals(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"watch_hup", watch_hup}, {"hup_pending", hup_pending}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
    lines *l = lua_newuserdatauv(L, sizeof(*l), 0);
    *l = (lines){.is_at_end = false};
    ml_buf_init(&l->kept, LINE_MAX_BYTES);
    if (luaL_newmetatable(L, CLASS)) {
        lua_pushcfunction(L, lines_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    lua_pushcclosure(L, read_line, 1);
    lua_setfield(L, -2, "read_line");
}
