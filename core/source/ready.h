/* ready.h - ops whose end is known at once, and still comes through the loop. */
#pragma once
#include "source/source.h"

/* Make one, fill op->secret, op->list or op->err, then ml_op_finish.  NULL: no memory.
 */
ml_op *ml_ready_new(ml_loop *loop, ml_op_done *done, void *arg);
/* The start function of a source that can only be read, and answers at once: answer
 * fills op->secret, op->list or op->err for a get or a list. */
ml_op *ml_ready_start(ml_loop *loop, ml_source *s, const ml_source_call *c,
                      void (*answer)(ml_source *s, const ml_source_call *c, ml_op *op),
                      ml_op_done *done, void *arg);
