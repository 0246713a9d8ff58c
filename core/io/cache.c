/* cache.c - answers kept for a while: bounded, thread-safe, scrubbed when dropped.
 *
 * Sixteen shards, each with a table of chains and its entries in order of use.  A shard
 * has sixteen locks: who only reads takes the one of its thread, who changes takes them
 * all.  So threads that hit do not wait for each other, not even for one whose time on
 * the processor ended inside.  Readers mark an entry as used; when room is needed, the
 * oldest that has the mark loses it and becomes the most recent.
 *
 * An entry past its `refresh_ms` is due: one caller is told to have it made anew while
 * it still serves; until that has come, others are told now and then to help. */
#include "io/cache.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/glob.h"
#include "base/hash.h"
#include "base/lru.h"
#include "base/mem.h"
#include "base/threads.h"

enum { SHARDS = 16, READERS = ML_THREAD_SLOTS, BUCKETS = 1024, ENTRY_OVERHEAD = 64 };

typedef struct entry entry;
struct entry {
    ml_lru_node use; /* first: an entry is one */
    entry *chain;
    ml_secret *secret;
    int64_t expires_ms;
    _Atomic int64_t refresh_ms; /* when to say that it is due */
    uint64_t hash;
    uint64_t generation;
    uint32_t cost;
    uint32_t key_len;
    atomic_bool is_refreshing; /* somebody was told to make it anew */
    atomic_bool was_used;      /* since it last became the most recent */
    char key[];                /* begins with the name */
};

/* What some of the threads have for themselves. */
typedef struct reader {
    _Alignas(64) pthread_mutex_t lock;
    _Atomic uint64_t hits;
} reader;

typedef struct shard {
    reader readers[READERS];
    entry *buckets[BUCKETS];
    ml_lru use;
    _Atomic size_t bytes; /* atomic for who counts without a lock */
    _Atomic size_t entries;
} shard;

struct ml_cache {
    size_t max_shard_bytes;
    size_t max_shard_entries;
    shard shards[SHARDS];
};

ml_cache *ml_cache_new(size_t max_bytes, size_t max_entries)
{
    ml_cache *c = NULL;
    if (posix_memalign((void **)&c, 64, sizeof(*c)) != 0) return NULL;
    memset(c, 0, sizeof(*c));
    c->max_shard_bytes = max_bytes / SHARDS;
    c->max_shard_entries = max_entries / SHARDS + (max_entries % SHARDS != 0);
    for (int i = 0; i < SHARDS; i++) {
        for (int k = 0; k < READERS; k++)
            pthread_mutex_init(&c->shards[i].readers[k].lock, NULL);
    }
    return c;
}

/* ---- locks ------------------------------------------------------------------------
 */

/* The calling thread's, of this shard. */
static reader *reader_of(shard *s)
{
    return &s->readers[ml_thread_slot()];
}

static void lock_all(shard *s)
{
    for (int i = 0; i < READERS; i++) pthread_mutex_lock(&s->readers[i].lock);
}

static void unlock_all(shard *s)
{
    for (int i = 0; i < READERS; i++) pthread_mutex_unlock(&s->readers[i].lock);
}

/* ---- keys: every part has an end mark, so that no two calls share one -----------
 */

typedef struct key_walk {
    uint64_t hash;
    uint64_t generation;
    size_t len;
    char *out; /* NULL: only hash and measure */
} key_walk;

static void walk_bytes(key_walk *w, const void *p, size_t n)
{
    w->hash = ml_hash_add(w->hash, p, n);
    if (w->out) memcpy(w->out + w->len, p, n);
    w->len += n;
}

static void walk_text(key_walk *w, const char *text)
{
    size_t n = text ? strlen(text) : 0;
    walk_bytes(w, text ? text : "", n);
    walk_bytes(w, text ? "\0" : "\1", 2); /* texts hold no NUL: this ends each */
}

static void walk_key(key_walk *w, const ml_cache_key *k)
{
    w->hash = ML_HASH_SEED ^ k->generation;
    w->generation = k->generation;
    w->len = 0;
    walk_text(w, k->name);
    walk_text(w, k->version);
    for (size_t i = 0; i < k->n_context; i++) {
        walk_text(w, k->context[i].name);
        walk_text(w, k->context[i].value);
    }
}

enum { KEY_ON_STACK = 512 };

static bool is_key_of(const entry *en, const key_walk *w, const char *key)
{
    return en->hash == w->hash && en->key_len == w->len &&
           en->generation == w->generation && memcmp(en->key, key, w->len) == 0;
}

