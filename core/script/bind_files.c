/* bind_files.c - how a policy is read while it loads: files, and directories of them.
 *
 * A policy file may be anything that can be read; what it names itself (the files of
 * teams, and those of a directory) are regular files below the policy's own directory:
 * symbolic links may not lead out of it, whoever may write there. */
#include "script/bind_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "script/bytes.h"
#include "script/state.h"

enum { FILE_MAX_BYTES = 1024 * 1024, NAMES_MAX_BYTES = 256 * 1024 };

static const char CLASS[] = "moonlatch.file_text";

static const char LEAVES[] = "it is not below the directory of the policy: neither .. "
                             "nor a symbolic link may lead out of it";
static const char NO_FILE[] = "it is not a regular file";
static const char TOO_LONG[] = "it is larger than 1 MiB";
static const char TOO_MANY[] = "it has too many files";

/* ---- opening ------------------------------------------------------------------- */

static bool is_dots(const char *p, size_t n)
{
    return n == 2 && p[0] == '.' && p[1] == '.';
}

static bool stays_below(const char *path)
{
    if (*path == '/' || *path == '\0') return false;
    for (const char *p = path; *p;) {
        size_t n = strcspn(p, "/");
        if (is_dots(p, n)) return false;
        p += n;
        while (*p == '/') p++;
    }
    return true;
}

enum { FLAGS = O_RDONLY | O_CLOEXEC | O_NOCTTY };

int ml_script_walk_below(int dir, const char *path)
{
    char part[NAME_MAX + 1];
    int at = fcntl(dir, F_DUPFD_CLOEXEC, 0);
    while (at >= 0) {
        size_t n = strcspn(path, "/");
        bool is_last = path[n] == '\0';
        errno = ENAMETOOLONG;
        if (n >= sizeof(part)) break;
        memcpy(part, path, n);
        part[n] = '\0';
        int flags = FLAGS | O_NOFOLLOW | (is_last ? O_NONBLOCK : O_DIRECTORY);
        int next = openat(at, part, flags);
        int problem = errno;
        close(at);
        errno = problem;
        if (is_last) return next;
        at = next;
        path += n;
        while (*path == '/') path++;
    }
    if (at >= 0) close(at);
    return -1;
}

