/* vm.h - the Lua VM of one resolver: engine, policy, and one coroutine a call.
 *
 * Scrubbing allocator with a cap; a count hook that enforces the instruction budget and
 * the wall-clock limit of a policy's own code in each run between two waits, and that
 * pcall cannot swallow (budget.h). */
#pragma once
#include "script/host.h"

typedef struct ml_vm ml_vm;

typedef struct ml_vm_limits {
    size_t max_bytes;
    int64_t max_instructions;
    int deadline_ms;
} ml_vm_limits;

/* Borrows host.  Loads the engine (lua/moonlatch). */
ml_vm *ml_vm_new(const ml_host *host, const ml_vm_limits *limits, ml_err *e);
/* No task may be pending.  Accepts NULL. */
void ml_vm_free(ml_vm *vm);

/* Memory of its Lua state now. */
size_t ml_vm_bytes(const ml_vm *vm);

/* Where a policy comes from: a path of a file or a directory, or else a text. */
typedef struct ml_policy_from {
    ml_str text;
    const char *name; /* what messages call it */
    const char *path; /* NULL: the text */
    bool runs_tests;  /* its own tests decide, too */
} ml_policy_from;

/* Loads a policy under the budget; replaces the one before it only on success, for
 * calls that begin from then on.  ML_EPOLICY with file:line. */
int ml_vm_load_from(ml_vm *vm, const ml_policy_from *from, ml_err *e);
int ml_vm_load(ml_vm *vm, ml_str text, const char *chunkname, ml_err *e);

/* Runs one call in a coroutine of its own; everything in call is copied.  cached_ms is
 * for explain: how much longer the answer is kept, 0 when it is not.  The op's
 * list holds the secrets of the answer, ml_task_text its text. */
ml_op *ml_task_start(ml_vm *vm, const ml_call *call, int64_t deadline_ms,
                     int64_t cached_ms, ml_op_done *done, void *arg, ml_err *e);
/* Right after the start: what this call is a part of. */
void ml_task_set_span(ml_op *op, const ml_span_at *span);
/* In done: the place of the rule that decided; "" when none did, or nobody hears it. */
const char *ml_task_rule(const ml_op *op);
/* In done: the text of the answer ("" when none). */
const char *ml_task_text(const ml_op *op);
/* In done: how long the answer holds; INT64_MAX: no source had a part in it. */
int64_t ml_task_fresh_until_ms(const ml_op *op);
