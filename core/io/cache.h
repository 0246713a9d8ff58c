/* cache.h - answers kept for a while: bounded, thread-safe, scrubbed when dropped.
 *
 * A hit costs a hash, one short lock of a sixteenth of the table, and a reference. */
#pragma once
#include "base/secret.h"

typedef struct ml_cache ml_cache;

/* NULL when out of memory. */
ml_cache *ml_cache_new(size_t max_bytes);
void ml_cache_free(ml_cache *c); /* accepts NULL */

/* Key of an answer: what the caller asked, unambiguously. */
typedef struct ml_cache_key {
    const char *name;
    const char *version; /* NULL: the latest */
    const ml_pair *context;
    size_t n_context;
} ml_cache_key;

/* A new reference, or NULL.  now_ms: monotonic. */
ml_secret *ml_cache_get(ml_cache *c, const ml_cache_key *k, int64_t now_ms);
/* How much longer this answer is kept, in milliseconds; 0: it is not.  Not a use. */
int64_t ml_cache_left_ms(ml_cache *c, const ml_cache_key *k, int64_t now_ms);
/* Takes a reference of its own.  Drops the least recently used when full; what cannot
 * be kept is simply not kept. */
void ml_cache_put(ml_cache *c, const ml_cache_key *k, ml_secret *s, int64_t expires_ms);
void ml_cache_clear(ml_cache *c);