/* Where openat2 is not there, or a sandbox of the host's refuses it, links are. */
static int open_below(int dir, const char *path)
{
    struct open_how how = {.flags = FLAGS | O_NONBLOCK,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    int fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
    if (fd >= 0 || (errno != ENOSYS && errno != EPERM)) return fd;
    return ml_script_walk_below(dir, path);
}

/* ---- reading ------------------------------------------------------------------- */

/* A buffer that Lua frees, whatever is raised. */
static ml_buf *push_buffer(lua_State *L, size_t max)
{
    ml_buf *b = lua_newuserdatauv(L, sizeof(*b), 0);
    ml_buf_init(b, max);
    luaL_setmetatable(L, CLASS);
    return b;
}

static int buffer_gc(lua_State *L)
{
    ml_buf_fini(luaL_checkudata(L, 1, CLASS));
    return 0;
}

/* NULL, or what went wrong: static text. */
static const char *read_all(int fd, ml_buf *b)
{
    char chunk[4096];
    ssize_t got;
    int problem = 0;
    do {
        got = read(fd, chunk, sizeof(chunk));
        if (got > 0) ml_buf_add(b, chunk, (size_t)got);
        if (got < 0 && errno != EINTR) problem = errno;
    } while (got != 0 && !problem && ml_buf_ok(b));
    ml_scrub(chunk, sizeof(chunk));
    if (problem) return strerror(problem);
    return ml_buf_ok(b) ? NULL : TOO_LONG;
}

static int push_problem(lua_State *L, const char *problem)
{
    lua_pushnil(L);
    lua_pushstring(L, problem);
    return 2;
}

static int push_file(lua_State *L, const ml_buf *b, const struct stat *st)
{
    lua_pushlstring(L, b->len ? b->data : "", b->len);
    lua_pushboolean(L, (st->st_mode & S_IWOTH) != 0);
    return 2;
}

/* No file is read but while a policy loads. */
static void check_loading(lua_State *L)
{
    if (ml_vm_of(L)->running) luaL_error(L, "files are read while a policy loads only");
}

/* core.policy_file(path) -> text, is_world_writable | nil, problem, is_directory */
static int policy_file(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    check_loading(L);
    ml_buf *b = push_buffer(L, FILE_MAX_BYTES);
    struct stat st = {0};
    int fd = open(path, FLAGS);
    if (fd < 0) return push_problem(L, strerror(errno));
    bool is_directory = fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
    const char *problem = is_directory ? strerror(EISDIR) : read_all(fd, b);
    close(fd);
    ml_script_need_memory(L, b);
    if (!problem) return push_file(L, b, &st);
    push_problem(L, problem);
    lua_pushboolean(L, is_directory);
    return 3;
}

static const char *read_below(const char *dir, const char *path, ml_buf *b,
                              struct stat *st)
{
    if (!stays_below(path)) return LEAVES;
    int at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = at < 0 ? -1 : open_below(at, path);
    int problem = errno;
    if (at >= 0) close(at);
    if (fd < 0)
        return problem == EXDEV || problem == ELOOP ? LEAVES : strerror(problem);
    bool is_file = fstat(fd, st) == 0 && S_ISREG(st->st_mode);
    const char *text = is_file ? read_all(fd, b) : NO_FILE;
    close(fd);
    return text;
}

/* core.policy_file_below(dir, path) -> text, is_world_writable | nil, problem */
static int policy_file_below(lua_State *L)
{
    const char *dir = luaL_checkstring(L, 1);
    const char *path = luaL_checkstring(L, 2);
    check_loading(L);
    ml_buf *b = push_buffer(L, FILE_MAX_BYTES);
    struct stat st = {0};
    const char *problem = read_below(dir, path, b, &st);
    ml_script_need_memory(L, b);
    return problem ? push_problem(L, problem) : push_file(L, b, &st);
}

/* ---- directories --------------------------------------------------------------- */

static int is_policy(const struct dirent *d)
{
    return d->d_name[0] != '.' && ml_str_ends(ml_str_of(d->d_name), ML_LIT(".lua"));
}

/* Bytes, not letters: the order is the same whatever the host's locale is. */
static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* The names of *.lua in order, each with its NUL; NULL, or what went wrong. */
static const char *read_names(const char *path, ml_buf *b)
{
    struct dirent **found = NULL;
    int n = scandir(path, &found, is_policy, by_bytes);
    if (n < 0) return strerror(errno);
    for (int i = 0; i < n; i++) {
        ml_buf_add(b, found[i]->d_name, strlen(found[i]->d_name) + 1);
        free(found[i]); /* allowed: scandir's */
    }
    free(found); /* allowed: scandir's */
    return ml_buf_ok(b) ? NULL : TOO_MANY;
}

static int push_names(lua_State *L, const ml_buf *b)
{
    lua_newtable(L);
    const char *p = b->data;
    for (lua_Integer i = 1; b->len && p < b->data + b->len; i++, p += strlen(p) + 1) {
        lua_pushstring(L, p);
        lua_rawseti(L, -2, i);
    }
    return 1;
}

/* core.policy_names(dir) -> the names of *.lua, sorted by bytes, without hidden ones
 * | nil, problem */
static int policy_names(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    check_loading(L);
    ml_buf *b = push_buffer(L, NAMES_MAX_BYTES);
    const char *problem = read_names(path, b);
    ml_script_need_memory(L, b);
    return problem ? push_problem(L, problem) : push_names(L, b);
}

void ml_script_add_files(lua_State *L)
{
    static const luaL_Reg functions[] = {{"policy_file", policy_file},
                                         {"policy_file_below", policy_file_below},
                                         {"policy_names", policy_names},
                                         {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
    luaL_newmetatable(L, CLASS);
    lua_pushcfunction(L, buffer_gc);
    lua_setfield(L, -2, "__gc");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}
