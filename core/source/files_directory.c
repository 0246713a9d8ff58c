/* files_directory.c - a directory of files as a source: keys are the names below it.
 *
 * Kubernetes mounts a secret as links into a directory that ..data points to, and
 * brings a new version by pointing ..data elsewhere:
 *
 *     password -> ..data/password      ..data -> ..2024_05_01 ..2024_05_01/password
 *
 * So where there is a ..data it is opened first, anew for each call, and everything is
 * looked up inside it: one version, never parts of two.  What is not found while the
 * directory is being replaced is looked up again in the new one. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "source/files_inside.h"
#include "source/read_file.h"

enum { MAX_DEPTH = 8, MAX_KEY = 1024, MAX_SEGMENT = 255, TRIES = 8, PATH_BYTES = 4096 };

/* ---- the directory that counts now --------------------------------------------------
 */

typedef struct root {
    int fd; /* -1: an errno */
    char path[PATH_BYTES];
    struct stat st;
} root;

static bool open_at(root *r, const files *f, const char *suffix)
{
    int n = snprintf(r->path, sizeof(r->path), "%s%s", f->o.path, suffix);
    if (n >= (int)sizeof(r->path)) errno = ENAMETOOLONG;
    r->fd = n < (int)sizeof(r->path) ? open(r->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                                     : -1;
    return r->fd >= 0 && fstat(r->fd, &r->st) == 0;
}

static bool open_root(root *r, const files *f)
{
    return open_at(r, f, "/..data") || (errno == ENOENT && open_at(r, f, ""));
}

/* Does its path still lead to the directory that is open? */
static bool is_current(const root *r)
{
    struct stat now;
    return stat(r->path, &now) == 0 && now.st_dev == r->st.st_dev &&
           now.st_ino == r->st.st_ino && now.st_nlink > 0;
}

/* Calls once(f, r, key, op) on the directory that counts, and again if it was replaced
 * while something was not found there. */
static void with_root(const files *f, ml_str key, ml_op *op,
                      void (*once)(const files *, const root *, ml_str, ml_op *))
{
    root r;
    for (int i = 0; i < TRIES; i++) {
        ml_err_clear(&op->err);
        ml_source_name_op(&f->source, key, op);
        ml_secrets_fini(&op->list);
        if (!open_root(&r, f)) {
            ml_err why = {0};
            ml_file_fail(&why, errno, f->o.path);
            ml_files_unread(f, op, &why);
            return;
        }
        once(f, &r, key, op);
        bool is_sure = is_current(&r);
        close(r.fd);
        if (is_sure || op->secret) return;
    }
    ml_secrets_fini(&op->list);
    ml_fail(&op->err, ML_EUNAVAILABLE, "%.200s is being replaced: try again",
            f->o.path);
}

/* ---- keys
 * ------------------------------------------------------------------------------ */

static const char *problem_of(const files *f, ml_str segment)
{
    if (segment.n == 0) return "it begins or ends with '/', or has two in a row";
    if (segment.n > MAX_SEGMENT) return "a part of it is longer than 255 bytes";
    if (ml_str_starts(segment, ML_LIT("..")) || ml_str_eq(segment, ML_LIT("."))) {
        return "'.' and names that begin with '..' are not looked up";
    }
    if (segment.p[0] == '.' && !f->o.shows_hidden) {
        return "names that begin with '.' are hidden (hidden = true shows them)";
    }
    return NULL;
}

static int check(const ml_source *s, ml_str key, ml_secret *value, ml_err *e)
{
    (void)value;
    const char *problem = NULL;
    if (key.n > MAX_KEY) problem = "it is longer than 1024 bytes";
    if (ml_str_find(key, '\0') < key.n) problem = "it holds a NUL byte";
    for (ml_str rest = key; !problem;) {
        size_t n = ml_str_find(rest, '/');
        problem = problem_of((const files *)s, (ml_str){rest.p, n});
        if (n == rest.n) break;
        rest = (ml_str){rest.p + n + 1, rest.n - n - 1};
    }
    if (!problem) return 0;
    return ml_fail(e, ML_EUSAGE, "not a file name for %.120s: %s", s->label, problem);
}

/* ---- get
 * ---------------------------------------------------------------------------------- */

static void get_once(const files *f, const root *r, ml_str key, ml_op *op)
{
    char name[MAX_KEY + 1], shown[PATH_BYTES];
    ml_buf text;
    ml_err why = {0};
    memcpy(name, key.p, key.n);
    name[key.n] = '\0';
    snprintf(shown, sizeof(shown), "%.160s/%.160s", f->o.path, name);
    if (ml_read_file(ml_open_beneath(r->fd, name), shown, &text, &why) == 0) {
        ml_files_found(f, op, key, ml_buf_str(&text));
        ml_buf_fini(&text);
    } else if (why.code == ML_EMISSING) {
        ml_files_no_key(f, op, key);
    } else {
        ml_fail(&op->err, why.code, "%s", why.text);
    }
}

static void get(const files *f, ml_str key, ml_op *op)
{
    with_root(f, key, op, get_once);
}

/* ---- list
 * -----------------------------------------------------------------------------------
 */

typedef struct walk {
    const files *f;
    int root_fd;
    ml_op *op;
    char path[MAX_KEY + 1]; /* of the directory that is read, with a '/' behind it */
    size_t n;
} walk;

static void walk_directory(walk *w, int fd, int depth);

static bool is_file_behind_link(const walk *w)
{
    struct stat st;
    int fd = ml_open_beneath(w->root_fd, w->path);
    bool is_file = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    if (fd >= 0) close(fd);
    return is_file;
}

/* w->path is the entry's. */
static void walk_entry(walk *w, int dir_fd, const char *name, size_t n, int depth)
{
    struct stat st;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) return; /* just removed */
    bool is_file = S_ISREG(st.st_mode);
    if (S_ISLNK(st.st_mode)) is_file = is_file_behind_link(w);
    if (is_file) ml_files_listed(w->f, w->op, (ml_str){w->path, n});
    if (!S_ISDIR(st.st_mode)) return;
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    /* one that was removed is none, not no list at all */
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) return;
    size_t before = w->n;
    w->path[n] = '/';
    w->n = n + 1;
    walk_directory(w, fd, depth + 1);
    w->n = before;
}

