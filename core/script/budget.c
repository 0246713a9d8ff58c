/* budget.c - how long code of a policy may run between two waits. */
#include "script/budget.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "script/state.h"

enum {
    STEP = 1000,
    STACK_LEVELS = 100,             /* to find the policy's line in */
    MAX_CALLS = 5000,               /* inside of each other */
    BYTES_A_WORK = 64,              /* of memory that is moved */
    TEXT_BYTES = 16 * 1024 * 1024,  /* may be compared between two looks, by strcoll */
    BLOCK_BYTES = 512 * 1024 * 1024 /* may be gone through between two looks */
};

static const char too_many_calls[] = "calls inside of each other";

static void hook(lua_State *L, lua_Debug *ar);

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* How many instructions may pass until the next look. */
static int step_of(const ml_budget *b, const ml_alloc *a)
{
    int64_t step = least(STEP, b->max_instructions);
    if (a->text_bytes) step = least(step, TEXT_BYTES / (int64_t)a->text_bytes);
    if (a->block_bytes) step = least(step, BLOCK_BYTES / (int64_t)a->block_bytes);
    return step > 1 ? (int)step : 1;
}

static bool is_armed(lua_State *L)
{
    return lua_gethookmask(L) != 0;
}

/* Setting a hook visits every frame of the stack: only when it changes something. */
static void set_count(lua_State *L, int count)
{
    if (is_armed(L) && lua_gethookcount(L) == count) return;
    lua_sethook(L, hook, LUA_MASKCOUNT, count);
}

static void arm(ml_budget *b, lua_State *L)
{
    b->step = step_of(b, &ml_vm_of(L)->alloc);
    b->armed = L;
    ml_vm_of(L)->alloc.limits_keys = true;
    set_count(L, b->step);
}

static void disarm(ml_budget *b, lua_State *L)
{
    b->armed = NULL;
    ml_vm_of(L)->alloc.limits_keys = false;
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
    b->armed = NULL;
    ml_vm_of(L)->alloc.limits_keys = false;
    ml_vm_of(L)->alloc.moved_bytes = 0;
    if (is_armed(L)) arm(b, L);
}

void ml_budget_close_thread(ml_budget *b, lua_State *L)
{
    ml_budget_begin(b, L);
    arm(b, L);
    lua_resetthread(L);
    disarm(b, L);
}

void ml_budget_forget(lua_State *L)
{
    if (is_armed(L)) disarm(&ml_vm_of(L)->budget, L);
}

/* Embedded it has no lines, or its modules' names; loaded from disk, a path. */
static bool is_of_engine(const lua_Debug *ar)
{
    return strncmp(ar->short_src, "moonlatch.", strlen("moonlatch.")) == 0 ||
           strstr(ar->source, "/lua/moonlatch/");
}

/* The innermost line that is not the engine's own, else the innermost of all. */
static void note_line(ml_budget *b, lua_State *L)
{
    lua_Debug ar;
    for (int level = 0; level < STACK_LEVELS && lua_getstack(L, level, &ar); level++) {
        if (!lua_getinfo(L, "Sl", &ar) || ar.currentline <= 0) continue;
        bool is_engine = is_of_engine(&ar);
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
    if (is_armed(L)) set_count(L, 1);
    luaL_error(L, "the policy ran too long");
}

static int64_t take_moved(ml_alloc *a)
{
    int64_t work = (int64_t)(a->moved_bytes / BYTES_A_WORK);
    a->moved_bytes = 0;
    return work;
}

/* Catching an error visits every frame of the stack, so a deep stack that catches it in
 * each would end in quadratic time. */
static void look_at_depth(ml_budget *b, lua_State *L)
{
    lua_Debug ar;
    if (b->exceeded || !lua_getstack(L, MAX_CALLS, &ar)) return;
    b->exceeded = too_many_calls;
    note_line(b, L);
}

static void hook(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    ml_vm *vm = ml_vm_of(L);
    ml_budget *b = &vm->budget;
    look(b, L, b->step + take_moved(&vm->alloc));
    look_at_depth(b, L);
    if (b->exceeded) stop(L);
    arm(b, L);
}

/* From inside of the allocator; lua_sethook is made to be called from anywhere. */
void ml_budget_on_big(void *vm)
{
    lua_State *L = ((ml_vm *)vm)->budget.armed;
    if (L) set_count(L, 1);
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

void ml_budget_blame_text(ml_budget *b, const char *chunkname)
{
    if (!b->exceeded) return;
    if (chunkname[0] == '@' || chunkname[0] == '=') chunkname++;
    snprintf(b->where, sizeof(b->where), "%s:1: ", chunkname);
}

int ml_budget_check(const ml_budget *b, ml_err *e)
{
    if (!b->exceeded) return 0;
    if (b->exceeded == too_many_calls)
        return ml_fail(e, ML_EPOLICY,
                       "%sthe policy went too deep: more than %d %s; look for a "
                       "function that calls itself without end",
                       b->where, MAX_CALLS, b->exceeded);
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
    ml_vm *vm = ml_vm_of(L);
    ml_budget *b = &vm->budget;
    bool is_news = !b->exceeded;
    if (is_news) charge(b, take_moved(&vm->alloc));
    if (is_news && b->exceeded) note_function(b, L, DOOR_FUNCTION);
    if (!was_armed) disarm(b, L);
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
    if (!was_armed) {
        ml_vm_of(L)->alloc.moved_bytes = 0;
        arm(b, L);
    }
    int status = lua_pcallk(L, n_args, LUA_MULTRET, 0, was_armed, leave);
    return leave(L, status, was_armed);
}
