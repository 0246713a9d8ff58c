/* budget.c - how long code of a policy may run between two waits. */
#include "script/budget.h"

#include <lauxlib.h>
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

static bool is_armed(lua_State *L)
{
    return lua_gethookmask(L) != 0;
}

static void arm(const ml_budget *b, lua_State *L)
{
    lua_sethook(L, hook, LUA_MASKCOUNT, step_of(b));
}

static void disarm(lua_State *L)
{
    lua_sethook(L, NULL, 0, 0);
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
    b->has_begun = false;
    b->exceeded = NULL;
    b->where[0] = '\0';
    if (is_armed(L)) arm(b, L);
}

void ml_budget_begin_closing(ml_budget *b, lua_State *L)
{
    arm(b, L);
    ml_budget_begin(b, L);
}

void ml_budget_forget(lua_State *L)
{
    if (is_armed(L)) disarm(L);
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

static void charge(ml_budget *b, int64_t work)
{
    int64_t now_ms = ml_mono_ms(b->clock);
    if (!b->has_begun) b->ends_at_ms = now_ms + b->deadline_ms;
    b->has_begun = true;
    b->used = work > INT64_MAX - b->used ? INT64_MAX : b->used + work;
    if (b->used >= b->max_instructions)
        b->exceeded = "instructions";
    else if (now_ms >= b->ends_at_ms)
        b->exceeded = "milliseconds";
}

static void look(ml_budget *b, lua_State *L, int64_t work)
{
    if (b->exceeded) return;
    charge(b, work);
    if (b->exceeded) note_line(b, L);
}

/* The message is of no use but to a policy that looks at what its pcall caught; the
 * error of the run is made by ml_budget_check. */
static void stop(lua_State *L)
{
    if (is_armed(L)) lua_sethook(L, hook, LUA_MASKCOUNT, 1);
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

void ml_budget_demand(const ml_budget *b, lua_State *L)
{
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

/* ---- the door ------------------------------------------------------------------- */

/* The function that ended too late has no line any more: the one it begins at. */
static void note_function(ml_budget *b, lua_State *L, int at)
{
    lua_Debug ar;
    lua_settop(L, at);
    if (!lua_getinfo(L, ">S", &ar) || ar.linedefined < 0) return;
    snprintf(b->where, sizeof(b->where), "%s:%d: ", ar.short_src,
             ar.linedefined > 0 ? ar.linedefined : 1);
}

enum { DOOR_FUNCTION = 1, DOOR_ANSWER = 2 }; /* on its stack, then the results */

/* One call of a library function may have run past the deadline, and no hook since. */
static int leave(lua_State *L, int status, lua_KContext was_armed)
{
    ml_budget *b = &ml_vm_of(L)->budget;
    bool is_news = !b->exceeded;
    if (is_news) charge(b, 0);
    if (is_news && b->exceeded) note_function(b, L, DOOR_FUNCTION);
    if (!was_armed) disarm(L);
    ml_budget_demand(b, L);
    if (status != LUA_OK && status != LUA_YIELD) {
        lua_pushboolean(L, 0);
        lua_replace(L, DOOR_ANSWER);
    }
    return lua_gettop(L) - DOOR_FUNCTION;
}

int ml_script_limited(lua_State *L)
{
    ml_budget *b = &ml_vm_of(L)->budget;
    luaL_checktype(L, DOOR_FUNCTION, LUA_TFUNCTION);
    luaL_checkstack(L, 2, NULL);
    ml_budget_spend(b, L, 1);
    int n_args = lua_gettop(L) - DOOR_FUNCTION;
    lua_pushboolean(L, 1);
    lua_insert(L, DOOR_ANSWER);
    lua_pushvalue(L, DOOR_FUNCTION);
    lua_insert(L, DOOR_ANSWER + 1);
    bool was_armed = is_armed(L);
    if (!was_armed) arm(b, L);
    int status = lua_pcallk(L, n_args, LUA_MULTRET, 0, was_armed, leave);
    return leave(L, status, was_armed);
}
