/* spawn.c - starting a program with posix_spawn; for child.c. */
#include "io/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"

/* Pointers into "a" NUL "b" NUL, and NULL; the caller frees the array. */
static char **pointers_into(const ml_buf *b)
{
    size_t n = 0;
    for (size_t i = 0; i < b->len; i++) n += b->data[i] == '\0';
    char **all = ml_calloc(n + 1, sizeof(*all));
    char *p = b->data;
    for (size_t i = 0; all && i < n; i++, p += strlen(p) + 1) all[i] = p;
    return all;
}

/* The input in memory: nothing to feed, no SIGPIPE, no deadlock.  -1: no descriptor. */
static int open_input(const ml_secret *input)
{
    if (!input) return open("/dev/null", O_RDONLY | O_CLOEXEC);
    int fd = memfd_create("input", MFD_CLOEXEC);
    ml_str left = ml_secret_value(input);
    while (fd >= 0 && left.n > 0) {
        ssize_t n = write(fd, left.p, left.n);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            close(fd);
            return -1;
        }
        left = (ml_str){left.p + n, left.n - (size_t)n};
    }
    if (fd >= 0) lseek(fd, 0, SEEK_SET);
    return fd;
}

static int set_actions(posix_spawn_file_actions_t *a, int input_fd, int output_fd)
{
    int rc = posix_spawn_file_actions_adddup2(a, input_fd, STDIN_FILENO);
    if (rc == 0) rc = posix_spawn_file_actions_adddup2(a, output_fd, STDOUT_FILENO);
    if (rc == 0) {
        rc = posix_spawn_file_actions_addopen(a, STDERR_FILENO, "/dev/null", O_WRONLY,
                                              0);
    }
    if (rc == 0) rc = posix_spawn_file_actions_addclosefrom_np(a, STDERR_FILENO + 1);
    return rc == 0 ? posix_spawn_file_actions_addchdir_np(a, "/") : rc;
}

static int set_attributes(posix_spawnattr_t *a)
{
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    int rc = posix_spawnattr_setsigdefault(a, &all);
    if (rc == 0) rc = posix_spawnattr_setsigmask(a, &none);
    if (rc != 0) return rc;
    return posix_spawnattr_setflags(a, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF |
                                           POSIX_SPAWN_SETSIGMASK);
}

/* The error number, 0 for none. */
static int run(const ml_child_request *q, int input_fd, int output_fd, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    char **argv = pointers_into(&q->argv);
    char **env = pointers_into(&q->env);
    const char *program = q->argv.data;
    int rc = argv && env && program ? posix_spawn_file_actions_init(&actions) : ENOMEM;
    if (rc == 0) {
        rc = posix_spawnattr_init(&attributes);
        if (rc == 0) {
            rc = set_actions(&actions, input_fd, output_fd);
            if (rc == 0) rc = set_attributes(&attributes);
            if (rc == 0)
                rc = posix_spawn(pid, program, &actions, &attributes, argv, env);
            posix_spawnattr_destroy(&attributes);
        }
        posix_spawn_file_actions_destroy(&actions);
    }
    ml_free(argv);
    ml_free(env);
    return rc;
}

/* Descriptors 0 to 2 may be closed in the host: ours must not be among them, or one
 * dup2 of the child would close another's source. */
static int above_standard(int fd)
{
    if (fd < 0 || fd > STDERR_FILENO) return fd;
    int higher = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    close(fd);
    return higher;
}

int ml_spawn(const ml_child_request *q, pid_t *pid, int *output_fd, ml_err *e)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return ml_fail(e, ML_ESYSTEM, "no pipe for a program: too many open files?");
    }
    ends[0] = above_standard(ends[0]);
    ends[1] = above_standard(ends[1]);
    int input_fd = above_standard(open_input(q->input));
    int rc = EMFILE;
    if (ends[0] >= 0 && ends[1] >= 0 && input_fd >= 0) {
        fcntl(ends[0], F_SETFL, O_NONBLOCK);
        rc = run(q, input_fd, ends[1], pid);
    }
    if (input_fd >= 0) close(input_fd);
    if (ends[1] >= 0) close(ends[1]);
    if (rc == 0) {
        *output_fd = ends[0];
        return 0;
    }
    if (ends[0] >= 0) close(ends[0]);
    char reason[64];
    return ml_fail(e, rc == ENOMEM ? ML_ENOMEM : ML_EINVALID,
                   "%.100s cannot be started: %s", q->argv.data,
                   strerror_r(rc, reason, sizeof(reason)));
}
