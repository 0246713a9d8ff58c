/* flight.h - asking a source through what is kept: one request for all who want a key.
 *
 *     call -> kept? ---yes--> a ready op
 *               | no
 *               v
 *     under way? --no--> flight: an op of the source, or a coroutine's word (Lua)
 *               | yes       |
 *               +---------> waiters, each an op of its caller, with its own deadline
 *
 * Who cancels, or runs out of time, leaves alone; the last who leaves cancels the
 * flight.  A flight that fails because its first caller's time is over is begun again
 * for those who have more.  One whose time is over and that has not ended was left
 * alone by a host that turns the loop for its own calls only: nobody joins it, and who
 * comes begins another. */
#pragma once
#include "source/kept.h"
#include "source/source.h"

/* Somebody who may answer for a flight, and may wait for one: a task.  Zero it. */
typedef struct ml_asker {
    ml_flight *waits_for;
    ml_flight *owns;     /* the newest of those that it must end */
    int64_t deadline_ms; /* what it says later comes too late */
} ml_asker;

typedef enum ml_freshness {
    ML_FRESH_ENOUGH, /* what is kept will do */
    ML_FRESH_EARLY,  /* what is late in its time will not: refresh ahead */
    ML_FRESH_ANEW    /* ask the source, whatever is kept or under way */
} ml_freshness;

/* How a call is kept, besides what it asks. */
typedef struct ml_keep_call {
    ml_keep keep;
    ml_freshness freshness;
    ml_str name;     /* logical name, for ml_kept_forget and the secret; may be empty */
    ml_asker *asker; /* may be NULL */
} ml_keep_call;

/* As ml_source_start; c may be NULL: nothing is kept.  Changes forget their key, before
 * and after.  op->fresh_until_ms says how long a get's end holds: a time long past for
 * a failure. */
ml_op *ml_kept_start(ml_kept *c, ml_loop *loop, ml_source *s,
                     const ml_source_call *call, const ml_keep_call *how,
                     ml_op_done *done, void *arg);

/* The number of s in c. */
ml_kept_key ml_kept_key_of(ml_kept *c, ml_source *s, ml_str key, ml_str version);

/* ---- for sources that are no ml_source: Lua's -------------------------------------
 */

/* What is kept under k: *secret (a new reference) or *e, and true; else false. */
bool ml_flight_look(ml_kept *c, const ml_kept_key *k, const ml_keep_call *how,
                    int64_t now_ms, ml_secret **secret, ml_err *e,
                    int64_t *fresh_until_ms);
/* Is there one to wait for?  How or why not is for ml_flight_wait to say. */
bool ml_flight_is_under_way(ml_kept *c, const ml_kept_key *k, const ml_keep_call *how,
                            int64_t now_ms);
/* A flight that how->asker promises to end.  *slot is set to it, and to NULL when it
 * has ended.  ML_ENOMEM. */
int ml_flight_begin(ml_kept *c, ml_loop *loop, const ml_kept_key *k, const char *alias,
                    const ml_keep_call *how, ml_flight **slot, ml_err *e);
/* Waits for the one under way: a secret or an error; neither when it was abandoned:
 * look again.  NULL with ML_EPOLICY when the asker would wait for itself (the text has
 * the chain of keys), ML_ENOMEM. */
ml_op *ml_flight_wait(ml_kept *c, const ml_kept_key *k, const ml_keep_call *how,
                      int64_t deadline_ms, ml_op_done *done, void *arg, ml_err *e);
/* secret, or *e.  Answers how long that holds.  When the asker had no time left, those
 * who have more look again. */
int64_t ml_flight_end(ml_flight *f, ml_secret *secret, const ml_err *e);
/* The asker is gone, or has failed to say anything: others may try. */
void ml_flight_abandon(ml_flight *f);
