/* discovery.h - of many requests that need a vault's challenge, one asks and the others
 * wait for what it learns. */
#pragma once
#include "io/loop.h"

typedef struct ml_discovery_wait ml_discovery_wait;

/* One per vault. */
typedef struct ml_discovery {
    bool is_busy;
    ml_discovery_wait *waiting;
} ml_discovery;

/* in_time: the other one has ended, well or badly; else the deadline passed first. */
typedef void ml_discovery_fn(ml_discovery_wait *w, bool in_time);

/* Embedded in what waits; zero-initialised. */
struct ml_discovery_wait {
    ml_discovery *of; /* NULL: not waiting */
    ml_loop *loop;
    ml_timer deadline;
    ml_discovery_fn *fn;
    ml_discovery_wait *next;
};

/* True: nobody asks yet, the caller does, and calls ml_discovery_end when it knows more
 * or has failed. */
bool ml_discovery_begin(ml_discovery *d);
void ml_discovery_end(ml_discovery *d);
/* Calls fn once, later, unless ml_discovery_leave comes first. */
void ml_discovery_join(ml_discovery *d, ml_discovery_wait *w, ml_loop *loop,
                       int64_t deadline_ms, ml_discovery_fn *fn);
bool ml_discovery_leave(ml_discovery_wait *w); /* false: it was not waiting */
