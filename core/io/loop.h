/* loop.h - one descriptor that is readable exactly when there is something to do.
 *
 * Inside: an epoll set of curl's sockets, one timerfd for the next deadline, one
 * eventfd for ready ops and wake-ups from other threads.  Not thread-safe: resolver.c
 * holds the lock, and leaves it only around ml_loop_wait. */
#pragma once
#include "base/log.h"
#include "base/meter.h"
#include "io/handle.h"
#include "io/op.h"

typedef struct ml_timer ml_timer;
typedef void ml_timer_fn(ml_timer *t, void *arg);

/* Embedded in what waits.  Zero-initialise; one use at a time. */
struct ml_timer {
    int64_t at_ms; /* monotonic */
    ml_timer_fn *fn;
    void *arg;
    ml_timer *child, *next, *prev; /* private to timers.c */
    bool is_armed;
};

/* Another descriptor to look after.  Zero-initialise; owned by who waits. */
typedef struct ml_watch ml_watch;
struct ml_watch {
    int fd;
    void (*fn)(ml_watch *w, void *arg); /* called from a turn: read until it blocks */
    void *arg;
    bool is_on;
    ml_watch *prev, *next; /* private to the loop */
};

typedef void ml_transfer_fn(CURL *easy, CURLcode code, void *arg);

/* Embedded in what runs an easy handle; stays where it is until that ends. */
typedef struct ml_transfer {
    ml_transfer_fn *fn;
    void *arg;
} ml_transfer;

ml_loop *ml_loop_new(const ml_clock *clock, const ml_log *log, ml_err *e);
/* Ends every op with ML_ECANCELED; their done functions run before this returns. */
void ml_loop_cancel_all(ml_loop *l);
/* ml_loop_cancel_all, then frees.  Accepts NULL. */
void ml_loop_free(ml_loop *l);

int ml_loop_fd(const ml_loop *l);
/* Milliseconds until the next timer or ready op: 0 now, -1 none; no sockets counted. */
int ml_loop_next_ms(const ml_loop *l);
/* For those who poll: the same, but 0 when the descriptor is readable, and never more
 * than a few milliseconds while something is in flight. */
int ml_loop_poll_ms(const ml_loop *l);
/* Waits for something to do, at most max_wait_ms (-1: no limit).  Touches nothing but
 * the descriptor, so the owner may let go of its lock meanwhile. */
void ml_loop_wait(ml_loop *l, int max_wait_ms);
/* Does what is ready, without waiting. */
void ml_loop_turn(ml_loop *l);
/* Makes ml_loop_wait return.  Any thread, async-signal-safe. */
void ml_loop_wake(ml_loop *l);

int64_t ml_loop_now_ms(const ml_loop *l);
/* When the last turn began that came half a second or more after something was due;
 * 0: none did.  What timed out over such a silence says nothing about who was asked. */
int64_t ml_loop_lagged_ms(const ml_loop *l);
int64_t ml_loop_wall_s(const ml_loop *l);
const ml_clock *ml_loop_clock(const ml_loop *l);
const ml_log *ml_loop_log(const ml_loop *l);
/* What is counted here; NULL: nothing.  Borrowed. */
void ml_loop_set_meter(ml_loop *l, ml_meter *m);
ml_meter *ml_loop_meter(const ml_loop *l);
/* 32 bits for jitter and request ids: own generator, seeded from the system. */
uint32_t ml_loop_random(ml_loop *l);

/* One that runs already is moved. */
void ml_timer_start(ml_loop *l, ml_timer *t, int64_t at_ms, ml_timer_fn *fn, void *arg);
void ml_timer_stop(ml_loop *l, ml_timer *t);

/* Handles to use again: making one costs as much as a small request.  A fresh one has
 * no options yet; another one has those of its last use.  Without an easy handle: out
 * of memory. */
ml_handle ml_loop_curl_take(ml_loop *l, bool *is_fresh);
void ml_loop_curl_give(ml_loop *l, ml_handle *h); /* not running any more */

/* Runs a configured easy handle; t->fn is called from a turn when the transfer ends. */
bool ml_loop_curl_add(ml_loop *l, CURL *easy, ml_transfer *t);
void ml_loop_curl_remove(ml_loop *l, CURL *easy);

/* Calls w->fn whenever fd is readable or hung up.  False: out of memory or of watches.
 */
bool ml_loop_watch(ml_loop *l, ml_watch *w, int fd, void (*fn)(ml_watch *, void *),
                   void *arg);
void ml_loop_unwatch(ml_loop *l, ml_watch *w); /* before fd is closed; idempotent */

/* For op.c. */
void ml_loop_adopt(ml_loop *l, ml_op *op); /* it lives from here on */
void ml_loop_ready(ml_loop *l, ml_op *op); /* its done is due */
