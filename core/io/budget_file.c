/* budget_file.c - one shared budget as a file: made, checked, mapped. */
#include "io/budget_file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"

enum { VERSION = 2, NAME_BYTES = 80, ROUNDS = 8, HASH_BYTES = 16 };

static const char magic[8] = {'m', 'o', 'o', 'n', 'l', 'b', 'u', 'd'};

/* ---- names and heads ---------------------------------------------------------------
 */

/* Clocks of other time namespaces say something else: so do the names of files. */
static void read_clock_id(char out[40])
{
    ssize_t n = readlink("/proc/self/ns/time", out, 39);
    out[n > 0 ? n : 0] = '\0';
}

bool ml_budget_file_name(const char *whose, char *out, size_t size)
{
    char text[ML_BUDGET_WHOSE + 80], clock_id[40], hex[2 * HASH_BYTES + 1];
    unsigned char hash[EVP_MAX_MD_SIZE];
    read_clock_id(clock_id);
    int n = snprintf(text, sizeof(text), "%d %zu %s %s", VERSION,
                     sizeof(ml_budget_file), clock_id, whose);
    if (!EVP_Digest(text, (size_t)n, hash, NULL, EVP_sha256(), NULL)) return false;
    for (int i = 0; i < HASH_BYTES; i++) snprintf(hex + 2L * i, 3, "%02x", hash[i]);
    snprintf(out, size, "moonlatch-%u-%s.budget", (unsigned)geteuid(), hex);
    return true;
}

/* "" when the kernel does not say: then all runs look the same. */
static void read_boot_id(char out[40])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, out, 39);
    out[n > 0 ? n : 0] = '\0';
    out[strcspn(out, "\n")] = '\0';
    if (fd >= 0) close(fd);
}

static ml_budget_head head_of(const char *whose)
{
    ml_budget_head h = {.version = VERSION, .size = sizeof(ml_budget_file)};
    memcpy(h.magic, magic, sizeof(h.magic));
    read_boot_id(h.boot_id);
    snprintf(h.whose, sizeof(h.whose), "%s", whose);
    return h;
}

/* All but the run of the host. */
static bool fits(const ml_budget_head *h, const char *whose)
{
    return memcmp(h->magic, magic, sizeof(h->magic)) == 0 && h->version == VERSION &&
           h->size == sizeof(ml_budget_file) &&
           strncmp(h->whose, whose, sizeof(h->whose) - 1) == 0;
}

bool ml_budget_file_is_good(const ml_budget_file *f, const char *whose)
{
    return fits(&f->head, whose) && atomic_load(&f->is_retired) == 0;
}

bool ml_budget_file_is_named(const ml_budget_dir *d, const char *whose,
                             const ml_budget_found *found)
{
    struct stat st;
    char name[NAME_BYTES];
    return ml_budget_file_name(whose, name, sizeof(name)) &&
           fstatat(d->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           st.st_dev == found->dev && st.st_ino == found->ino;
}

/* ---- making ------------------------------------------------------------------------
 */

static ml_budget_file *map(int fd)
{
    void *p =
        mmap(NULL, sizeof(ml_budget_file), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) return NULL;
    madvise(p, sizeof(ml_budget_file), MADV_DONTFORK); /* a child has no use for it */
    return p;
}

void ml_budget_file_unmap(ml_budget_file *f)
{
    if (f) munmap(f, sizeof(*f));
}

static bool init_lock(pthread_mutex_t *lock)
{
    pthread_mutexattr_t a;
    if (pthread_mutexattr_init(&a) != 0) return false;
    bool ok = pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED) == 0 &&
              pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST) == 0 &&
              pthread_mutex_init(lock, &a) == 0;
    pthread_mutexattr_destroy(&a);
    return ok;
}

/* Of an empty file.  Room is taken now: a full disk is an error here, and would be a
 * signal later. */
static ml_budget_file *make(int fd, const char *whose, int limit, int *problem)
{
    *problem = fchmod(fd, S_IRUSR | S_IWUSR) == 0
                   ? posix_fallocate(fd, 0, sizeof(ml_budget_file))
                   : errno;
    if (*problem) return NULL;
    ml_budget_file *f = map(fd);
    if (!f || !init_lock(&f->lock)) {
        *problem = f ? ENOTSUP : errno;
        ml_budget_file_unmap(f);
        return NULL;
    }
    ml_limiter_init(&f->limiter[0], limit);
    f->head = head_of(whose);
    memset(f->head.magic, 0, sizeof(f->head.magic));
    atomic_signal_fence(memory_order_seq_cst); /* who is killed here has no magic yet */
    memcpy(f->head.magic, magic, sizeof(f->head.magic));
    return f;
}

/* ---- opening -----------------------------------------------------------------------
 */

/* One opening, and what it has found out. */
typedef struct opening {
    const ml_budget_dir *dir;
    const char *whose;
    char name[NAME_BYTES];
    int fd, wait_ms; /* wait_ms: what is left of it */
    struct stat st;
    ml_err *e;
} opening;

typedef enum word { USE, MAKE, REPLACE, AGAIN, FAIL } word;

static word refuse(const opening *o, const char *why)
{
    ml_fail(o->e, ML_EUSAGE, "%s/%s: %s", o->dir->path, o->name, why);
    return FAIL;
}

