/* prompt.c - asking a person, on the terminal, without echo for secrets.
 *
 * A hidden line is read byte by byte with the keys that edit it handled here: the
 * terminal's own editing drops what is behind 4,095 bytes.  What cannot be taken whole
 * is refused, and what is left of a paste is read away, so that it does not end up in
 * the shell and its history. */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cli/cli.h"

enum {
    LINE_MAX_BYTES = 32 * 1024,
    QUIET_MS = 100, /* a paste that is silent for so long has ended */
};

/* A signal during a hidden prompt must not leave the terminal without echo. */
static volatile sig_atomic_t caught;

static void note_signal(int number)
{
    caught = number;
}

static const int watched[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
enum { WATCHED = sizeof(watched) / sizeof(watched[0]) };

static const char NOTHING[] = "nothing was typed";
static const char TOO_MUCH[] = "more than can be typed: use --from-file or stdin";
static const char LINES[] = "more than one line was pasted: use --from-file or stdin";
static const char UNSEEN[] =
    "a key was pressed that would be stored as a control character: use --from-file or "
    "stdin for such a value";

typedef struct typed_line {
    char *p;
    size_t n;
    const char *problem; /* why it is not taken: static text, NULL while all is well */
} typed_line;

/* Signals are blocked but while waiting for a byte, so that none comes unseen. */
static void watch_signals(struct sigaction *before, sigset_t *usual)
{
    struct sigaction sa = {.sa_handler = note_signal};
    sigset_t mask;
    sigemptyset(&mask);
    caught = 0;
    for (int i = 0; i < WATCHED; i++) {
        sigaddset(&mask, watched[i]);
        sigaction(watched[i], &sa, &before[i]);
    }
    sigprocmask(SIG_BLOCK, &mask, usual);
}

static void unwatch_signals(const struct sigaction *before, const sigset_t *usual)
{
    for (int i = 0; i < WATCHED; i++) sigaction(watched[i], &before[i], NULL);
    if (caught) raise(caught); /* arrives when it is no longer blocked */
    sigprocmask(SIG_SETMASK, usual, NULL);
}

static bool set_mode(int fd, bool echo, struct termios *before)
{
    if (tcgetattr(fd, before) != 0) return false;
    struct termios now = *before;
    if (!echo) {
        now.c_lflag &= ~(tcflag_t)(ECHO | ICANON);
        now.c_cc[VMIN] = 1;
        now.c_cc[VTIME] = 0;
        now.c_cc[VSUSP] = _POSIX_VDISABLE; /* no stop in the middle of a secret */
    }
    return tcsetattr(fd, TCSAFLUSH, &now) == 0;
}

/* One byte; false after a signal, an error, the end, or timeout_ms (-1: never). */
static bool next_byte(int fd, const sigset_t *usual, int timeout_ms, unsigned char *c)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    struct timespec ts = {.tv_nsec = timeout_ms * 1000000L};
    if (ppoll(&p, 1, timeout_ms < 0 ? NULL : &ts, usual) <= 0) return false;
    return read(fd, c, 1) == 1;
}

static void drop_character(typed_line *l)
{
    while (l->n && ((unsigned char)l->p[l->n - 1] & 0xc0) == 0x80) l->n--; /* UTF-8 */
    if (l->n) l->n--;
}

static void drop_word(typed_line *l)
{
    while (l->n && l->p[l->n - 1] == ' ') l->n--;
    while (l->n && l->p[l->n - 1] != ' ') l->n--;
}

/* Takes one byte of the line; false when it ends the line. */
static bool take(typed_line *l, unsigned char c, const cc_t *keys)
{
    if (c == '\n' || c == '\r' || c == keys[VEOF]) return false;
    if (c == keys[VERASE] || c == 0x7f || c == '\b') {
        drop_character(l);
    } else if (c == keys[VKILL]) {
        l->n = 0;
        l->problem = NULL;
    } else if (c == keys[VWERASE]) {
        drop_word(l);
    } else {
        if (c < 0x20 && c != '\t' && !l->problem) l->problem = UNSEEN;
        if (l->n == LINE_MAX_BYTES)
            l->problem = TOO_MUCH;
        else
            l->p[l->n++] = (char)c;
    }
    return true;
}

static void read_line(int fd, const sigset_t *usual, const cc_t *keys, typed_line *l)
{
    unsigned char c = 0;
    bool more;
    do more = next_byte(fd, usual, -1, &c);
    while (more && take(l, c, keys));
    if (more && c == keys[VEOF] && l->n == 0 && !l->problem) l->problem = NOTHING;
    if (!more) l->problem = NOTHING;
}

/* Reads away what follows the line; an end of file (Ctrl-D) is nothing. */
static void refuse_more(int fd, const sigset_t *usual, const cc_t *keys, typed_line *l)
{
    unsigned char c;
    while (next_byte(fd, usual, QUIET_MS, &c)) {
        if (c != keys[VEOF]) l->problem = LINES;
    }
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

/* The question comes when the terminal is ready for the answer, and not before. */
static void ask(int fd, const char *question, bool echo, typed_line *l)
{
    struct termios before;
    struct sigaction actions[WATCHED];
    sigset_t usual;
    watch_signals(actions, &usual);
    l->problem = NULL;
    if (set_mode(fd, echo, &before)) {
        say(fd, question, strlen(question));
        read_line(fd, &usual, before.c_cc, l);
        if (!echo) refuse_more(fd, &usual, before.c_cc, l);
        tcsetattr(fd, TCSAFLUSH, &before);
    } else {
        l->problem = strerror(errno);
    }
    if (!echo) say(fd, "\n", 1);
    unwatch_signals(actions, &usual);
}

/* prompt(question, echo) -> text | nil, problem. */
int ml_cli_prompt(lua_State *L)
{
    const char *question = luaL_checkstring(L, 1);
    bool echo = lua_toboolean(L, 2);
    typed_line line = {.p = lua_newuserdatauv(L, LINE_MAX_BYTES, 0)};
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        lua_pushnil(L);
        lua_pushfstring(L, "no terminal: %s", strerror(errno));
        return 2;
    }
    ask(fd, question, echo, &line);
    close(fd);
    if (line.problem) {
        lua_pushnil(L);
        lua_pushstring(L, line.problem);
        return 2;
    }
    lua_pushlstring(L, line.p, line.n); /* the allocator scrubs the line itself */
    return 1;
}
