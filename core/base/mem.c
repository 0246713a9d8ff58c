/* mem.c - the one primitive that erases bytes for good. */
#include "base/mem.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

void ml_scrub(void *p, size_t n)
{
    if (p && n) OPENSSL_cleanse(p, n);
}

void ml_scrub_free(void *p, size_t n)
{
    ml_scrub(p, n);
    free(p);
}

char *ml_dup_n(const char *p, size_t n)
{
    char *copy = malloc(n + 1);
    if (!copy) return NULL;
    if (n) memcpy(copy, p, n);
    copy[n] = '\0';
    return copy;
}

char *ml_dup(const char *text)
{
    return text ? ml_dup_n(text, strlen(text)) : NULL;
}
