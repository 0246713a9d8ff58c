/* ready.c - ops whose end is known at once, and still comes through the loop. */
#include "source/ready.h"

#include <stdlib.h>

static void cancel(ml_op *op)
{
    (void)op; /* already finished */
}

static void destroy(ml_op *op)
{
    ml_op_fini(op);
    free(op);
}

ml_op *ml_ready_new(ml_loop *loop, ml_op_done *done, void *arg)
{
    ml_op *op = calloc(1, sizeof(*op));
    if (!op) return NULL;
    ml_op_init(op, loop, cancel, destroy);
    op->done = done;
    op->arg = arg;
    return op;
}
