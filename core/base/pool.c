/* pool.c - memory that core dumps leave out, between guard pages, locked if asked.
 *
 * Our own mappings, and not OpenSSL's secure heap: CRYPTO_secure_malloc_init is for the
 * whole process and works once, so it is the host's to call; its size is fixed; and it
 * would lock what it may never need. */
#include "base/pool.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"

enum {
    PAGE = 4096,
    PAGES = 64,
    ARENA = PAGES * PAGE,
    GRANULE = 16,
    WORDS = PAGE / GRANULE / 64,
    SMALL = 512, /* up to here a class every 16 bytes */
    N_SMALL = SMALL / GRANULE,
    LARGEST_RUN = 16 /* pages */
};

/* As many blocks as fit a page 7, 6, 5, 4, 3 and 2 times. */
static const uint16_t medium[ML_POOL_CLASSES - N_SMALL] = {576,  672,  816,
                                                           1024, 1360, 2048};

struct ml_pool_page {
    ml_pool_page *next, *prev;
    uint64_t free[WORDS]; /* blocks, by the granule at which they begin */
    uint16_t n_free, n_blocks;
    uint8_t class, index;
    uint8_t run; /* 0: blocks of a class; else as many pages are one block */
};

struct ml_pool_arena {
    ml_pool_arena *next, *prev;
    size_t bytes;
    bool is_single; /* one block has it all */
    unsigned forks;
    uint64_t free, locked; /* pages, a bit each; a single block: the first bit */
    ml_pool_page pages[PAGES];
};

_Static_assert(sizeof(ml_pool_arena) <= PAGE, "the head is a page");

/* ---- lists --------------------------------------------------------------------- */

#define LINK(first, item)                                                              \
    do {                                                                               \
        (item)->prev = NULL;                                                           \
        (item)->next = (first);                                                        \
        if (first) (first)->prev = (item);                                             \
        (first) = (item);                                                              \
    } while (0)

#define UNLINK(first, item)                                                            \
    do {                                                                               \
        if ((item)->next) (item)->next->prev = (item)->prev;                           \
        if ((item)->prev)                                                              \
            (item)->prev->next = (item)->next;                                         \
        else                                                                           \
            (first) = (item)->next;                                                    \
    } while (0)

/* ---- arenas -------------------------------------------------------------------- */

static size_t guard_bytes(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return page > PAGE ? page : PAGE;
}

static ml_pool_arena *arena_of(const void *p)
{
    return (ml_pool_arena *)((uintptr_t)p & ~(uintptr_t)(ARENA - 1));
}

static char *page_at(ml_pool_arena *a, size_t index)
{
    return (char *)a + index * PAGE;
}

/* Address space that begins at a multiple of ARENA, behind one guard more; nothing in
 * it may be touched.  To give back the ends of a mapping splits nothing, and so does
 * not fail. */
