/* budget.h - how long Lua may run between two waits: instructions and wall clock.
 *
 * A count hook adds to one counter that all coroutines share.  Once a limit is passed
 * it raises, and goes on raising at every instruction, so that no pcall outlives it.
 * lua_newthread hands the hook on to new coroutines. */
#pragma once
#include <lua.h>
#include <stdbool.h>

#include "moonlatch.h"

typedef struct ml_budget {
    const ml_clock *clock;
    int64_t max_instructions;
    int deadline_ms;
    int64_t used;
    int64_t ends_at_ms;
    const char *exceeded; /* what was exceeded: static text, NULL while all is well */
    char where[120];      /* "policy.lua:12: ", the line that ran then */
} ml_budget;

void ml_budget_init(ml_budget *b, const ml_clock *clock, int64_t max_instructions,
                    int deadline_ms);
/* A new run begins, on this thread. */
void ml_budget_begin(ml_budget *b, lua_State *L);
/* Charges for work that is done in C; raises when that is too much. */
void ml_budget_spend(ml_budget *b, lua_State *L, int64_t work);
/* Fills *e with ML_EPOLICY if the run went over its budget.  0 when it did not. */
int ml_budget_check(const ml_budget *b, ml_err *e);
