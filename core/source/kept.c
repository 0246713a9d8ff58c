/* kept.c - what sources said, kept for a while: the entries, their states and limits.
 */
#include "source/kept.h"

#include <stddef.h>
#include <string.h>

#include "base/err.h"
#include "base/glob.h"
#include "base/hash.h"
#include "base/mem.h"

enum {
    FIRST_BUCKETS = 64,
    PINNED_FACTOR = 10,
    OVERHEAD = 48, /* of the allocator, and the entry's part of the table */
    SWEEP = 2,     /* dead ones looked for at each new entry */
    MAX_TEXT = 4096
};

struct ml_kept {
    ml_kept_limits limits;
    ml_entry **buckets;
    size_t n_buckets;
    size_t n, bytes;
    ml_lru use;
    uint32_t last_source;
};

ml_kept *ml_kept_new(const ml_kept_limits *l)
{
    ml_kept *c = ml_calloc(1, sizeof(*c));
    if (!c) return NULL;
    *c = (ml_kept){.limits = *l, .n_buckets = FIRST_BUCKETS};
    c->buckets = ml_calloc(FIRST_BUCKETS, sizeof(ml_entry *));
    if (c->buckets) return c;
    ml_free(c);
    return NULL;
}

uint32_t ml_kept_new_source(ml_kept *c)
{
    return ++c->last_source;
}

ml_keep ml_kept_default(const ml_kept *c, bool is_pinned)
{
    ml_keep keep = c->limits.keep;
    if (is_pinned) keep.ttl_ms *= PINNED_FACTOR;
    return keep;
}

size_t ml_kept_count(const ml_kept *c, size_t *bytes)
{
    if (bytes) *bytes = c->bytes;
    return c->n;
}

/* ---- the table: all versions of a store's key are in one chain ------------------- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static uint32_t store_of(const ml_kept_key *k)
{
    return k->store ? k->store : k->source;
}

static uint32_t hash_of(const ml_kept_key *k)
{
    uint32_t store = store_of(k);
    uint64_t hash = ml_hash_add(ML_HASH_SEED, &store, sizeof(store));
    for (size_t i = 0; i < k->key.n; i++) {
        char c = k->ignores_case ? lower(k->key.p[i]) : k->key.p[i];
        hash = ml_hash_add(hash, &c, 1);
    }
    return (uint32_t)ml_hash_mixed(hash);
}

static ml_str key_of(const ml_entry *en)
{
    return (ml_str){en->texts, en->key_len};
}

static ml_str version_of(const ml_entry *en)
{
    return (ml_str){en->texts + en->key_len + 1, en->version_len};
}

static ml_str name_of(const ml_entry *en)
{
    return ml_str_of(en->texts + en->key_len + en->version_len + 2);
}

static bool has_key(const ml_entry *en, uint32_t hash, const ml_kept_key *k)
{
    if (en->hash != hash || en->store != store_of(k)) return false;
    return k->ignores_case ? ml_str_ieq(key_of(en), k->key)
                           : ml_str_eq(key_of(en), k->key);
}

static ml_entry **bucket_of(const ml_kept *c, uint32_t hash)
{
    return &c->buckets[hash & (c->n_buckets - 1)];
}

static ml_entry *look(const ml_kept *c, const ml_kept_key *k)
{
    uint32_t hash = hash_of(k);
    ml_entry *en = *bucket_of(c, hash);
    while (en && !(en->source == k->source && has_key(en, hash, k) &&
                   ml_str_eq(version_of(en), k->version))) {
        en = en->chain;
    }
    return en;
}

/* Twice as many buckets; without memory the chains get longer, that is all. */
static void grow(ml_kept *c)
{
    size_t n = c->n_buckets * 2;
    ml_entry **buckets = ml_calloc(n, sizeof(ml_entry *));
    if (!buckets) return;
    for (size_t i = 0; i < c->n_buckets; i++) {
        for (ml_entry *en = c->buckets[i], *next; en; en = next) {
            next = en->chain;
            en->chain = buckets[en->hash & (n - 1)];
            buckets[en->hash & (n - 1)] = en;
        }
    }
    ml_free(c->buckets);
    c->buckets = buckets;
    c->n_buckets = n;
}

