/* flights.h - flights from inside: what flight.c shares with those that begin and end
 * them, kept_start.c (sources) and kept_asker.c (coroutines). */
#pragma once
#include "source/flight.h"

/* One caller's op. */
typedef struct ml_waiter {
    ml_op op;          /* first */
    ml_flight *flight; /* NULL: over */
    struct ml_waiter *prev, *next;
    ml_keep keep;
    ml_trace *trace;
    ml_asker *asker;
    ml_timer timer;
    int64_t deadline_ms;
} ml_waiter;

struct ml_flight {
    ml_kept *cache;
    ml_loop *loop;
    ml_waiter *first, *last;
    ml_keep keep; /* the longest of all who asked */
    int64_t deadline_ms;
    char alias[64];
    ml_kept_key key; /* its texts are ours */
    char *name;
    bool is_change;  /* not a get: nobody joins, and the key is forgotten */
    bool is_restore; /* says in its blob what it changes: all keys are forgotten */
    bool is_ahead;   /* wanted even if nobody waits */
    ml_source *source;
    ml_op *op;
    ml_trace trace; /* of op: it may outlive its caller's */
    bool has_trace;
    ml_asker *owner;      /* of a flight without source */
    ml_flight *owns_next; /* the one that the owner began before */
    ml_flight **slot;
};

/* NULL when out of memory; texts are copied. */
ml_flight *ml_flight_new(ml_kept *c, ml_loop *loop, const ml_kept_key *k,
                         const char *alias, const ml_keep_call *how);
void ml_flight_free(ml_flight *f);
/* From here on others find it, and its answer is kept. */
bool ml_flight_enter(ml_flight *f);
/* What the entry learns of its end; nothing when f is cut off. */
void ml_flight_settle(ml_flight *f, ml_secret *secret, const ml_err *e, int64_t now_ms,
                      int64_t rest_ms);
/* Nobody has turned the loop in time for f, and the next turn ends it: it is none to
 * wait for.  Given up, if nobody does; its entry may be gone then. */
bool ml_flight_is_lost(ml_flight *f, int64_t now_ms);
/* How long the entry rests after this failure: 1 to 5 s. */
int64_t ml_flight_rest_ms(const ml_flight *f, const ml_err *e);
/* How long an answer that was made of this end holds. */
int64_t ml_fresh_until(const ml_keep *keep, int code, int64_t now_ms,
                       int64_t rests_until_ms);

/* Waits for f.  NULL when out of memory. */
ml_waiter *ml_flight_join(ml_flight *f, const ml_keep_call *how, int64_t deadline_ms,
                          ml_trace *trace, ml_op_done *done, void *arg);
/* Tells one waiter, or all; they are over then.  op may be NULL. */
void ml_flight_tell(ml_waiter *w, ml_op *op, const ml_err *e, ml_secret *secret,
                    int64_t now_ms, int64_t rest_ms);
void ml_flight_tell_all(ml_flight *f, ml_op *op, const ml_err *e, ml_secret *secret,
                        int64_t now_ms, int64_t rest_ms);

/* Did f fail because its time is over, while some who wait have more?  Then the others
 * are told, and this is how long those have; else 0. */
int64_t ml_flight_tell_late(ml_flight *f, const ml_err *e, int64_t now_ms,
                            int64_t rest_ms);

/* What is kept under en (or NULL) for this call. */
typedef struct ml_kept_look {
    ml_kept_state state;
    int64_t ms;            /* as ml_kept_state_of has it */
    bool answers;          /* the rest is valid */
    const ml_err *failure; /* NULL: the secret of en */
    int64_t fresh_until_ms;
} ml_kept_look;
ml_kept_look ml_kept_look_at(const ml_kept *c, const ml_entry *en,
                             const ml_keep_call *how, int64_t now_ms);
