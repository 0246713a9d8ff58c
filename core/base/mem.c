/* mem.c - memory of the library: where it comes from, and how it is erased for good. */
#include "base/mem.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

/* ---- where it comes from ---------------------------------------------------- */

/* The host's; empty: libc's.  Written once, before the first handle is opened: whoever
 * has a handle reads it without a lock. */
static ml_allocator given;
static bool is_settled;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

int ml_use_allocator(const ml_allocator *a, ml_err *e)
{
    ml_err_clear(e);
    if (!a || a->size < sizeof(size_t) || a->size > sizeof(*a)) {
        return ml_fail(e, ML_EUSAGE,
                       "the allocator was not filled with ML_ALLOCATOR_INIT of "
                       "version " ML_VERSION " or older");
    }
    ml_allocator full = {0};
    memcpy(&full, a, a->size);
    if (!full.alloc || !full.release)
        return ml_fail(e, ML_EUSAGE, "an allocator needs both alloc and release");
    pthread_mutex_lock(&lock);
    bool is_late = is_settled;
    if (!is_late) given = full;
    is_settled = true;
    pthread_mutex_unlock(&lock);
    if (!is_late) return 0;
    return ml_fail(e, ML_EUSAGE,
                   "it is too late for another allocator: use one only, before the "
                   "first ml_open");
}

void ml_allocator_settle(void)
{
    pthread_mutex_lock(&lock);
    is_settled = true;
    pthread_mutex_unlock(&lock);
}

void *ml_malloc(size_t n)
{
    if (given.alloc) return given.alloc(given.arg, n ? n : 1);
    return malloc(n); /* allowed: the one place; glibc's has a block for 0 bytes, too */
}

void *ml_calloc(size_t count, size_t n)
{
    size_t size;
    if (!given.alloc) return calloc(count, n); /* allowed: the one place */
    if (__builtin_mul_overflow(count, n, &size)) return NULL;
    if (size == 0) size = 1;
    void *p = given.alloc(given.arg, size);
    return p ? memset(p, 0, size) : NULL;
}

void *ml_alloc_with_err(size_t bytes, size_t err_at)
{
    size_t behind = err_at + sizeof(ml_err);
    char *p = ml_malloc(bytes);
    if (!p) return NULL;
    memset(p, 0, err_at);
    ml_err_init((ml_err *)(void *)(p + err_at));
    memset(p + behind, 0, bytes - behind);
    return p;
}

void ml_free(void *p)
{
    if (!given.alloc)
        free(p); /* allowed: the one place */
    else if (p)
        given.release(given.arg, p);
}

/* ---- erasing, copying ------------------------------------------------------ */

void ml_scrub(void *p, size_t n)
{
    if (p && n) OPENSSL_cleanse(p, n);
}

void ml_scrub_free(void *p, size_t n)
{
    ml_scrub(p, n);
    ml_free(p);
}

char *ml_dup_n(const char *p, size_t n)
{
    char *copy = ml_malloc(n + 1);
    if (!copy) return NULL;
    if (n) memcpy(copy, p, n);
    copy[n] = '\0';
    return copy;
}

char *ml_dup(const char *text)
{
    return text ? ml_dup_n(text, strlen(text)) : NULL;
}
