/* budget.h - how long code of a policy may run between two waits: instructions and wall
 * clock.
 *
 * The engine's own Lua runs without a hook.  Code of a policy runs through one door,
 * core.limited: inside, a count hook adds to one counter that all coroutines share.
 * Once a limit is passed it raises, and goes on raising at every instruction, so that
 * no pcall outlives it; the door itself raises too, and then the run is over: it ends
 * as ML_EPOLICY whoever catches that.  lua_newthread hands the
 * hook on.
 *
 * One instruction may take long where there are big blocks of memory: making one is
 * charged at the next instruction, and the more of them live, the closer the looks. */
#pragma once
#include <lua.h>
#include <stdbool.h>

#include "moonlatch.h"

typedef struct ml_budget {
    const ml_clock *clock;
    int64_t max_instructions;
    int deadline_ms;
    int64_t used;
    int step;         /* instructions between two looks */
    lua_State *armed; /* the thread that runs inside the door, or NULL */
    bool has_begun;   /* the clock starts when a policy's code does */
    int64_t ends_at_ms;
    const char *exceeded; /* what was exceeded: static text, NULL while all is well */
    char where[120];      /* "policy.lua:12: ", the line that ran then */
} ml_budget;

void ml_budget_init(ml_budget *b, const ml_clock *clock, int64_t max_instructions,
                    int deadline_ms);
/* A new run begins, on this thread; one that waited inside the door is armed anew. */
void ml_budget_begin(ml_budget *b, lua_State *L);
/* lua_resetthread with a budget: what is left to __close may be a policy's, and no door
 * is around it. */
void ml_budget_close_thread(ml_budget *b, lua_State *L);
/* The thread goes on to other calls: it must not bring the hook along. */
void ml_budget_forget(lua_State *L);
/* Charges for work that is done in C, also outside of the door; raises when that is too
 * much. */
void ml_budget_spend(ml_budget *b, lua_State *L, int64_t work);
/* Raises if the run went over its budget: it may not wait any more. */
void ml_budget_demand(const ml_budget *b, lua_State *L);
/* The text that was being loaded is to blame, if anything was exceeded. */
void ml_budget_blame_text(ml_budget *b, const char *chunkname);
/* For ml_alloc.on_big; arg is the ml_vm. */
void ml_budget_on_big(void *vm);
/* Fills *e with ML_EPOLICY if the run went over its budget.  0 when it did not. */
int ml_budget_check(const ml_budget *b, ml_err *e);

/* core.limited(fn, ...) -> true, results... | false, error
 *
 * The door: as pcall, but fn runs under the budget of this run.  fn may wait where a
 * pcall could; each stretch between two waits has a budget of its own.  Raises when the
 * budget is exceeded: that is no outcome for the caller.  Doors nest. */
int ml_script_limited(lua_State *L);
