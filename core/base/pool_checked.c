/* pool_checked.c - the pool for builds with a sanitizer: its allocator knows every
 * block by its size, sees what is used after it was freed, and what is never freed.
 * pool.c is tested under sanitizers by its own test. */
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/pool.h"

void *ml_pool_alloc(ml_pool *p, size_t size)
{
    void *block = malloc(size);
    if (block) p->n_blocks++;
    return block;
}

size_t ml_pool_room(const void *block)
{
    return malloc_usable_size((void *)(uintptr_t)block);
}

void ml_pool_free(ml_pool *p, void *block, size_t size)
{
    if (block) p->n_blocks--;
    ml_scrub_free(block, size);
}

void ml_pool_fini(ml_pool *p)
{
    (void)p;
}

void ml_pool_forked(ml_pool *p)
{
    p->forks++;
}
