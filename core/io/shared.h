/* shared.h - a limiter that all processes of this host use that ask one vault.
 *
 * It lives in a mapped file (budget_file.h) and is worked on in a copy:
 *
 *   ml_shared_enter(s, l)    locks, and copies the state of all to *l
 *     ...                    the functions of limiter.h
 *   ml_shared_leave(s, l)    copies it back, and unlocks
 *
 * Requests in flight are never stored as one number: each handle says on a seat of its
 * own how many it has, and whoever enters adds them up.  A seat that nobody has used
 * for three seconds is given away: so what a killed or stopped process had in flight
 * comes back, and a process that was only slow sits down again.
 *
 * Who cannot enter (the holder of the lock was stopped; the file is refused) is alone:
 * its own copy goes on from what it saw last, one warning is logged, and it tries again
 * every two seconds.  Then a pause that it heard of meanwhile holds for all; so it does
 * when it finds another file, because ours was damaged or removed.  For a lock nobody
 * waits longer than a quarter of a second, and who is alone does not wait at all.
 *
 * Times are of the system's monotonic clock, which is the same for all, whatever clock
 * the host has given.  Each process holds the requests of all against its own limit. */
#pragma once
#include "base/log.h"
#include "io/budget_dir.h"
#include "io/limiter.h"

typedef struct ml_shared ml_shared;

/* name and what as for ml_gate_new.  Borrows all but these; clock NULL: the system's.
 * Opens the file, or is alone.  NULL: no memory. */
ml_shared *ml_shared_new(const ml_budget_dir *dir, const char *name, const char *what,
                         int limit, const ml_clock *clock, const ml_log *log);
void ml_shared_free(ml_shared *s); /* accepts NULL */

const ml_clock *ml_shared_clock(const ml_shared *s);
/* l is the caller's copy, the same at every call: it is what goes on alone. */
void ml_shared_enter(ml_shared *s, ml_limiter *l);
/* The same, but waits for nobody and opens nothing.  False: *l is as it was, and leave
 * is not called. */
bool ml_shared_try(ml_shared *s, ml_limiter *l);
/* Inside: should a request that came at since_ms let those of other processes go
 * first?  They have waited longer, or have less than their part of the width. */
bool ml_shared_yields(const ml_shared *s, const ml_limiter *l, int64_t since_ms);
/* waiting: so many of ours wait, the first of them since since_ms. */
void ml_shared_leave(ml_shared *s, const ml_limiter *l, size_t waiting,
                     int64_t since_ms);
int ml_shared_in_flight(const ml_shared *s); /* ours */
bool ml_shared_is_alone(const ml_shared *s);

/* When to enter again, at the latest: those who wait ask, and those in flight show that
 * they live.  INT64_MAX: no need. */
int64_t ml_shared_again_ms(const ml_shared *s, const ml_limiter *l, size_t waiting,
                           uint32_t random);
