/* pool_checked.c - the pool for builds with a sanitizer: its allocator knows every
 * block by its size, sees what is used after it was freed, and what is never freed.
 * pool.c is tested under sanitizers by its own test. */
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/pool.h"

typedef union block_head {
    size_t size;
    max_align_t align;
} block_head;

void *ml_pool_alloc(ml_pool *p, size_t size)
{
    if (size > SIZE_MAX - sizeof(block_head)) return NULL;
    block_head *head = ml_malloc(sizeof(*head) + size);
    if (!head) return NULL;
    head->size = size;
    p->n_blocks++;
    return head + 1;
}

size_t ml_pool_room(const void *block)
{
    return ((const block_head *)block - 1)->size;
}

void ml_pool_free(ml_pool *p, void *block, size_t size)
{
    if (!block) return;
    p->n_blocks--;
    ml_scrub(block, size);
    ml_free((block_head *)block - 1);
}

void ml_pool_fini(ml_pool *p)
{
    (void)p;
}

void ml_pool_forked(ml_pool *p)
{
    p->forks++;
}
