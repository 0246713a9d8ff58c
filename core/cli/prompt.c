/* prompt.c - asking a person, on the terminal, without echo for secrets. */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cli/cli.h"

enum { LINE_MAX_BYTES = 32 * 1024 };

/* A signal during a hidden prompt must not leave the terminal without echo. */
static volatile sig_atomic_t caught;

static void note_signal(int number)
{
    caught = number;
}

static const int watched[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
enum { WATCHED = sizeof(watched) / sizeof(watched[0]) };

static void watch_signals(struct sigaction *before)
{
    struct sigaction sa = {.sa_handler = note_signal}; /* no SA_RESTART: read ends */
    caught = 0;
    for (int i = 0; i < WATCHED; i++) sigaction(watched[i], &sa, &before[i]);
}

static void unwatch_signals(const struct sigaction *before)
{
    for (int i = 0; i < WATCHED; i++) sigaction(watched[i], &before[i], NULL);
}

static bool set_echo(int fd, bool echo, struct termios *before)
{
    if (tcgetattr(fd, before) != 0) return false;
    struct termios now = *before;
    if (!echo) now.c_lflag &= ~(tcflag_t)ECHO;
    return tcsetattr(fd, TCSAFLUSH, &now) == 0;
}

/* Length of the line without its end, -1 on error, signal or end of file. */
static ssize_t read_line(int fd, char *line, size_t room)
{
    size_t n = 0;
    while (n < room && !caught) {
        ssize_t got = read(fd, line + n, 1);
        if (got == 0) return n ? (ssize_t)n : -1;
        if (got < 0) return -1;
        if (line[n] == '\n') return (ssize_t)n;
        n++;
    }
    return -1;
}

static void say(int fd, const char *text, size_t len)
{
    while (len) {
        ssize_t put = write(fd, text, len);
        if (put <= 0) return;
        text += put;
        len -= (size_t)put;
    }
}

static ssize_t ask(int fd, bool echo, char *line, size_t room)
{
    struct termios before;
    struct sigaction actions[WATCHED];
    watch_signals(actions);
    ssize_t n = -1;
    if (set_echo(fd, echo, &before)) {
        n = read_line(fd, line, room);
        tcsetattr(fd, TCSAFLUSH, &before);
    }
    if (!echo) say(fd, "\n", 1);
    unwatch_signals(actions);
    if (caught) raise(caught);
    return n;
}

int ml_cli_prompt(lua_State *L)
{
    size_t len = 0;
    const char *text = luaL_checklstring(L, 1, &len);
    bool echo = lua_toboolean(L, 2);
    char *line = lua_newuserdatauv(L, LINE_MAX_BYTES, 0);
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        lua_pushnil(L);
        lua_pushfstring(L, "no terminal: %s", strerror(errno));
        return 2;
    }
    say(fd, text, len);
    ssize_t n = ask(fd, echo, line, LINE_MAX_BYTES);
    close(fd);
    if (n < 0) {
        lua_pushnil(L);
        lua_pushliteral(L, "nothing was typed, or too much");
        return 2;
    }
    lua_pushlstring(L, line, (size_t)n); /* the allocator scrubs line itself */
    return 1;
}