/* ---- a locked shard
 * ------------------------------------------------------------------ */

static entry **bucket_of(shard *s, uint64_t hash)
{
    return &s->buckets[(ml_hash_mixed(hash) / SHARDS) % BUCKETS];
}

static void free_entry(entry *en)
{
    if (!en) return;
    ml_secret_unref(en->secret);
    ml_scrub_free(en, sizeof(*en) + en->key_len);
}

static void drop(shard *s, entry *en)
{
    entry **at = bucket_of(s, en->hash);
    while (*at != en) at = &(*at)->chain;
    *at = en->chain;
    ml_lru_remove(&s->use, &en->use);
    s->bytes -= en->cost;
    s->entries--;
    free_entry(en);
}

static entry *find(shard *s, const key_walk *w, const char *key)
{
    entry *en = *bucket_of(s, w->hash);
    while (en && !is_key_of(en, w, key)) en = en->chain;
    return en;
}

static shard *shard_of(ml_cache *c, uint64_t hash)
{
    return &c->shards[ml_hash_mixed(hash) % SHARDS];
}

/* Of an entry that was hit. */
static ml_cache_due due_of(entry *en, int64_t now_ms)
{
    int64_t at_ms = atomic_load_explicit(&en->refresh_ms, memory_order_relaxed);
    /* Not each of a million hits. */
    if (now_ms < at_ms ||
        !atomic_compare_exchange_strong(&en->refresh_ms, &at_ms, now_ms + 1))
        return ML_CACHE_FINE;
    return atomic_exchange(&en->is_refreshing, true) ? ML_CACHE_HELP : ML_CACHE_REFRESH;
}

static void drop_expired(shard *s, const key_walk *w, const char *key, int64_t now_ms)
{
    lock_all(s);
    entry *en = find(s, w, key);
    if (en && now_ms >= en->expires_ms) drop(s, en);
    unlock_all(s);
}

static ml_secret *hit(ml_cache *c, const key_walk *w, const char *key, int64_t now_ms,
                      ml_cache_due *due)
{
    shard *s = shard_of(c, w->hash);
    reader *mine = reader_of(s);
    ml_secret *found = NULL;
    pthread_mutex_lock(&mine->lock);
    entry *en = find(s, w, key);
    if (en && now_ms < en->expires_ms) {
        if (!atomic_load_explicit(&en->was_used, memory_order_relaxed))
            atomic_store_explicit(&en->was_used, true, memory_order_relaxed);
        found = ml_secret_ref(en->secret);
        *due = due_of(en, now_ms);
    }
    if (found) { /* this lock guards it: no need to add atomically */
        uint64_t hits = atomic_load_explicit(&mine->hits, memory_order_relaxed);
        atomic_store_explicit(&mine->hits, hits + 1, memory_order_relaxed);
    }
    pthread_mutex_unlock(&mine->lock);
    if (en && !found) drop_expired(s, w, key, now_ms);
    return found;
}

/* ---- the public side
 * ------------------------------------------------------------------- */

static size_t measure(const ml_cache_key *k)
{
    size_t n = strlen(k->name) + (k->version ? strlen(k->version) : 0) + 4;
    for (size_t i = 0; i < k->n_context; i++) {
        n += strlen(k->context[i].name) + strlen(k->context[i].value) + 4;
    }
    return n;
}

/* Writes the key out, on the stack if it fits; what it returns goes to drop_key. */
static char *write_key(const ml_cache_key *k, char *small, key_walk *w)
{
    size_t n = measure(k);
    *w = (key_walk){.out = n <= KEY_ON_STACK ? small : malloc(n)};
    if (w->out) walk_key(w, k);
    return w->out;
}

static void drop_key(char *key, const char *small)
{
    if (key != small) free(key);
}

ml_secret *ml_cache_get(ml_cache *c, const ml_cache_key *k, int64_t now_ms,
                        ml_cache_due *due)
{
    char small[KEY_ON_STACK];
    key_walk w;
    *due = ML_CACHE_FINE;
    char *key = write_key(k, small, &w);
    ml_secret *found = key ? hit(c, &w, key, now_ms, due) : NULL;
    drop_key(key, small);
    return found;
}

