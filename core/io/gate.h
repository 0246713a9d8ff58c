/* gate.h - a limiter, and the requests that wait for it: first come, first served.
 *
 * The limiter is its own, or one that it shares with other processes of the host
 * (shared.h).  Those cannot wake us: while a request waits, the gate looks again some
 * twenty or forty times a second.
 *
 * A request that waits keeps its place when it is tried again.  It is told at once when
 * waiting makes no sense: the pause ends behind its deadline, or nobody answers. */
#pragma once
#include "io/loop.h"
#include "io/shared.h"

typedef struct ml_gate ml_gate;
typedef struct ml_turn ml_turn;

typedef enum ml_turn_word {
    ML_TURN_GO,      /* send; ml_gate_leave must follow */
    ML_TURN_WAIT,    /* only from ml_gate_enter: fn will say the rest */
    ML_TURN_REFUSED, /* do not send; ml_gate_explain says why */
    ML_TURN_LATE     /* the same, since the deadline passed in the queue */
} ml_turn_word;

typedef void ml_turn_fn(ml_turn *t, ml_turn_word word);

/* Embedded in what sends; zero-initialised. */
struct ml_turn {
    ml_turn_fn *fn;
    int64_t deadline_ms;
    int64_t since_ms; /* when it came to the gate for this try */
    int64_t came_ms;  /* when it came first, by the limiter's clock */
    uint64_t ticket;  /* 0: none yet; kept through all tries */
    uint32_t epoch;
    bool is_waiting, is_going;
    ml_timer late;
    ml_turn *prev, *next;
};

/* name: of the service, for texts; what: of the requests.  Copied.  NULL: no memory. */
ml_gate *ml_gate_new(ml_loop *loop, const char *name, const char *what, int limit);
/* Nobody may wait any more; the loop may be gone.  Accepts NULL. */
void ml_gate_free(ml_gate *g);
bool ml_gate_is(const ml_gate *g, const char *name, const char *what);
/* Shares the limiter with all that name the same service and kind in dir, before the
 * first turn.  Borrows both; clock NULL: the system's.  False: no memory. */
bool ml_gate_share(ml_gate *g, const ml_budget_dir *dir, const ml_clock *clock);
const ml_limiter *ml_gate_limiter(const ml_gate *g); /* as it was seen last */

typedef struct ml_gate_state {
    int in_flight; /* through this gate */
    size_t waiting;
    bool is_paused, is_broken;
    bool is_shared; /* with other processes, just now */
} ml_gate_state;
ml_gate_state ml_gate_look(ml_gate *g); /* waits for no other process */

/* GO, WAIT or REFUSED.  After WAIT, fn is called once, unless ml_gate_drop is. */
ml_turn_word ml_gate_enter(ml_gate *g, ml_turn *t, int64_t deadline_ms, ml_turn_fn *fn);
/* After GO: how it ended.  Lets others go, from inside. */
void ml_gate_leave(ml_gate *g, ml_turn *t, ml_heard heard, int server_ms);
/* Waiting or going: nobody wants it any more.  Idempotent. */
void ml_gate_drop(ml_gate *g, ml_turn *t);
/* Why it may not go: throttled or unavailable, since when, and until when. */
void ml_gate_explain(ml_gate *g, ml_err *e);
