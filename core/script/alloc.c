/* alloc.c - the allocator of a Lua state: everything it gives up is scrubbed first. */
#include "script/alloc.h"

#include <lua.h>
#include <string.h>

#include "base/mem.h"

/* ---- big blocks ---------------------------------------------------------------- */

/* Big means also that as many strings as the cap has room for fit into `texts`. */
static bool is_big(const ml_alloc *a, size_t size)
{
    return size >= ML_ALLOC_BIG && size >= a->max_bytes / ML_ALLOC_MAX_TEXTS;
}

static void moved(ml_alloc *a, size_t bytes)
{
    a->moved_bytes += bytes;
    if (a->on_big) a->on_big(a->arg);
}

static void note_new(ml_alloc *a, void *block, size_t size, size_t kind)
{
    if (!is_big(a, size)) return;
    a->block_bytes += size;
    if (kind == LUA_TSTRING && a->n_texts < ML_ALLOC_MAX_TEXTS) {
        a->texts[a->n_texts++] = block;
        a->text_bytes += size;
    }
    moved(a, size);
}

/* Strings are never resized. */
static void note_resized(ml_alloc *a, size_t old_size, size_t new_size)
{
    if (is_big(a, old_size)) a->block_bytes -= old_size;
    if (!is_big(a, new_size)) return;
    a->block_bytes += new_size;
    if (new_size > old_size) moved(a, new_size);
}

static void note_free(ml_alloc *a, const void *block, size_t size)
{
    if (!is_big(a, size)) return;
    a->block_bytes -= size;
    for (size_t i = 0; i < a->n_texts; i++) {
        if (a->texts[i] != block) continue;
        a->texts[i] = a->texts[--a->n_texts];
        a->text_bytes -= size;
        return;
    }
}

/* ---- the allocator -------------------------------------------------------------- */

/* Lua goes through everything then, to find what it can free. */
static void *refuse(ml_alloc *a, ml_alloc_refusal why)
{
    a->refusal = why;
    moved(a, a->used_bytes);
    return NULL;
}

/* Lua puts the keys of a table that grows into their new places one by one, and looks
 * for each among those it collides with.  Numbers can be chosen to collide, all at the
 * size that comes next: then this is quadratic, in one instruction.  So there is a
 * limit: blocks of this size are the hash part of a table (24 bytes a key, a power of
 * two of them), and nothing else is. */
static bool is_for_too_many_keys(const ml_alloc *a, size_t size)
{
    enum { KEY_BYTES = 24 };
    size_t n = size / KEY_BYTES;
    return a->limits_keys && n > ML_ALLOC_MAX_KEYS && size % KEY_BYTES == 0 &&
           (n & (n - 1)) == 0;
}

static void *take(ml_alloc *a, size_t more_bytes, size_t size)
{
    if (is_for_too_many_keys(a, size)) return refuse(a, ML_ALLOC_TABLE);
    size_t left = a->max_bytes > a->used_bytes ? a->max_bytes - a->used_bytes : 0;
    if (more_bytes > left) return refuse(a, ML_ALLOC_CAPPED);
    void *block = ml_pool_alloc(&a->pool, size);
    if (!block) return refuse(a, ML_ALLOC_NO_MEMORY);
    return block;
}

/* Lua counts on shrinking to succeed: without memory the block stays, its tail erased.
 */
static void *shrink(ml_alloc *a, void *block, size_t old_size, size_t new_size)
{
    /* By what the block has, not by what was left of it: Lua halves its tables. */
    char *smaller =
        new_size <= ml_pool_room(block) / 2 ? ml_pool_alloc(&a->pool, new_size) : NULL;
    if (smaller) {
        memcpy(smaller, block, new_size);
        ml_pool_free(&a->pool, block, old_size);
    } else {
        ml_scrub((char *)block + new_size, old_size - new_size);
    }
    a->used_bytes -= old_size - new_size;
    return smaller ? smaller : block;
}

static void *grow(ml_alloc *a, void *block, size_t old_size, size_t new_size)
{
    void *bigger = take(a, new_size - old_size, new_size);
    if (!bigger) return NULL;
    memcpy(bigger, block, old_size);
    ml_pool_free(&a->pool, block, old_size);
    a->used_bytes += new_size - old_size;
    return bigger;
}

/* kind: LUA_TSTRING and so on, or 0. */
static void *fresh(ml_alloc *a, size_t kind, size_t size)
{
    void *block = take(a, size, size);
    if (!block) return NULL;
    a->used_bytes += size;
    note_new(a, block, size, kind);
    return block;
}

void *ml_alloc_lua(void *ud, void *block, size_t old_size, size_t new_size)
{
    ml_alloc *a = ud;
    if (!block) return new_size ? fresh(a, old_size, new_size) : NULL;
    if (new_size == 0) {
        a->used_bytes -= old_size;
        note_free(a, block, old_size);
        ml_pool_free(&a->pool, block, old_size);
        return NULL;
    }
    void *moved_to = new_size <= old_size ? shrink(a, block, old_size, new_size)
                                          : grow(a, block, old_size, new_size);
    if (moved_to) note_resized(a, old_size, new_size);
    return moved_to;
}

bool ml_alloc_charge(ml_alloc *a, size_t n)
{
    if (a->used_bytes > a->max_bytes || n > a->max_bytes - a->used_bytes) {
        a->refusal = ML_ALLOC_CAPPED;
        return false;
    }
    a->used_bytes += n;
    return true;
}

void ml_alloc_discharge(ml_alloc *a, size_t n)
{
    a->used_bytes -= n;
}

void ml_alloc_fini(ml_alloc *a)
{
    ml_pool_fini(&a->pool);
}
