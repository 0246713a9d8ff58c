/* alloc.c - the allocator of a Lua state: everything it gives up is scrubbed first. */
#include "script/alloc.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static void *refuse(ml_alloc *a, ml_alloc_refusal why)
{
    a->refusal = why;
    return NULL;
}

static void *take(ml_alloc *a, size_t more_bytes, size_t size)
{
    size_t left = a->max_bytes > a->used_bytes ? a->max_bytes - a->used_bytes : 0;
    if (more_bytes > left) return refuse(a, ML_ALLOC_CAPPED);
    void *block = malloc(size);
    if (!block) return refuse(a, ML_ALLOC_NO_MEMORY);
    return block;
}

/* Lua counts on shrinking to succeed: without memory the block stays, its tail erased.
 */
static void *shrink(ml_alloc *a, void *block, size_t old_size, size_t new_size)
{
    char *smaller = new_size < old_size / 2 ? malloc(new_size) : NULL;
    if (smaller) {
        memcpy(smaller, block, new_size);
        ml_scrub_free(block, old_size);
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
    ml_scrub_free(block, old_size);
    a->used_bytes += new_size - old_size;
    return bigger;
}

void *ml_alloc_lua(void *ud, void *block, size_t old_size, size_t new_size)
{
    ml_alloc *a = ud;
    if (new_size == 0) {
        if (block) a->used_bytes -= old_size;
        ml_scrub_free(block, block ? old_size : 0);
        return NULL;
    }
    if (!block) { /* old_size is the kind of object then */
        block = take(a, new_size, new_size);
        if (block) a->used_bytes += new_size;
        return block;
    }
    if (new_size <= old_size) return shrink(a, block, old_size, new_size);
    return grow(a, block, old_size, new_size);
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
