/* mem.c - memory of the library: where it comes from, and how it is erased for good. */
#include "base/mem.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

void *ml_malloc(size_t n)
{
    return malloc(n ? n : 1); /* allowed: the one place */
}

void *ml_calloc(size_t count, size_t n)
{
    return calloc(count ? count : 1, n ? n : 1); /* allowed: the one place */
}

void ml_free(void *p)
{
    free(p); /* allowed: the one place */
}

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