/* Closes fd; -1: an errno. */
static void walk_directory(walk *w, int fd, int depth)
{
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;
    if (depth > MAX_DEPTH) {
        ml_fail(&w->op->err, ML_EINVALID, "%.200s has more than %d levels",
                w->f->o.path, MAX_DEPTH);
    } else if (!dir) {
        ml_file_fail(&w->op->err, errno, w->f->o.path);
    }
    if (!dir && fd >= 0) close(fd);
    /* cppcheck-suppress readdirCalled ; nobody else has this stream */
    while (dir && w->op->err.code == 0 && (entry = readdir(dir))) {
        ml_str name = ml_str_of(entry->d_name);
        if (problem_of(w->f, name) || w->n + name.n >= MAX_KEY) continue;
        memcpy(w->path + w->n, name.p, name.n);
        w->path[w->n + name.n] = '\0';
        walk_entry(w, dirfd(dir), entry->d_name, w->n + name.n, depth);
    }
    if (dir) closedir(dir);
}

static void list_once(const files *f, const root *r, ml_str key, ml_op *op)
{
    (void)key;
    walk w = {.f = f, .root_fd = r->fd, .op = op};
    walk_directory(&w, openat(r->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), 1);
    if (op->err.code) ml_secrets_fini(&op->list);
}

static void list(const files *f, ml_op *op)
{
    with_root(f, (ml_str){0}, op, list_once);
}

const files_kind ml_files_directory = {
    {"directory", false, check, ml_files_start, ml_files_free}, "directory", get, list};
