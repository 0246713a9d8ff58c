/* ready.c - ops whose end is known at once, and still comes through the loop. */
#include "source/ready.h"

#include "base/err.h"
#include "base/mem.h"

static void cancel(ml_op *op)
{
    (void)op; /* already finished */
}

static void destroy(ml_op *op)
{
    ml_op_fini(op);
    ml_free(op);
}

ml_op *ml_ready_new(ml_loop *loop, ml_op_done *done, void *arg)
{
    ml_op *op = ml_op_alloc(sizeof(*op));
    if (!op) return NULL;
    ml_op_init(op, loop, cancel, destroy);
    op->done = done;
    op->arg = arg;
    return op;
}

ml_op *ml_ready_start(ml_loop *loop, ml_source *s, const ml_source_call *c,
                      void (*answer)(ml_source *s, const ml_source_call *c, ml_op *op),
                      ml_op_done *done, void *arg)
{
    ml_op *op = ml_ready_new(loop, done, arg);
    if (!op) return NULL;
    ml_source_name_op(s, c->key, op);
    if (c->verb == ML_GET || c->verb == ML_LIST)
        answer(s, c, op);
    else
        ml_fail(&op->err, ML_EUSAGE, "%s: this can only be read", s->label);
    ml_op_finish(op);
    return op;
}
