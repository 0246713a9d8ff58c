/* pool.h - memory that core dumps leave out, between guard pages, locked if asked.
 *
 * For bytes that must not be found elsewhere.  An arena is one mapping, aligned to its
 * size, so that the head of any block is found:
 *
 *     guard | head | guard | page | page | ... | page | guard |      256 KiB
 *
 * Guards fault when touched.  Pages are not dumped (MADV_DONTDUMP), and are locked one
 * by one as they are taken; free ones that are locked are taken first, and are unlocked
 * once RLIMIT_MEMLOCK has been in the way.
 * A page holds blocks of one size, a multiple of 16 bytes; blocks over 2 KiB are runs
 * of pages, those over 64 KiB have an arena of their own.  Which blocks are free stands
 * in the head: what overruns a block does not reach it.  An arena without blocks is
 * given back, unless it is the only one with room.
 *
 * A child of fork has a copy, as of all memory: not dumped, guarded, but not locked. It
 * is not withheld from it (MADV_DONTFORK, MADV_WIPEONFORK), because a host may hand a
 * secret to a job between fork and exec.
 *
 * One thread at a time; locked.c, which has the pool of secrets, sees to that. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum { ML_POOL_CLASSES = 38 };

typedef struct ml_pool_page ml_pool_page;
typedef struct ml_pool_arena ml_pool_arena;

/* Zero is an empty pool. */
typedef struct ml_pool {
    bool locks;
    bool is_short;  /* something could not be locked */
    unsigned forks; /* what was locked under another number was so in a parent */
    size_t n_blocks;
    size_t page_bytes;                    /* of pages that hold blocks */
    size_t locked_bytes;                  /* of those */
    size_t mapped_bytes;                  /* of arenas, with heads and guards */
    ml_pool_page *pages[ML_POOL_CLASSES]; /* with room for a block of this size */
    ml_pool_arena *arenas;                /* with free pages */
} ml_pool;

/* Aligned as malloc's.  NULL when out of memory. */
void *ml_pool_alloc(ml_pool *p, size_t size);
/* Scrubs the first size bytes: all that were written, unless the caller has. */
void ml_pool_free(ml_pool *p, void *block, size_t size);
/* How many bytes it may hold: at least as many as were asked for. */
size_t ml_pool_room(const void *block);
/* Gives back the last arena; no block may be left. */
void ml_pool_fini(ml_pool *p);
/* In a child of fork: nothing is locked any more. */
void ml_pool_forked(ml_pool *p);
