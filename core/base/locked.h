/* locked.h - where secret bytes live: locked in RAM, in no core dump, between guard
 * pages, scrubbed when given up.
 *
 * One pool (pool.h) for the process, because secrets outlive handles; from any thread.
 * Where RLIMIT_MEMLOCK does not let everything be locked the rest still has all but the
 * lock, and is counted. */
#pragma once
#include <stddef.h>

/* Aligned as malloc's.  NULL when out of memory. */
void *ml_locked_alloc(size_t size);
/* Scrubs size bytes, which are all, then frees.  p may be NULL. */
void ml_locked_free(void *p, size_t size);
/* For those who forget how much they asked for: all that p may hold, to read and write,
 * and to give back by. */
size_t ml_locked_room(const void *p);
/* A copy that ends in NUL; given back by ml_locked_free(p, strlen(p)). */
char *ml_locked_dup(const char *text);

/* Bytes of the pages that hold secrets now. */
typedef struct ml_locked_bytes {
    size_t locked;
    size_t unlocked; /* not for want of trying */
} ml_locked_bytes;
ml_locked_bytes ml_locked_count(void);

/* What the build gives to lua-cjson and libyaml instead of malloc and its kin, because
 * values pass through them (core/CMakeLists.txt). */
void *ml_tied_malloc(size_t n);
void *ml_tied_realloc(void *p, size_t n);
void ml_tied_free(void *p);
char *ml_tied_strdup(const char *text);
