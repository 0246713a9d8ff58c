/* cache.h - answers kept for a while: bounded, thread-safe, scrubbed when dropped.
 *
 * A hit costs a hash, one short lock that threads hardly share, and a reference. */
#pragma once
#include "base/secret.h"

typedef struct ml_cache ml_cache;

/* NULL when out of memory.  The limits are split evenly over sixteen parts. */
ml_cache *ml_cache_new(size_t max_bytes, size_t max_entries);
void ml_cache_free(ml_cache *c); /* accepts NULL */

/* Key of an answer: what the caller asked of which policy, unambiguously. */
typedef struct ml_cache_key {
    uint64_t generation; /* of the policy */
    const char *name;
    const char *version; /* NULL: the latest */
    const ml_pair *context;
    size_t n_context;
} ml_cache_key;

/* What a hit says besides. */
typedef enum ml_cache_due {
    ML_CACHE_FINE,
    ML_CACHE_REFRESH, /* have it made anew, you alone: then put it, or let it rest */
    ML_CACHE_HELP     /* that is under way: turn the loop once, if nobody does */
} ml_cache_due;

/* A new reference, or NULL.  now_ms: monotonic. */
ml_secret *ml_cache_get(ml_cache *c, const ml_cache_key *k, int64_t now_ms,
                        ml_cache_due *due);
/* How much longer this answer is kept, in milliseconds; 0: it is not.  Not a use. */
int64_t ml_cache_left_ms(ml_cache *c, const ml_cache_key *k, int64_t now_ms);

typedef struct ml_cache_life {
    int64_t expires_ms;
    int64_t refresh_ms; /* when a hit is due; INT64_MAX: never */
} ml_cache_life;

/* Takes a reference of its own.  Drops what was not used for longest when full (nearly:
 * see cache.c); what cannot be kept is simply not kept. */
void ml_cache_put(ml_cache *c, const ml_cache_key *k, ml_secret *s,
                  const ml_cache_life *life);
/* Making it anew has failed: not due again before until_ms; -1: drop it. */
void ml_cache_rest(ml_cache *c, const ml_cache_key *k, int64_t until_ms);
/* Drops the answers to names that match (glob.h). */
void ml_cache_forget(ml_cache *c, ml_str pattern);
void ml_cache_clear(ml_cache *c);

/* Of all gets so far, and of this moment. */
typedef struct ml_cache_counts {
    uint64_t hits;
    uint64_t bytes, entries;
} ml_cache_counts;
ml_cache_counts ml_cache_count(const ml_cache *c); /* without a lock */
