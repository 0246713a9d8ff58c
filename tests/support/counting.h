/* counting.h - an allocator for tests, put in by ml_use_allocator: it counts, checks
 * what comes back, and fails when it is told to. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct counting {
    atomic_long calls; /* of alloc, also those that failed */
    atomic_long live;  /* blocks that were not given back */
    atomic_long live_bytes;
    const char *marker; /* looked for in what is given back; NULL: nothing */
    atomic_int n_markers;
} counting;
extern counting counted;

/* Once in a process, before it uses the library. */
void counting_use(void);
/* From now on the nth allocation fails; with `and_after`, all that come later, too. */
void counting_fail(long nth, bool and_after);
/* No more failures.  Has one happened? */
bool counting_stop(void);
