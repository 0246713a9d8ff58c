/* mem.h - memory of the library: where it comes from, and how it is erased for good. */
#pragma once
#include <stddef.h>

/* What the whole library allocates with, libc's or the host's (ml_use_allocator); a
 * block of at least one byte, aligned for anything.  NULL when out of memory.  ml_free
 * accepts NULL. */
void *ml_malloc(size_t n);
void *ml_calloc(size_t count, size_t n);
/* Of a struct that has an ml_err at an offset: zero, but for what is behind the "" of
 * the error's strings.  An error is the larger part of what has one, and few happen:
 * memory that is not touched costs nothing.  It goes to others by ml_err_copy (err.h).
 */
void *ml_alloc_with_err(size_t bytes, size_t err_at);
void ml_free(void *p);
/* From now on ml_use_allocator refuses. */
void ml_allocator_settle(void);

/* Overwrites n bytes in a way that the compiler may not remove.  p may be NULL. */
void ml_scrub(void *p, size_t n);
/* ml_scrub, then ml_free. */
void ml_scrub_free(void *p, size_t n);
/* A copy that ends in NUL; for texts that are not secret.  NULL when out of memory. */
char *ml_dup(const char *text);
char *ml_dup_n(const char *p, size_t n);
