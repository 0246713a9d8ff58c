/* alloc.h - the allocator of a Lua state: everything it gives up is scrubbed first, and
 * core dumps leave it out.
 *
 * A pool of its own, not locked: only sources that handle values as strings put some
 * there, and all of Lua would use up what may be locked.
 *
 * Lua tells the old size of a block, so scrubbing on free and on move is exact.  What
 * it cannot reach: the C stack (luaL_Buffer keeps short strings there) and libraries
 * that call malloc themselves (cjson).
 *
 * It also keeps an eye on big blocks, because one instruction may go through all of
 * one ("..", "==", next): see budget.c for what that costs. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/pool.h"

typedef enum ml_alloc_refusal {
    ML_ALLOC_FINE,
    ML_ALLOC_CAPPED,   /* the cap was in the way */
    ML_ALLOC_TABLE,    /* a table of too many keys */
    ML_ALLOC_NO_MEMORY /* the system had none */
} ml_alloc_refusal;

enum {
    ML_ALLOC_BIG = 64 * 1024,
    ML_ALLOC_MAX_TEXTS = 1024,
    ML_ALLOC_MAX_KEYS = 32 * 1024 /* of one table, sequences not counted */
};

typedef struct ml_alloc {
    ml_pool pool;
    size_t max_bytes;
    size_t used_bytes;
    ml_alloc_refusal refusal; /* the last one since somebody cleared it */
    size_t block_bytes;       /* in big blocks */
    size_t text_bytes;        /* in big strings: these are blocks, too */
    size_t moved_bytes;       /* by making big blocks, since somebody cleared it */
    bool limits_keys;         /* of tables: see alloc.c */
    void (*on_big)(void *arg);
    void *arg;
    size_t n_texts;
    void *texts[ML_ALLOC_MAX_TEXTS]; /* the big strings: Lua's free does not tell */
} ml_alloc;

/* Bytes outside of Lua that its code has us keep count against the cap, too.  False:
 * they do not fit. */
bool ml_alloc_charge(ml_alloc *a, size_t n);
void ml_alloc_discharge(ml_alloc *a, size_t n);

/* A lua_Alloc; ud is the ml_alloc. */
void *ml_alloc_lua(void *ud, void *block, size_t old_size, size_t new_size);
/* After lua_close. */
void ml_alloc_fini(ml_alloc *a);