int64_t ml_cache_left_ms(ml_cache *c, const ml_cache_key *k, int64_t now_ms)
{
    char small[KEY_ON_STACK];
    key_walk w;
    char *key = write_key(k, small, &w);
    if (!key) return 0;
    shard *s = shard_of(c, w.hash);
    reader *mine = reader_of(s);
    pthread_mutex_lock(&mine->lock);
    const entry *en = find(s, &w, key);
    int64_t left_ms = en && en->expires_ms > now_ms ? en->expires_ms - now_ms : 0;
    pthread_mutex_unlock(&mine->lock);
    drop_key(key, small);
    return left_ms;
}

static entry *make_entry(const ml_cache_key *k, ml_secret *secret,
                         const ml_cache_life *life)
{
    size_t n = measure(k);
    entry *en = malloc(sizeof(*en) + n);
    if (!en) return NULL;
    *en = (entry){.secret = ml_secret_ref(secret),
                  .expires_ms = life->expires_ms,
                  .refresh_ms = life->refresh_ms,
                  .generation = k->generation,
                  .key_len = (uint32_t)n};
    key_walk w = {.out = en->key};
    walk_key(&w, k);
    en->hash = w.hash;
    en->cost = (uint32_t)(sizeof(*en) + n + ml_secret_size(secret) + ENTRY_OVERHEAD);
    return en;
}

/* Second chance: who was used since goes to the end of the line once more. */
static void make_room(const ml_cache *c, shard *s, size_t cost)
{
    while (s->use.oldest && (s->bytes + cost > c->max_shard_bytes ||
                             s->entries >= c->max_shard_entries)) {
        entry *en = (entry *)s->use.oldest;
        if (atomic_exchange(&en->was_used, false))
            ml_lru_touch(&s->use, &en->use);
        else
            drop(s, en);
    }
}

static void add(shard *s, entry *en)
{
    entry **at = bucket_of(s, en->hash);
    en->chain = *at;
    *at = en;
    ml_lru_add(&s->use, &en->use);
    s->bytes += en->cost;
    s->entries++;
}

void ml_cache_put(ml_cache *c, const ml_cache_key *k, ml_secret *secret,
                  const ml_cache_life *life)
{
    entry *en = make_entry(k, secret, life);
    if (!en || en->cost > c->max_shard_bytes) {
        free_entry(en);
        ml_cache_rest(c, k, -1); /* the old one is not true any more */
        return;
    }
    shard *s = shard_of(c, en->hash);
    key_walk w = {.hash = en->hash, .generation = k->generation, .len = en->key_len};
    lock_all(s);
    entry *old = find(s, &w, en->key);
    if (old) drop(s, old);
    make_room(c, s, en->cost);
    add(s, en);
    unlock_all(s);
}

void ml_cache_rest(ml_cache *c, const ml_cache_key *k, int64_t until_ms)
{
    char small[KEY_ON_STACK];
    key_walk w;
    char *key = write_key(k, small, &w);
    if (!key) return;
    shard *s = shard_of(c, w.hash);
    lock_all(s);
    entry *en = find(s, &w, key);
    if (en) {
        en->is_refreshing = false;
        en->refresh_ms = until_ms;
        if (until_ms < 0) drop(s, en);
    }
    unlock_all(s);
    drop_key(key, small);
}

void ml_cache_forget(ml_cache *c, ml_str pattern)
{
    for (int i = 0; i < SHARDS; i++) {
        shard *s = &c->shards[i];
        lock_all(s);
        for (ml_lru_node *n = s->use.recent, *older; n; n = older) {
            entry *en = (entry *)n;
            older = n->older;
            if (ml_glob_match(pattern, ml_str_of(en->key))) drop(s, en);
        }
        unlock_all(s);
    }
}

void ml_cache_clear(ml_cache *c)
{
    for (int i = 0; i < SHARDS; i++) {
        shard *s = &c->shards[i];
        lock_all(s);
        while (s->use.oldest) drop(s, (entry *)s->use.oldest);
        unlock_all(s);
    }
}

ml_cache_counts ml_cache_count(const ml_cache *c)
{
    ml_cache_counts all = {0};
    for (int i = 0; i < SHARDS; i++) {
        const shard *s = &c->shards[i];
        for (int k = 0; k < READERS; k++) all.hits += s->readers[k].hits;
        all.bytes += s->bytes;
        all.entries += s->entries;
    }
    return all;
}

void ml_cache_free(ml_cache *c)
{
    if (!c) return;
    ml_cache_clear(c);
    for (int i = 0; i < SHARDS; i++) {
        for (int k = 0; k < READERS; k++)
            pthread_mutex_destroy(&c->shards[i].readers[k].lock);
    }
    free(c);
}
