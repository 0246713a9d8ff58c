/* timers.h - a heap of ml_timer, earliest first, that needs no memory of its own.
 *
 * A pairing heap: each timer links to its first child and to its siblings, so arming
 * and disarming can never fail. */
#pragma once
#include "io/loop.h"

typedef struct ml_timers {
    ml_timer *root;
} ml_timers;

void ml_timers_add(ml_timers *h, ml_timer *t);    /* t must not be armed */
void ml_timers_remove(ml_timers *h, ml_timer *t); /* armed or not */
ml_timer *ml_timers_first(const ml_timers *h);    /* NULL when empty */
