/* system.c - `moonlatch.system`: what the commands need and Lua does not have.
 *
 * Reads and writes go through read(2) and write(2): stdio would keep a copy of a value
 * in a buffer that nobody scrubs. */
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "cli/cli.h"

enum { FILE_MAX_BYTES = 4 * 1024 * 1024 };

static int push_problem(lua_State *L, int problem)
{
    lua_pushnil(L);
    lua_pushstring(L, strerror(problem));
    return 2;
}

/* 0, or an errno. */
static int write_all(int fd, const char *p, size_t len)
{
    while (len) {
        ssize_t put = write(fd, p, len);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return errno;
        p += put;
        len -= (size_t)put;
    }
    return 0;
}

/* write(bytes) -> true | nil, problem: to stdout.  A reader that left ends the program
 * quietly, as it ends others. */
static int system_write(lua_State *L)
{
    size_t len = 0;
    const char *p = luaL_checklstring(L, 1, &len);
    int problem = write_all(STDOUT_FILENO, p, len);
    if (problem == EPIPE) {
        signal(SIGPIPE, SIG_DFL);
        raise(SIGPIPE);
    }
    if (problem) return push_problem(L, problem);
    lua_pushboolean(L, 1);
    return 1;
}

/* 0, or an errno. */
static int read_all(int fd, ml_buf *b)
{
    char chunk[4096];
    ssize_t got = 0;
    int problem = 0;
    do {
        got = read(fd, chunk, sizeof(chunk));
        if (got > 0)
            ml_buf_add(b, chunk, (size_t)got);
        else if (got < 0 && errno != EINTR)
            problem = errno;
    } while (!problem && got != 0 && ml_buf_ok(b));
    OPENSSL_cleanse(chunk, sizeof(chunk));
    return problem ? problem : ml_buf_ok(b) ? 0 : EFBIG;
}

/* read_file(path, max) -> bytes | nil, problem, is_too_long; without a path: stdin.
 * Stops reading behind max bytes, by default 4 MiB. */
static int system_read_file(lua_State *L)
{
    const char *path = luaL_optstring(L, 1, NULL);
    lua_Integer max = luaL_optinteger(L, 2, FILE_MAX_BYTES);
    luaL_argcheck(L, max > 0 && max <= FILE_MAX_BYTES, 2, "1 byte to 4 MiB");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
    if (fd < 0) return push_problem(L, errno);
    ml_buf b;
    ml_buf_init(&b, (size_t)max);
    int problem = read_all(fd, &b);
    if (path) close(fd);
    int pushed = 1;
    if (problem) {
        pushed = push_problem(L, problem) + 1;
        lua_pushboolean(L, problem == EFBIG);
    } else {
        lua_pushlstring(L, b.len ? b.data : "", b.len);
    }
    ml_buf_fini(&b);
    return pushed;
}

/* Writes the bytes at 2 to a file that open makes of the path at 1. */
static int write_file(lua_State *L, int flags, mode_t mode)
{
    const char *path = luaL_checkstring(L, 1);
    size_t len = 0;
    const char *p = luaL_checklstring(L, 2, &len);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, mode);
    if (fd < 0) return push_problem(L, errno);
    int problem = write_all(fd, p, len);
    if (close(fd) != 0 && !problem) problem = errno;
    if (problem && (flags & O_EXCL)) unlink(path); /* nobody else's */
    if (problem) return push_problem(L, problem);
    lua_pushboolean(L, 1);
    return 1;
}

/* write_file(path, bytes) -> true | nil, problem: over one that exists. */
static int system_write_file(lua_State *L)
{
    return write_file(L, O_TRUNC, 0666);
}

/* create_file(path, bytes) -> true | nil, problem: for this user only, never over one
 * that exists. */
static int system_create_file(lua_State *L)
{
    return write_file(L, O_EXCL, 0600);
}

static int system_is_readable(lua_State *L)
{
    lua_pushboolean(L, access(luaL_checkstring(L, 1), R_OK) == 0);
    return 1;
}

/* has_variables(prefix) -> boolean: is any variable's name longer than this prefix and
 * begins with it? */
static int system_has_variables(lua_State *L)
{
    size_t len = 0;
    const char *prefix = luaL_checklstring(L, 1, &len);
    bool found = false;
    for (char **p = environ; p && *p && !found; p++) {
        found = strncmp(*p, prefix, len) == 0 && (*p)[len] && (*p)[len] != '=';
    }
    lua_pushboolean(L, found);
    return 1;
}

static int system_isatty(lua_State *L)
{
    lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)));
    return 1;
}

static int system_mono_ms(lua_State *L)
{
    lua_pushinteger(L, ml_mono_ms(&ml_system_clock));
    return 1;
}

static int system_versions(lua_State *L)
{
    lua_newtable(L);
    lua_pushstring(L, curl_version_info(CURLVERSION_NOW)->version);
    lua_setfield(L, -2, "libcurl");
    lua_pushstring(L, OpenSSL_version(OPENSSL_VERSION_STRING));
    lua_setfield(L, -2, "openssl");
    lua_pushliteral(L, LUA_VERSION_MAJOR "." LUA_VERSION_MINOR "." LUA_VERSION_RELEASE);
    lua_setfield(L, -2, "lua");
    return 1;
}

static const luaL_Reg functions[] = {
    {"write", system_write},
    {"read_file", system_read_file},
    {"create_file", system_create_file},
    {"write_file", system_write_file},
    {"is_readable", system_is_readable},
    {"has_variables", system_has_variables},
    {"dotenv", ml_cli_dotenv},
    {"isatty", system_isatty},
    {"prompt", ml_cli_prompt},
    {"mono_ms", system_mono_ms},
    {"versions", system_versions},
    {NULL, NULL},
};

int ml_cli_open_system(lua_State *L)
{
    luaL_newlib(L, functions);
    ml_cli_add_dev_vault(L);
    ml_cli_add_signals(L);
    return 1;
}
