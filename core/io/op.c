/* op.c - a pending operation: everything that waits is one. */
#include "io/op.h"

#include <assert.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include "base/mem.h"
#include "io/loop.h"

void *ml_op_alloc(size_t bytes)
{
    return ml_alloc_with_err(bytes, offsetof(ml_op, err));
}

void ml_op_init(ml_op *op, ml_loop *loop, void (*cancel)(ml_op *),
                void (*destroy)(ml_op *))
{
    op->loop = loop;
    op->cancel = cancel;
    op->destroy = destroy;
    ml_loop_adopt(loop, op);
}

void ml_op_fini(ml_op *op)
{
    ml_secret_unref(op->secret);
    op->secret = NULL;
    ml_secrets_fini(&op->list);
}

void ml_op_finish(ml_op *op)
{
    assert(!op->is_finished);
    op->is_finished = true;
    ml_loop_ready(op->loop, op);
}

void ml_op_fail(ml_op *op, int code, const char *fmt, ...)
{
    op->err.code = code;
    va_list args;
    va_start(args, fmt);
    vsnprintf(op->err.text, sizeof(op->err.text), fmt, args);
    va_end(args);
    ml_op_finish(op);
}

void ml_op_cancel(ml_op *op)
{
    if (!op || op->is_finished || op->is_canceled) return;
    op->is_canceled = true;
    op->cancel(op);
}
