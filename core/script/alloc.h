/* alloc.h - the allocator of a Lua state: everything it gives up is scrubbed first.
 *
 * Lua tells the old size of a block, so scrubbing on free and on move is exact.  What
 * it cannot reach: the C stack (luaL_Buffer keeps short strings there) and libraries
 * that call malloc themselves (cjson). */
#pragma once
#include <stdbool.h>
#include <stddef.h>

typedef enum ml_alloc_refusal {
    ML_ALLOC_FINE,
    ML_ALLOC_CAPPED,   /* the cap was in the way */
    ML_ALLOC_NO_MEMORY /* the system had none */
} ml_alloc_refusal;

typedef struct ml_alloc {
    size_t max_bytes;
    size_t used_bytes;
    ml_alloc_refusal refusal; /* the last one since somebody cleared it */
} ml_alloc;

/* Bytes outside of Lua that its code has us keep count against the cap, too.  False:
 * they do not fit. */
bool ml_alloc_charge(ml_alloc *a, size_t n);
void ml_alloc_discharge(ml_alloc *a, size_t n);

/* A lua_Alloc; ud is the ml_alloc. */
void *ml_alloc_lua(void *ud, void *block, size_t old_size, size_t new_size);
