/* cache.c - answers kept for a while: bounded, thread-safe, scrubbed when dropped.
 *
 * Sixteen shards, each with a lock, a table of chains, and its entries in order of use:
 *
 *     recent <-> entry <-> entry <-> entry <-> oldest      the oldest goes first     */
#include "io/cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { SHARDS = 16, BUCKETS = 1024, ENTRY_OVERHEAD = 64 };

typedef struct entry entry;
struct entry {
    entry *chain;
    entry *newer, *older;
    ml_secret *secret;
    int64_t expires_ms;
    uint64_t hash;
    size_t cost;
    size_t key_len;
    char key[];
};

typedef struct shard {
    _Alignas(64) pthread_mutex_t lock;
    entry *buckets[BUCKETS];
    entry *recent, *oldest;
    size_t bytes;
} shard;

struct ml_cache {
    size_t max_shard_bytes;
    shard shards[SHARDS];
};

ml_cache *ml_cache_new(size_t max_bytes)
{
    ml_cache *c = NULL;
    if (posix_memalign((void **)&c, 64, sizeof(*c)) != 0) return NULL;
    *c = (ml_cache){.max_shard_bytes = max_bytes / SHARDS};
    for (int i = 0; i < SHARDS; i++) pthread_mutex_init(&c->shards[i].lock, NULL);
    return c;
}

/* ---- keys: every part has an end mark, so that no two calls share one -----------
 */

typedef struct key_walk {
    uint64_t hash;
    size_t len;
    char *out; /* NULL: only hash and measure */
} key_walk;

static void walk_bytes(key_walk *w, const void *p, size_t n)
{
    const unsigned char *byte = p;
    for (size_t i = 0; i < n; i++) w->hash = (w->hash ^ byte[i]) * 0x100000001b3u;
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
    w->hash = 0xcbf29ce484222325u;
    w->len = 0;
    walk_text(w, k->name);
    walk_text(w, k->version);
    for (size_t i = 0; i < k->n_context; i++) {
        walk_text(w, k->context[i].name);
        walk_text(w, k->context[i].value);
    }
}

/* FNV's low bits are weak: fold the high ones in. */
static uint64_t mixed(uint64_t hash)
{
    return hash ^ (hash >> 29) ^ (hash >> 47);
}

enum { KEY_ON_STACK = 512 };

static bool is_key_of(const entry *en, const key_walk *w, const char *key)
{
    return en->hash == w->hash && en->key_len == w->len &&
           memcmp(en->key, key, w->len) == 0;
}

/* ---- a locked shard
 * ------------------------------------------------------------------ */

static void unlink_use(shard *s, entry *en)
{
    if (en->newer)
        en->newer->older = en->older;
    else
        s->recent = en->older;
    if (en->older)
        en->older->newer = en->newer;
    else
        s->oldest = en->newer;
    en->newer = en->older = NULL;
}

static void link_recent(shard *s, entry *en)
{
    en->newer = NULL;
    en->older = s->recent;
    if (s->recent)
        s->recent->newer = en;
    else
        s->oldest = en;
    s->recent = en;
}

static entry **bucket_of(shard *s, uint64_t hash)
{
    return &s->buckets[(mixed(hash) / SHARDS) % BUCKETS];
}

static void drop(shard *s, entry *en)
{
    entry **at = bucket_of(s, en->hash);
    while (*at != en) at = &(*at)->chain;
    *at = en->chain;
    unlink_use(s, en);
    s->bytes -= en->cost;
    ml_secret_unref(en->secret);
    ml_scrub_free(en, sizeof(*en) + en->key_len);
}

static entry *find(shard *s, const key_walk *w, const char *key)
{
    entry *en = *bucket_of(s, w->hash);
    while (en && !is_key_of(en, w, key)) en = en->chain;
    return en;
}

static shard *shard_of(ml_cache *c, uint64_t hash)
{
    return &c->shards[mixed(hash) % SHARDS];
}

static ml_secret *hit(ml_cache *c, const key_walk *w, const char *key, int64_t now_ms)
{
    shard *s = shard_of(c, w->hash);
    ml_secret *found = NULL;
    pthread_mutex_lock(&s->lock);
    entry *en = find(s, w, key);
    if (en && now_ms >= en->expires_ms) {
        drop(s, en);
    } else if (en) {
        if (s->recent != en) {
            unlink_use(s, en);
            link_recent(s, en);
        }
        found = ml_secret_ref(en->secret);
    }
    pthread_mutex_unlock(&s->lock);
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

ml_secret *ml_cache_get(ml_cache *c, const ml_cache_key *k, int64_t now_ms)
{
    char small[KEY_ON_STACK];
    key_walk w;
    char *key = write_key(k, small, &w);
    ml_secret *found = key ? hit(c, &w, key, now_ms) : NULL;
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
    pthread_mutex_lock(&s->lock);
    const entry *en = find(s, &w, key);
    int64_t left_ms = en && en->expires_ms > now_ms ? en->expires_ms - now_ms : 0;
    pthread_mutex_unlock(&s->lock);
    drop_key(key, small);
    return left_ms;
}

static entry *make_entry(const ml_cache_key *k, ml_secret *secret, int64_t expires_ms)
{
    size_t n = measure(k);
    entry *en = malloc(sizeof(*en) + n);
    if (!en) return NULL;
    *en = (entry){
        .secret = ml_secret_ref(secret), .expires_ms = expires_ms, .key_len = n};
    key_walk w = {.out = en->key};
    walk_key(&w, k);
    en->hash = w.hash;
    en->cost = sizeof(*en) + n + ml_secret_size(secret) + ENTRY_OVERHEAD;
    return en;
}

void ml_cache_put(ml_cache *c, const ml_cache_key *k, ml_secret *secret,
                  int64_t expires_ms)
{
    entry *en = make_entry(k, secret, expires_ms);
    if (!en) return;
    shard *s = shard_of(c, en->hash);
    pthread_mutex_lock(&s->lock);
    entry *old = find(s, &(key_walk){.hash = en->hash, .len = en->key_len}, en->key);
    if (old) drop(s, old);
    entry **at = bucket_of(s, en->hash);
    en->chain = *at;
    *at = en;
    link_recent(s, en);
    s->bytes += en->cost;
    while (s->oldest && s->bytes > c->max_shard_bytes) drop(s, s->oldest);
    pthread_mutex_unlock(&s->lock);
}

void ml_cache_clear(ml_cache *c)
{
    for (int i = 0; i < SHARDS; i++) {
        shard *s = &c->shards[i];
        pthread_mutex_lock(&s->lock);
        while (s->oldest) drop(s, s->oldest);
        pthread_mutex_unlock(&s->lock);
    }
}

void ml_cache_free(ml_cache *c)
{
    if (!c) return;
    ml_cache_clear(c);
    for (int i = 0; i < SHARDS; i++) pthread_mutex_destroy(&c->shards[i].lock);
    free(c);
}
