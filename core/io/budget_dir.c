/* budget_dir.c - a directory in which processes of this host keep the budgets that they
 * share. */
#include "io/budget_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/path.h"

/* The owner of the directory, and of the files in it, decides who may share. */
static int check(const ml_budget_dir *d, ml_err *e)
{
    struct stat st;
    if (fstat(d->fd, &st) != 0)
        return ml_fail(e, ML_ESYSTEM, "budget_dir %s: %s", d->path, strerror(errno));
    if (st.st_uid != geteuid() && st.st_uid != 0) {
        return ml_fail(e, ML_EUSAGE,
                       "budget_dir %s belongs to user %u: it must belong to you (%u) "
                       "or to root",
                       d->path, (unsigned)st.st_uid, (unsigned)geteuid());
    }
    if ((st.st_mode & S_IWOTH) && !(st.st_mode & S_ISVTX)) {
        return ml_fail(e, ML_EUSAGE,
                       "budget_dir %s: everybody may replace files in it; try chmod "
                       "o-w, or chmod +t",
                       d->path);
    }
    return 0;
}

static int explain(const ml_budget_dir *d, int problem, ml_err *e)
{
    if (problem == ENOENT) {
        return ml_fail(e, ML_EUSAGE,
                       "budget_dir %s does not exist; try mkdir -m 700 %s", d->path,
                       d->path);
    }
    if (problem == ENOTDIR || problem == ELOOP) {
        return ml_fail(e, ML_EUSAGE,
                       "budget_dir %s must be a directory, and no symbolic link",
                       d->path);
    }
    return ml_fail(e, problem == EACCES ? ML_EUSAGE : ML_ESYSTEM, "budget_dir %s: %s",
                   d->path, strerror(problem));
}

int ml_budget_dir_open(ml_budget_dir **out, const char *path, ml_err *e)
{
    ml_budget_dir *d = ml_calloc(1, sizeof(*d));
    if (!d) return ml_fail(e, ML_ENOMEM, "out of memory");
    d->fd = -1;
    d->path = ml_path_absolute(path);
    if (!d->path) {
        ml_budget_dir_close(d);
        return ml_fail(e, ML_ENOMEM, "out of memory");
    }
    d->fd = open(d->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int rc = d->fd < 0 ? explain(d, errno, e) : check(d, e);
    if (rc < 0) {
        ml_budget_dir_close(d);
        return rc;
    }
    *out = d;
    return 0;
}

void ml_budget_dir_close(ml_budget_dir *d)
{
    if (!d) return;
    if (d->fd >= 0) close(d->fd);
    ml_free(d->path);
    ml_free(d);
}
