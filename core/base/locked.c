/* locked.c - the pool of secrets: one for the process, for any thread. */
#include "base/locked.h"

#include <pthread.h>
#include <string.h>

#include "base/pool.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static ml_pool pool = {.locks = true};

/* ---- fork ---------------------------------------------------------------------- */

/* A child may give up secrets, as it may call free: nobody is inside when it begins. */
static void enter(void)
{
    pthread_mutex_lock(&lock);
}

static void leave(void)
{
    pthread_mutex_unlock(&lock);
}

static void leave_in_child(void)
{
    ml_pool_forked(&pool);
    pthread_mutex_unlock(&lock);
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int atfork_code;

static void watch_forks(void)
{
    atfork_code = pthread_atfork(enter, leave, leave_in_child);
}

/* ---- blocks -------------------------------------------------------------------- */

void *ml_locked_alloc(size_t size)
{
    pthread_once(&once, watch_forks);
    if (atfork_code != 0) return NULL;
    enter();
    void *p = ml_pool_alloc(&pool, size);
    leave();
    return p;
}

void ml_locked_free(void *p, size_t size)
{
    if (!p) return;
    enter();
    ml_pool_free(&pool, p, size);
    leave();
}

/* Without the lock: what says so does not change while the block lives. */
size_t ml_locked_room(const void *p)
{
    return ml_pool_room(p);
}

char *ml_locked_dup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = ml_locked_alloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

ml_locked_bytes ml_locked_count(void)
{
    enter();
    ml_locked_bytes now = {pool.locked_bytes, pool.page_bytes - pool.locked_bytes};
    leave();
    return now;
}

/* ---- for archives that were written for malloc ------------------------------------
 */

void *ml_tied_malloc(size_t n)
{
    return ml_locked_alloc(n);
}

void ml_tied_free(void *p)
{
    if (p) ml_locked_free(p, ml_locked_room(p));
}

void *ml_tied_realloc(void *p, size_t n)
{
    void *fresh = ml_locked_alloc(n);
    if (!fresh || !p) return fresh;
    size_t old = ml_locked_room(p);
    memcpy(fresh, p, old < n ? old : n);
    ml_tied_free(p);
    return fresh;
}

char *ml_tied_strdup(const char *text)
{
    return ml_locked_dup(text);
}