static size_t block_bytes(ml_str key, ml_str version, ml_str name)
{
    size_t n = offsetof(ml_entry, texts) + key.n + version.n + name.n + 3;
    return n < sizeof(ml_entry) ? sizeof(ml_entry) : n;
}

/* Not kept with it: there may be many. */
static size_t size_of(const ml_entry *en)
{
    return block_bytes(key_of(en), version_of(en), name_of(en));
}

static void drop(ml_kept *c, ml_entry *en)
{
    ml_entry **at = bucket_of(c, en->hash);
    while (*at != en) at = &(*at)->chain;
    *at = en->chain;
    ml_lru_remove(&c->use, &en->use);
    c->n--;
    c->bytes -= en->cost;
    ml_secret_unref(en->secret);
    ml_free(en->failure);
    ml_scrub_free(en, size_of(en));
}

/* ---- limits ---------------------------------------------------------------------- */

/* Weighs it again after a change of what it holds. */
static void weigh(ml_kept *c, ml_entry *en)
{
    size_t cost = size_of(en) + OVERHEAD + (en->failure ? sizeof(ml_err) : 0) +
                  (en->secret ? ml_secret_size(en->secret) : 0);
    c->bytes = c->bytes - en->cost + cost;
    en->cost = (uint32_t)cost;
}

static bool is_over(const ml_kept *c)
{
    return c->n > c->limits.max_entries || c->bytes > c->limits.max_bytes;
}

/* Drops from the old end; what is in flight is not old. */
static void shrink(ml_kept *c)
{
    for (size_t left = c->n; left > 0 && is_over(c); left--) {
        ml_entry *oldest = (ml_entry *)c->use.oldest;
        if (oldest->flight)
            ml_lru_touch(&c->use, &oldest->use);
        else
            drop(c, oldest);
    }
}

/* Secrets that no rule may use any more do not wait until there is need for room. */
static void sweep(ml_kept *c, int64_t now_ms)
{
    for (int i = 0; i < SWEEP && c->use.oldest; i++) {
        ml_entry *oldest = (ml_entry *)c->use.oldest;
        if (!oldest->flight && now_ms >= oldest->dies_ms)
            drop(c, oldest);
        else
            ml_lru_touch(&c->use, &oldest->use);
    }
}

/* ---- finding --------------------------------------------------------------------- */

const ml_entry *ml_kept_peek(const ml_kept *c, const ml_kept_key *k)
{
    return look(c, k);
}

ml_entry *ml_kept_find(ml_kept *c, const ml_kept_key *k)
{
    ml_entry *en = look(c, k);
    if (en) ml_lru_touch(&c->use, &en->use);
    return en;
}

static char *place(char *at, ml_str text)
{
    if (text.n) memcpy(at, text.p, text.n);
    at[text.n] = '\0';
    return at + text.n + 1;
}

static ml_entry *add(ml_kept *c, const ml_kept_key *k, ml_str name)
{
    if (k->key.n > MAX_TEXT || k->version.n > MAX_TEXT || name.n > MAX_TEXT)
        return NULL;
    ml_entry *en = ml_malloc(block_bytes(k->key, k->version, name));
    if (!en) return NULL;
    *en = (ml_entry){.hash = hash_of(k),
                     .source = k->source,
                     .store = store_of(k),
                     .key_len = (uint16_t)k->key.n,
                     .version_len = (uint16_t)k->version.n};
    place(place(place(en->texts, k->key), k->version), name);
    if (c->n >= c->n_buckets) grow(c);
    ml_entry **at = bucket_of(c, en->hash);
    en->chain = *at;
    *at = en;
    ml_lru_add(&c->use, &en->use);
    c->n++;
    weigh(c, en);
    return en;
}

void ml_kept_note_name(ml_entry *en, ml_str name)
{
    if (en && name.n && !ml_str_eq(name_of(en), name)) en->has_many_names = true;
}

