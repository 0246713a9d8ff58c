/* budget.c - how long Lua may run between two waits: instructions and wall clock. */
#include "script/budget.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "script/state.h"

enum { STEP = 1000, STACK_LEVELS = 100 };

static void hook(lua_State *L, lua_Debug *ar);

static int step_of(const ml_budget *b)
{
    return b->max_instructions < STEP ? (int)b->max_instructions : STEP;
}

void ml_budget_init(ml_budget *b, const ml_clock *clock, int64_t max_instructions,
                    int deadline_ms)
{
    *b = (ml_budget){.clock = clock,
                     .max_instructions = max_instructions > 0 ? max_instructions : 1,
                     .deadline_ms = deadline_ms};
}

void ml_budget_begin(ml_budget *b, lua_State *L)
{
    b->used = 0;
    b->ends_at_ms = ml_mono_ms(b->clock) + b->deadline_ms;
    b->exceeded = NULL;
    b->where[0] = '\0';
    lua_sethook(L, hook, LUA_MASKCOUNT, step_of(b));
}

/* The innermost line that is not the engine's own, else the innermost of all. */
static void note_line(ml_budget *b, lua_State *L)
{
    lua_Debug ar;
    for (int level = 0; level < STACK_LEVELS && lua_getstack(L, level, &ar); level++) {
        if (!lua_getinfo(L, "Sl", &ar) || ar.currentline <= 0) continue;
        bool is_engine = strncmp(ar.short_src, "moonlatch.", strlen("moonlatch.")) == 0;
        if (is_engine && b->where[0] != '\0') continue;
        snprintf(b->where, sizeof(b->where), "%s:%d: ", ar.short_src, ar.currentline);
        if (!is_engine) return;
    }
}

static void look(ml_budget *b, lua_State *L, int64_t work)
{
    if (b->exceeded) return;
    b->used = work > INT64_MAX - b->used ? INT64_MAX : b->used + work;
    if (b->used >= b->max_instructions)
        b->exceeded = "instructions";
    else if (ml_mono_ms(b->clock) >= b->ends_at_ms)
        b->exceeded = "milliseconds";
    if (b->exceeded) note_line(b, L);
}

/* The message is of no use but to a policy that looks at what its pcall caught; the
 * error of the run is made by ml_budget_check. */
static void stop(lua_State *L)
{
    lua_sethook(L, hook, LUA_MASKCOUNT, 1);
    luaL_error(L, "the policy ran too long");
}

static void hook(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    ml_budget *b = &ml_vm_of(L)->budget;
    look(b, L, step_of(b));
    if (b->exceeded) stop(L);
}

void ml_budget_spend(ml_budget *b, lua_State *L, int64_t work)
{
    look(b, L, work > 0 ? work : 0);
    if (b->exceeded) stop(L);
}

int ml_budget_check(const ml_budget *b, ml_err *e)
{
    if (!b->exceeded) return 0;
    bool by_count = b->used >= b->max_instructions;
    return ml_fail(
        e, ML_EPOLICY,
        "%sthe policy ran too long: more than %lld %s without a result; look "
        "for a loop that does not end, or raise %s",
        b->where, by_count ? (long long)b->max_instructions : b->deadline_ms,
        b->exceeded, by_count ? "lua_max_instructions" : "lua_deadline_ms");
}