/* While one makes or replaces it, others wait here, but not for one who is stopped. */
static bool wait_for_lock(opening *o)
{
    for (; flock(o->fd, LOCK_EX | LOCK_NB) != 0; o->wait_ms--) {
        if (o->wait_ms <= 0 || (errno != EWOULDBLOCK && errno != EINTR)) return false;
        nanosleep(&(struct timespec){.tv_nsec = 1000 * 1000}, NULL);
    }
    return true;
}

/* Nobody else's, and nobody else's to write to. */
static word check_owner(const opening *o)
{
    if (!S_ISREG(o->st.st_mode)) return refuse(o, "not a regular file");
    if (o->st.st_uid != geteuid())
        return refuse(o, "it belongs to another user; try another directory");
    if (o->st.st_nlink > 1) return refuse(o, "it has a second name");
    if (o->st.st_mode & (S_IRWXG | S_IRWXO))
        return refuse(o, "others may use it; try chmod 600");
    return USE;
}

static word check_content(const opening *o, ml_budget_news *news)
{
    ml_budget_head head, wanted = head_of(o->whose);
    if (o->st.st_size == 0) return MAKE;
    *news = ML_BUDGET_DAMAGED;
    if (o->st.st_size != (off_t)sizeof(ml_budget_file)) return REPLACE;
    if (pread(o->fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head)) return REPLACE;
    if (!fits(&head, o->whose)) return REPLACE;
    uint32_t is_retired = 0;
    if (pread(o->fd, &is_retired, sizeof(is_retired),
              offsetof(ml_budget_file, is_retired)) != (ssize_t)sizeof(is_retired) ||
        is_retired)
        return REPLACE;
    *news = ML_BUDGET_OLD;
    if (wanted.boot_id[0] &&
        memcmp(head.boot_id, wanted.boot_id, sizeof(head.boot_id)) != 0)
        return REPLACE;
    *news = ML_BUDGET_AS_IT_WAS;
    return USE;
}

/* Opens and locks; afterwards it is still the file of that name. */
static word look(opening *o, ml_budget_news *news)
{
    o->fd = openat(o->dir->fd, o->name,
                   O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                   S_IRUSR | S_IWUSR);
    if (o->fd < 0)
        return refuse(o, errno == ELOOP ? "a symbolic link; try removing it"
                                        : strerror(errno));
    if (fstat(o->fd, &o->st) != 0) return refuse(o, strerror(errno));
    word w = check_owner(o);
    if (w == FAIL) return w;
    if (!wait_for_lock(o)) return refuse(o, "it is locked");
    struct stat named;
    if (fstat(o->fd, &o->st) != 0) return refuse(o, strerror(errno));
    if (fstatat(o->dir->fd, o->name, &named, AT_SYMLINK_NOFOLLOW) != 0 ||
        named.st_ino != o->st.st_ino || named.st_dev != o->st.st_dev)
        return AGAIN;
    return check_content(o, news);
}

/* Who has it mapped is told, if it has a place for that.  The name is ours to take: who
 * wants to make a file of that name needs the lock of this one first. */
static void retire(const opening *o)
{
    const uint32_t one = 1;
    if (o->st.st_size == (off_t)sizeof(ml_budget_file) &&
        pwrite(o->fd, &one, sizeof(one), offsetof(ml_budget_file, is_retired)) < 0)
        return; /* cannot happen to a file of ours */
    unlinkat(o->dir->fd, o->name, 0);
}

static ml_budget_file *finish(opening *o, word w, int limit)
{
    int problem = 0;
    ml_budget_file *f = w == USE ? map(o->fd) : make(o->fd, o->whose, limit, &problem);
    if (!f) refuse(o, strerror(problem ? problem : errno));
    return f;
}

/* A mapping would keep the lock, as it keeps the opening that it was made of. */
static void let_go(opening *o)
{
    if (o->fd < 0) return;
    flock(o->fd, LOCK_UN);
    close(o->fd);
    o->fd = -1;
}

ml_budget_file *ml_budget_file_map(const ml_budget_dir *d, const char *whose, int limit,
                                   int wait_ms, ml_budget_found *found, ml_err *e)
{
    opening o = {.dir = d, .whose = whose, .fd = -1, .wait_ms = wait_ms, .e = e};
    ml_budget_news seen = ML_BUDGET_AS_IT_WAS;
    *found = (ml_budget_found){.news = ML_BUDGET_AS_IT_WAS};
    if (!ml_budget_file_name(whose, o.name, sizeof(o.name))) {
        ml_fail(e, ML_ENOMEM, "out of memory");
        return NULL;
    }
    for (int i = 0; i < ROUNDS; i++) {
        word w = look(&o, &seen);
        ml_budget_file *f = w == USE || w == MAKE ? finish(&o, w, limit) : NULL;
        if (w == REPLACE) {
            retire(&o);
            found->news = seen;
        }
        found->dev = o.st.st_dev;
        found->ino = o.st.st_ino;
        let_go(&o);
        if (w == USE || w == MAKE || w == FAIL) return f;
    }
    refuse(&o, "it is replaced again and again");
    return NULL;
}
