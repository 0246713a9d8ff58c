/* op.h - a pending operation: everything that waits is one.
 *
 * Life: a start function makes the op and returns it; later, from ml_loop_step and
 * never from inside the start function, its done is called exactly once; when done
 * returns, the loop destroys the op.  done takes what it wants out of the op
 * (result.secret = NULL after taking) and must not keep a pointer to it.
 *
 * Cancel asks for an early end: the op still finishes through done, with ML_ECANCELED.
 *
 * An op embeds ml_op as its first member and calls ml_op_finish once it knows its end.
 * A parent that waits for a child sets the child's done and arg, and on cancel cancels
 * the child and finishes itself when the child's done arrives. */
#pragma once
#include "base/secret.h"
#include "base/trace.h"

typedef struct ml_loop ml_loop;
typedef struct ml_op ml_op;
typedef void ml_op_done(ml_op *op, void *arg);

/* The error of a failed op is in err; code 0 means that the rest is valid. */
struct ml_op {
    ml_loop *loop;
    ml_op_done *done; /* set by the starter before the next step */
    void *arg;
    void (*cancel)(ml_op *op);  /* set by the kind of op; called at most once */
    void (*destroy)(ml_op *op); /* frees the whole thing */
    ml_err err;                 /* from ml_op_alloc: 0, and "" */
    ml_secret *secret;          /* owned: what a get brought */
    ml_secrets list;            /* owned: what a list brought */
    int64_t fresh_until_ms;     /* how long an answer made of this holds; 0: not said */
    bool is_canceled;
    bool is_finished;
    ml_op *next_ready; /* private to the loop, like the two below */
    ml_op *prev_live, *next_live;
};

/* Memory of an op, of so many bytes (ml_alloc_with_err): for ml_op_init, or ml_free.
 * NULL: out of memory. */
void *ml_op_alloc(size_t bytes);
/* Of such memory, or of zero. */
void ml_op_init(ml_op *op, ml_loop *loop, void (*cancel)(ml_op *),
                void (*destroy)(ml_op *));
/* Releases secret and list; for use by destroy functions. */
void ml_op_fini(ml_op *op);
/* Queues done for the next turn of the loop.  Once. */
void ml_op_finish(ml_op *op);
/* Sets the error, then finishes. */
void ml_op_fail(ml_op *op, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* op may be NULL; a finished or canceled op is left alone. */
void ml_op_cancel(ml_op *op);