ml_entry *ml_kept_want(ml_kept *c, const ml_kept_key *k, ml_str name)
{
    ml_entry *en = ml_kept_find(c, k);
    if (!en) return add(c, k, name);
    ml_kept_note_name(en, name);
    return en;
}

/* ---- states ---------------------------------------------------------------------- */

static bool would_take_stale(const ml_keep *keep, int failure)
{
    return failure == ML_ETHROTTLED
               ? keep->stale_throttled
               : failure == ML_EUNAVAILABLE && keep->stale_unavailable;
}

/* How old a value is when it counts as late. */
static int64_t late_ms(const ml_kept *c, int64_t ttl_ms)
{
    int percent = c->limits.refresh_percent;
    if (percent > 100) return INT64_MAX;
    return ttl_ms / 100 * percent + ttl_ms % 100 * percent / 100;
}

/* Of an entry with a value. */
static ml_kept_state state_of_value(const ml_kept *c, const ml_entry *en,
                                    const ml_keep *keep, int64_t now_ms, int64_t *ms)
{
    int64_t age_ms = now_ms - en->confirmed_ms;
    *ms = keep->ttl_ms - age_ms;
    if (*ms > 0) {
        bool is_late = age_ms >= late_ms(c, keep->ttl_ms);
        return is_late && now_ms >= en->rests_until_ms ? ML_KEPT_LATE : ML_KEPT_FRESH;
    }
    *ms = age_ms;
    if (age_ms > keep->stale_ttl_ms) return en->flight ? ML_KEPT_FLIGHT : ML_KEPT_EMPTY;
    if (!en->failure || now_ms >= en->rests_until_ms ||
        !would_take_stale(keep, en->failure->code)) {
        return ML_KEPT_STALE;
    }
    *ms = en->rests_until_ms - now_ms;
    return ML_KEPT_RESTING;
}

ml_kept_state ml_kept_state_of(const ml_kept *c, const ml_entry *en,
                               const ml_keep *keep, int64_t now_ms, int64_t *ms)
{
    int64_t unseen;
    if (!ms) ms = &unseen;
    *ms = 0;
    if (!en) return ML_KEPT_EMPTY;
    if (en->secret) return state_of_value(c, en, keep, now_ms, ms);
    *ms = keep->negative_ttl_ms - (now_ms - en->confirmed_ms);
    if (en->is_negative && *ms > 0) return ML_KEPT_NEGATIVE;
    *ms = 0;
    return en->flight ? ML_KEPT_FLIGHT : ML_KEPT_EMPTY;
}

ml_secret *ml_kept_stale(const ml_entry *en, int64_t max_age_ms, int64_t now_ms,
                         int64_t *age_ms)
{
    if (!en || !en->secret) return NULL;
    *age_ms = now_ms - en->confirmed_ms;
    return *age_ms <= max_age_ms ? ml_secret_ref(en->secret) : NULL;
}

/* ---- the end of a flight ----------------------------------------------------------
 */

static void clear(ml_entry *en)
{
    ml_secret_unref(en->secret);
    ml_free(en->failure);
    en->secret = NULL;
    en->failure = NULL;
    en->is_negative = false;
    en->rests_until_ms = 0;
}

static bool set_failure(ml_entry *en, const ml_err *e)
{
    ml_err *copy = ml_malloc(sizeof(*copy));
    if (!copy) return false;
    ml_err_copy(copy, e);
    ml_free(en->failure);
    en->failure = copy;
    return true;
}

