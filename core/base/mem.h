/* mem.h - the one primitive that erases bytes for good. */
#pragma once
#include <stddef.h>

/* Overwrites n bytes in a way that the compiler may not remove.  p may be NULL. */
void ml_scrub(void *p, size_t n);
/* ml_scrub, then free. */
void ml_scrub_free(void *p, size_t n);
/* A copy that ends in NUL; for texts that are not secret.  NULL when out of memory. */
char *ml_dup(const char *text);
char *ml_dup_n(const char *p, size_t n);
