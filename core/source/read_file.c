/* read_file.c - a small regular file as bytes that scrub themselves. */
#include "source/read_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"

enum {
    /* A FIFO opens without a writer, a terminal does not become ours. */
    FLAGS = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
    TRIES = 4 /* when the file or the tree changes under our hands */
};

int ml_open_file(const char *path)
{
    return open(path, FLAGS);
}

/* Where a descriptor leads, without a NUL; 0 when the system does not tell. */
static size_t real_path(int fd, char out[PATH_MAX])
{
    char link[64];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, out, PATH_MAX);
    return n > 0 && n < PATH_MAX ? (size_t)n : 0;
}

int ml_open_and_check(int root_fd, const char *name)
{
    char root[PATH_MAX], found[PATH_MAX];
    int fd = openat(root_fd, name, FLAGS);
    if (fd < 0) return -1;
    size_t n_root = real_path(root_fd, root), n = real_path(fd, found);
    ml_str below = {found, n};
    if (n_root && n > n_root && ml_str_starts(below, (ml_str){root, n_root}) &&
        (found[n_root] == '/' || root[n_root - 1] == '/')) {
        return fd;
    }
    close(fd);
    errno = EXDEV;
    return -1;
}

int ml_open_beneath(int root_fd, const char *name)
{
    struct open_how how = {.flags = FLAGS,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    long fd = -1;
    for (int i = 0; i < TRIES; i++) { /* EAGAIN: a rename somewhere, meanwhile */
        fd = syscall(SYS_openat2, root_fd, name, &how, sizeof(how));
        if (fd >= 0 || errno != EAGAIN) break;
    }
    /* EPERM: a sandbox that does not know the call. */
    if (fd >= 0 || (errno != ENOSYS && errno != EPERM)) return (int)fd;
    return ml_open_and_check(root_fd, name);
}

int ml_file_fail(ml_err *e, int problem, const char *shown)
{
    char why[64];
    const char *text = strerror_r(problem, why, sizeof(why));
    switch (problem) {
    case ENOENT:
    case ENOTDIR: return ml_fail(e, ML_EMISSING, "there is no file %.200s", shown);
    case EACCES:
    case EPERM:
        return ml_fail(e, ML_EFORBIDDEN,
                       "%.200s may not be read (%s): give this user access to it and "
                       "to the directories above it",
                       shown, text);
    case EXDEV:
        return ml_fail(e, ML_EFORBIDDEN,
                       "%.200s is a link that leads out of the source's directory",
                       shown);
    case ELOOP:
    case ENXIO: /* a socket */
    case ENODEV: return ml_fail(e, ML_EINVALID, "%.200s is not a regular file", shown);
    default: return ml_fail(e, ML_EUNAVAILABLE, "%.200s: %s", shown, text);
    }
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* From the start to the end; 0, or an errno (EFBIG: past the buffer's maximum). */
static int read_all(int fd, ml_buf *out)
{
    char chunk[4096];
    off_t at = 0;
    ssize_t n;
    do {
        n = pread(fd, chunk, sizeof(chunk), at);
        if (n > 0) ml_buf_add(out, chunk, (size_t)n);
        if (n > 0) at += n;
    } while ((n > 0 && ml_buf_ok(out)) || (n < 0 && errno == EINTR));
    int problem = n < 0 ? errno : 0;
    ml_scrub(chunk, sizeof(chunk));
    if (problem || ml_buf_ok(out)) return problem;
    return out->is_full ? EFBIG : ENOMEM;
}

static int too_large(ml_err *e, const char *shown)
{
    return ml_fail(e, ML_EINVALID, "%.200s is larger than %d bytes", shown,
                   ML_FILE_MAX_BYTES);
}

/* One that is written in place is read again, rather than half old and half new. */
static int read_steady(int fd, const char *shown, ml_buf *out, ml_err *e)
{
    struct stat before, after;
    for (int i = 0; i < TRIES; i++) {
        if (fstat(fd, &before) != 0) return ml_file_fail(e, errno, shown);
        if (!S_ISREG(before.st_mode)) return ml_file_fail(e, ENODEV, shown);
        if (before.st_size > ML_FILE_MAX_BYTES) return too_large(e, shown);
        ml_buf_clear(out);
        int problem = read_all(fd, out);
        if (problem == EFBIG) return too_large(e, shown);
        if (problem == ENOMEM) return ml_fail(e, ML_ENOMEM, "out of memory");
        if (problem) return ml_file_fail(e, problem, shown);
        if (fstat(fd, &after) == 0 && is_same(&before, &after)) return 0;
    }
    return ml_fail(e, ML_EUNAVAILABLE, "%.200s is being written: try again", shown);
}

int ml_read_file(int fd, const char *shown, ml_buf *out, ml_err *e)
{
    if (fd < 0) return ml_file_fail(e, errno, shown);
    ml_buf_init(out, ML_FILE_MAX_BYTES);
    int rc = read_steady(fd, shown, out, e);
    close(fd);
    if (rc < 0) ml_buf_fini(out);
    return rc;
}

ml_str ml_trim_newline(ml_str text)
{
    if (ml_str_ends(text, ML_LIT("\n"))) {
        text.n--;
        if (ml_str_ends(text, ML_LIT("\r"))) text.n--;
    }
    return text;
}