static char *reserve(size_t bytes)
{
    size_t all = guard_bytes() + bytes + ARENA;
    /* cppcheck-suppress invalidFunctionArg ; an anonymous mapping has no file */
    char *p = mmap(NULL, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return NULL;
    size_t before = -((uintptr_t)p + guard_bytes()) & (ARENA - 1);
    char *at = p + before + guard_bytes();
    if (before) munmap(p, before);
    munmap(at + bytes, ARENA - before);
    return at;
}

static void give_back(char *at, size_t bytes)
{
    munmap(at - guard_bytes(), guard_bytes() + bytes);
}

static ml_pool_arena *map_arena(ml_pool *p, size_t bytes)
{
    size_t guard = guard_bytes();
    char *at = reserve(bytes);
    if (!at) return NULL;
    if (mprotect(at, guard, PROT_READ | PROT_WRITE) != 0 ||
        mprotect(at + 2 * guard, bytes - 3 * guard, PROT_READ | PROT_WRITE) != 0 ||
        madvise(at, bytes, MADV_DONTDUMP) != 0) {
        give_back(at, bytes);
        return NULL;
    }
    ml_pool_arena *a = (ml_pool_arena *)(void *)at;
    a->bytes = bytes;
    a->forks = p->forks;
    p->mapped_bytes += bytes;
    return a;
}

static void unmap_arena(ml_pool *p, ml_pool_arena *a)
{
    p->mapped_bytes -= a->bytes;
    give_back((char *)a, a->bytes);
}

static uint64_t bits(size_t from, size_t n)
{
    return (n < 64 ? (UINT64_C(1) << n) - 1 : UINT64_MAX) << from;
}

static uint64_t all_pages(void)
{
    size_t guard = guard_bytes() / PAGE;
    return bits(2 * guard, PAGES - 3 * guard);
}

static ml_pool_arena *add_arena(ml_pool *p)
{
    ml_pool_arena *a = map_arena(p, ARENA);
    if (!a) return NULL;
    a->free = all_pages();
    LINK(p->arenas, a);
    return a;
}

/* ---- locking ------------------------------------------------------------------- */

/* mlock2 rather than mlock, which sanitizers make a no-op.  Where it fails now it is
 * tried again when the page is taken next. */
static void lock_pages(ml_pool *p, ml_pool_arena *a, uint64_t which, void *at, size_t n)
{
    p->page_bytes += n;
    if (!p->locks) return;
    if (a->forks != p->forks) {
        a->forks = p->forks;
        a->locked = 0;
    }
    if ((a->locked & which) != which) {
        if (mlock2(at, n, 0) == 0)
            a->locked |= which;
        else
            p->is_short = true;
    }
    if ((a->locked & which) == which) p->locked_bytes += n;
}

/* They stay locked for whoever takes them next, unless others go short for that. */
static void unlock_pages(ml_pool *p, ml_pool_arena *a, uint64_t which, void *at,
                         size_t n)
{
    p->page_bytes -= n;
    if (a->forks != p->forks || (a->locked & which) != which) return;
    p->locked_bytes -= n;
    if (p->is_short && munlock(at, n) == 0) a->locked &= ~which;
}

/* ---- runs of pages ------------------------------------------------------------- */

/* The first of n pages in a row, 0 when there are none. */
static size_t find_run(uint64_t free, size_t n)
{
    uint64_t starts = free;
    for (size_t i = 1; i < n; i++) starts &= free >> i;
    return starts ? (size_t)__builtin_ctzll(starts) : 0;
}

/* In this arena or one behind it; pages that are locked already, if there are such. */
static ml_pool_arena *find_pages(ml_pool_arena *a, size_t n, size_t *first)
{
    for (ml_pool_arena *at = a; at; at = at->next)
        if ((*first = find_run(at->free & at->locked, n))) return at;
    for (; a; a = a->next)
        if ((*first = find_run(a->free, n))) return a;
    return NULL;
}

static ml_pool_page *take_pages(ml_pool *p, size_t n)
{
    size_t first = 0;
    ml_pool_arena *a = find_pages(p->arenas, n, &first);
    if (!a) a = find_pages(add_arena(p), n, &first);
    if (!a) return NULL;
    a->free &= ~bits(first, n);
    if (!a->free) UNLINK(p->arenas, a);
    lock_pages(p, a, bits(first, n), page_at(a, first), n * PAGE);
    ml_pool_page *page = &a->pages[first];
    page->index = (uint8_t)first;
    return page;
}

static void give_pages(ml_pool *p, ml_pool_page *page, size_t n)
{
    ml_pool_arena *a = arena_of(page);
    uint64_t which = bits(page->index, n);
    unlock_pages(p, a, which, page_at(a, page->index), n * PAGE);
    page->run = 0;
    page->n_blocks = 0; /* no block begins here */
    if (!a->free) LINK(p->arenas, a);
    a->free |= which;
    if (a->free != all_pages() || (p->arenas == a && !a->next)) return;
    UNLINK(p->arenas, a);
    unmap_arena(p, a);
}

static void *alloc_run(ml_pool *p, size_t size)
{
    size_t n = (size + PAGE - 1) / PAGE;
    ml_pool_page *page = take_pages(p, n);
    if (!page) return NULL;
    page->run = (uint8_t)n;
    return page_at(arena_of(page), page->index);
}

/* ---- arenas of one block -------------------------------------------------------- */

static size_t single_bytes(const ml_pool_arena *a)
{
    return a->bytes - 3 * guard_bytes();
}

static void *alloc_single(ml_pool *p, size_t size)
{
    size_t guard = guard_bytes();
    if (size > SIZE_MAX / 2) return NULL;
    size_t bytes = (size + guard - 1) / guard * guard + 3 * guard;
    ml_pool_arena *a = map_arena(p, bytes);
    if (!a) return NULL;
    a->is_single = true;
    char *block = (char *)a + 2 * guard;
    lock_pages(p, a, 1, block, single_bytes(a));
    return block;
}

static void free_single(ml_pool *p, ml_pool_arena *a)
{
    unlock_pages(p, a, 1, (char *)a + 2 * guard_bytes(), single_bytes(a));
    unmap_arena(p, a);
}

/* ---- pages of blocks ------------------------------------------------------------ */

static size_t class_of(size_t size)
{
    if (size <= SMALL) return size ? (size - 1) / GRANULE : 0;
    size_t c = 0;
    while (c < ML_POOL_CLASSES - N_SMALL && size > medium[c]) c++;
    return N_SMALL + c;
}

static size_t class_bytes(size_t class)
{
    return class < N_SMALL ? (class + 1) * GRANULE : medium[class - N_SMALL];
}

static ml_pool_page *add_page(ml_pool *p, size_t class)
{
    ml_pool_page *page = take_pages(p, 1);
    if (!page) return NULL;
    size_t step = class_bytes(class) / GRANULE, n = PAGE / GRANULE / step;
    memset(page->free, 0, sizeof(page->free));
    for (size_t i = 0; i < n; i++)
        page->free[i * step / 64] |= UINT64_C(1) << (i * step % 64);
    page->n_free = page->n_blocks = (uint16_t)n;
    page->class = (uint8_t) class;
    page->run = 0;
    LINK(p->pages[class], page);
    return page;
}

static void *take_block(ml_pool *p, ml_pool_page *page)
{
    size_t w = 0;
    while (!page->free[w]) w++;
    size_t granule = w * 64 + (size_t)__builtin_ctzll(page->free[w]);
    page->free[w] &= page->free[w] - 1;
    if (--page->n_free == 0) UNLINK(p->pages[page->class], page);
    return page_at(arena_of(page), page->index) + granule * GRANULE;
}

static void give_block(ml_pool *p, ml_pool_page *page, size_t granule)
{
    page->free[granule / 64] |= UINT64_C(1) << (granule % 64);
    if (page->n_free++ == 0) LINK(p->pages[page->class], page);
    if (page->n_free < page->n_blocks) return;
    UNLINK(p->pages[page->class], page);
    give_pages(p, page, 1);
}

/* ---- blocks of any size ---------------------------------------------------------- */

void *ml_pool_alloc(ml_pool *p, size_t size)
{
    void *block = NULL;
    size_t class = class_of(size);
    if (class < ML_POOL_CLASSES) {
        ml_pool_page *page = p->pages[class];
        if (!page) page = add_page(p, class);
        if (page) block = take_block(p, page);
    } else {
        block = size <= (size_t)LARGEST_RUN * PAGE ? alloc_run(p, size)
                                                   : alloc_single(p, size);
    }
    if (block) p->n_blocks++;
    return block;
}

size_t ml_pool_room(const void *block)
{
    const ml_pool_arena *a = arena_of(block);
    if (a->is_single) return single_bytes(a);
    const ml_pool_page *page = &a->pages[((uintptr_t)block & (ARENA - 1)) / PAGE];
    return page->run ? (size_t)page->run * PAGE : class_bytes(page->class);
}

/* Does a block that somebody has begin so many bytes into this page? */
static bool is_taken(const ml_pool_page *page, size_t at)
{
    if (page->run) return at == 0;
    size_t granule = at / GRANULE;
    return page->n_blocks > 0 && at % class_bytes(page->class) == 0 &&
           granule / 64 < WORDS &&
           !(page->free[granule / 64] & UINT64_C(1) << (granule % 64));
}

void ml_pool_free(ml_pool *p, void *block, size_t size)
{
    if (!block) return;
    ml_pool_arena *a = arena_of(block);
    size_t at = (size_t)((char *)block - (char *)a);
    ml_pool_page *page = &a->pages[at / PAGE % PAGES];
    /* Freed twice, or never handed out: nothing is sure now. */
    if (!a->is_single && !is_taken(page, at % PAGE)) abort();
    ml_scrub(block, size);
    p->n_blocks--;
    if (a->is_single)
        free_single(p, a);
    else if (page->run)
        give_pages(p, page, page->run);
    else
        give_block(p, page, at % PAGE / GRANULE);
}

void ml_pool_fini(ml_pool *p)
{
    ml_pool_arena *a = p->arenas;
    if (!a || p->n_blocks) return;
    UNLINK(p->arenas, a);
    unmap_arena(p, a);
}

void ml_pool_forked(ml_pool *p)
{
    p->forks++;
    p->locked_bytes = 0;
}
