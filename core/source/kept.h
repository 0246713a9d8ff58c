/* kept.h - what sources said, kept for a while: the cache in front of every source.
 *
 * One entry for each (source, key without case where the source has none, version):
 *
 *             a call                  found
 *     EMPTY ----------> FLIGHT --------------------> FRESH <---------------+
 *       ^                 |  \                         |  \  late in ttl    | found
 *       |  anything else  |   \ missing                |   +-> REFRESHING --+
 *       +-----------------+    +---> NEGATIVE          | ttl is over
 *       |                              | negative_ttl  v
 *       +------------------------------+             STALE ---> FLIGHT, keeping the
 * value: |                                              |        found: FRESH
 *       +----------------------------------------------+        throttled, unavailable:
 *          stale_ttl is over, or the source says missing,        STALE, and resting
 *          disabled, forbidden or unauthenticated
 *
 * The entry holds facts only: the secret, when it was last confirmed, how the last
 * flight failed.  How old is too old comes with each call (ml_keep), because rules
 * differ.  A STALE value never answers by itself: the rule asks for it after a failure.
 * While an entry rests (1 to 5 s after a failure) calls whose rule would be content
 * with the stale value get the failure again, without a request.
 *
 * No clock and no I/O here; flight.c asks sources.  Not thread-safe: under the
 * resolver's lock. */
#pragma once
#include "base/lru.h"
#include "base/secret.h"

typedef struct ml_kept ml_kept;
typedef struct ml_flight ml_flight;

/* How long, and for what; of a rule, or the defaults.  Milliseconds. */
typedef struct ml_keep {
    int64_t ttl_ms;          /* a value answers so long after it was confirmed */
    int64_t negative_ttl_ms; /* a missing does; -1: it does not, but what was found
                              * further down lives as if it did for ttl_ms */
    int64_t stale_ttl_ms;    /* a value may stand in for a failure so long */
    bool stale_throttled;    /* the rule takes it for this failure */
    bool stale_unavailable;  /* and for this one */
} ml_keep;

typedef struct ml_kept_limits {
    size_t max_bytes, max_entries;
    ml_keep keep;        /* what rules that say nothing get */
    int refresh_percent; /* of a ttl, when a value counts as late; over 100: never */
} ml_kept_limits;

typedef struct ml_kept_key {
    uint32_t source; /* of ml_kept_new_source */
    uint32_t store;  /* alike for sources that change the same keys; 0: it is alone */
    ml_str key;
    ml_str version; /* empty: the latest */
    bool ignores_case;
} ml_kept_key;

typedef enum ml_kept_state {
    ML_KEPT_EMPTY,
    ML_KEPT_FLIGHT, /* asked, no value that could answer */
    ML_KEPT_FRESH,
    ML_KEPT_LATE, /* FRESH, and time to ask again ahead */
    ML_KEPT_STALE,
    ML_KEPT_NEGATIVE,
    ML_KEPT_RESTING /* STALE, and the failure is repeated without a request */
} ml_kept_state;

typedef struct ml_entry {
    ml_lru_node use; /* first: an entry is one */
    struct ml_entry *chain;
    ml_flight *flight; /* whose answer will be kept here; NULL: none */
    ml_secret *secret; /* NULL: no value */
    ml_err *failure;   /* missing while NEGATIVE, else why the entry rests */
    int64_t confirmed_ms;
    int64_t rests_until_ms;
    int64_t dies_ms; /* nobody will want it any more */
    uint32_t life_s; /* the longest that any of its askers would use a value */
    uint32_t hash, source, store;
    uint32_t cost; /* in all */
    uint16_t key_len, version_len;
    bool is_negative;
    bool has_many_names; /* more names than the one below led here */
    char texts[];        /* key as asked first, version, name; each ends in NUL */
} ml_entry;

/* NULL when out of memory. */
ml_kept *ml_kept_new(const ml_kept_limits *l);
void ml_kept_free(ml_kept *c); /* accepts NULL; no flights any more */
/* A number for a source, never used before. */
uint32_t ml_kept_new_source(ml_kept *c);
/* The defaults for a call; a pinned version's value cannot change, so by default it is
 * kept ten times as long. */
ml_keep ml_kept_default(const ml_kept *c, bool is_pinned);

/* NULL: there is none.  find counts as a use; peek does not. */
ml_entry *ml_kept_find(ml_kept *c, const ml_kept_key *k);
const ml_entry *ml_kept_peek(const ml_kept *c, const ml_kept_key *k);
/* find, or a new one.  name: who asks.  NULL when out of memory. */
ml_entry *ml_kept_want(ml_kept *c, const ml_kept_key *k, ml_str name);

/* This name is answered with what en holds, too.  en may be NULL. */
void ml_kept_note_name(ml_entry *en, ml_str name);
/* Whoever keeps like this is answered with the value of en: it lives as long as that
 * one would use it, too. */
void ml_kept_note_keep(ml_entry *en, const ml_keep *keep);

/* en may be NULL.  *ms, if given: what is left (FRESH, LATE, NEGATIVE, RESTING), or the
 * age (STALE). */
ml_kept_state ml_kept_state_of(const ml_kept *c, const ml_entry *en,
                               const ml_keep *keep, int64_t now_ms, int64_t *ms);
/* A reference to a value of at most max_age_ms, fresh or not; or NULL. */
ml_secret *ml_kept_stale(const ml_entry *en, int64_t max_age_ms, int64_t now_ms,
                         int64_t *age_ms);

/* The flight of en has ended; en may be gone afterwards.  secret: found; else *e. keep:
 * the longest of those who asked. */
void ml_kept_settle(ml_kept *c, ml_entry *en, ml_secret *secret, const ml_err *e,
                    const ml_keep *keep, int64_t now_ms, int64_t rest_ms);

/* Dropping; flights under way are cut off: their answers reach who waits, and are not
 * kept. */
void ml_kept_forget_key(ml_kept *c, const ml_kept_key *k); /* every version, of every
                                                            * source of its store */
void ml_kept_forget_source(ml_kept *c, uint32_t source);
void ml_kept_forget_store(ml_kept *c, const ml_kept_key *k); /* every key */
/* By the names that led there (glob.h); empty: everything. */
void ml_kept_forget(ml_kept *c, ml_str pattern);
size_t ml_kept_count(const ml_kept *c, size_t *bytes);
