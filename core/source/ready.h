/* ready.h - ops whose end is known at once, and still comes through the loop. */
#pragma once
#include "source/source.h"

/* Make one, fill op->secret, op->list or op->err, then ml_op_finish.  NULL: no memory.
 */
ml_op *ml_ready_new(ml_loop *loop, ml_op_done *done, void *arg);