static int64_t longer(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void live(ml_entry *en, const ml_keep *keep)
{
    bool takes_stale = keep->stale_throttled || keep->stale_unavailable;
    int64_t life_ms = longer(keep->ttl_ms, takes_stale ? keep->stale_ttl_ms : 0);
    en->life_s = (uint32_t)longer(en->life_s, (life_ms + 999) / 1000);
    en->dies_ms = en->confirmed_ms + (int64_t)en->life_s * 1000;
}

void ml_kept_note_keep(ml_entry *en, const ml_keep *keep)
{
    if (en->secret) live(en, keep);
}

static bool settle_found(ml_entry *en, ml_secret *secret, const ml_keep *keep,
                         int64_t now_ms)
{
    clear(en);
    en->confirmed_ms = now_ms;
    live(en, keep);
    if (en->life_s == 0) return false;
    en->secret = ml_secret_ref(secret);
    return true;
}

static bool settle_missing(ml_entry *en, const ml_err *e, const ml_keep *keep,
                           int64_t now_ms)
{
    clear(en);
    if (keep->negative_ttl_ms <= 0 || !set_failure(en, e)) return false;
    en->is_negative = true;
    en->confirmed_ms = now_ms;
    en->dies_ms = now_ms + keep->negative_ttl_ms;
    return true;
}

/* Answers the question whether en stays. */
static bool settle(ml_entry *en, ml_secret *secret, const ml_err *e,
                   const ml_keep *keep, int64_t now_ms, int64_t rest_ms)
{
    if (secret) return settle_found(en, secret, keep, now_ms);
    switch (e->code) {
    case ML_EMISSING: return settle_missing(en, e, keep, now_ms);
    case ML_EDISABLED:
    case ML_EFORBIDDEN:
    case ML_EUNAUTHENTICATED: return false; /* what was true before is no more */
    case ML_ETHROTTLED:
    case ML_EUNAVAILABLE:
        if (en->secret && set_failure(en, e)) en->rests_until_ms = now_ms + rest_ms;
        break;
    default: break; /* canceled, out of memory, ...: nothing was learned */
    }
    return (en->secret || en->is_negative) && now_ms < en->dies_ms;
}

void ml_kept_settle(ml_kept *c, ml_entry *en, ml_secret *secret, const ml_err *e,
                    const ml_keep *keep, int64_t now_ms, int64_t rest_ms)
{
    en->flight = NULL;
    if (!settle(en, secret, e, keep, now_ms, rest_ms)) {
        drop(c, en);
        return;
    }
    weigh(c, en);
    if (en->cost > c->limits.max_bytes) { /* all others would have to go for it */
        drop(c, en);
        return;
    }
    ml_lru_touch(&c->use, &en->use);
    sweep(c, now_ms);
    shrink(c);
}

/* ---- forgetting --------------------------------------------------------------------
 */

void ml_kept_forget_key(ml_kept *c, const ml_kept_key *k)
{
    uint32_t hash = hash_of(k);
    for (ml_entry *en = *bucket_of(c, hash), *next; en; en = next) {
        next = en->chain;
        if (has_key(en, hash, k)) drop(c, en);
    }
}

static bool is_of_source(const ml_entry *en, const void *source)
{
    return en->source == *(const uint32_t *)source;
}

static bool is_of_store(const ml_entry *en, const void *store)
{
    return en->store == *(const uint32_t *)store;
}

static bool has_name_like(const ml_entry *en, const void *pattern)
{
    const ml_str *p = pattern;
    return p->n == 0 || en->has_many_names || ml_glob_match(*p, name_of(en));
}

static void drop_all(ml_kept *c, bool (*fits)(const ml_entry *, const void *),
                     const void *what)
{
    for (ml_lru_node *n = c->use.recent, *older; n; n = older) {
        older = n->older;
        if (fits((ml_entry *)n, what)) drop(c, (ml_entry *)n);
    }
}

void ml_kept_forget_source(ml_kept *c, uint32_t source)
{
    drop_all(c, is_of_source, &source);
}

void ml_kept_forget_store(ml_kept *c, const ml_kept_key *k)
{
    uint32_t store = store_of(k);
    drop_all(c, is_of_store, &store);
}

void ml_kept_forget(ml_kept *c, ml_str pattern)
{
    drop_all(c, has_name_like, &pattern);
}

void ml_kept_free(ml_kept *c)
{
    if (!c) return;
    ml_kept_forget(c, (ml_str){0});
    ml_free(c->buckets);
    ml_free(c);
}
