/* bench_plan.c - what a policy of RULES rules costs: to load, to keep, to make a plan
 * with; no I/O.
 *
 *   bench_plan RULES TIMES          samples
 *   bench_plan RULES TIMES last     only plans of the last rule, for who counts
 *                                   instructions: 1.1 x TIMES of them, and one
 *
 * Runs inside the resolver's own VM (its allocator), through the function that every
 * verb begins with.  References: one call of a Lua function with one string.match and a
 * concatenation, and Lua parsing the same text, in a bare Lua state. */
#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "bench.h"
#include "script/state.h"

typedef struct run {
    int rules, times;
    bool only_last;
} run;

/* Returns a function(times) that makes the plan of one name again and again. */
static const char loop_text[] =
    "local plan, policy, name = ...\n"
    "local context = {}\n"
    "return function(times)\n"
    "  for _ = 1, times do\n"
    "    local steps = plan(policy, name, context)\n"
    "    if not steps or #steps ~= 1 then error('no plan for ' .. name) end\n"
    "  end\n"
    "end\n";

static const char reference_text[] =
    "local match = string.match\n"
    "local function one(name)\n"
    "  return 'prefix-' .. match(name, '^[^/]*/(.*)$')\n"
    "end\n"
    "return function(times)\n"
    "  for _ = 1, times do\n"
    "    local made = one('team-0000/db-password')\n"
    "    if not made then error('no match') end\n"
    "  end\n"
    "end\n";

static void policy_text(ml_buf *b, int rules)
{
    ml_buf_add_text(b, "local ml = require 'moonlatch.policy'\n"
                       "local env = ml.environment {}\n"
                       "return ml.policy {\n");
    for (int i = 0; i < rules; i++) {
        ml_buf_addf(
            b,
            "  ml.rule 'team-%04d/**' { strip = 'team-%04d/', prefix = 'T%04d_',"
            " replace = { ['-'] = '_', ['/'] = '_' }, from = env },\n",
            i, i, i);
    }
    ml_buf_add_text(b, "}\n");
    if (!ml_buf_ok(b)) bench_die("policy", "out of memory");
}

/* The function on top of the stack, called with `times`: nanoseconds of one turn. */
static double time_loop(lua_State *L, int times)
{
    lua_pushvalue(L, -1);
    lua_pushinteger(L, times / 10 + 1);
    lua_call(L, 1, 0); /* warm */
    int64_t began = bench_now_ns();
    lua_pushinteger(L, times);
    lua_call(L, 1, 0);
    return (double)(bench_now_ns() - began) / times;
}

static double time_plan(lua_State *L, const char *name, int times)
{
    if (luaL_loadstring(L, loop_text) != LUA_OK) lua_error(L);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "moonlatch.plan");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "checked");
    lua_remove(L, -2);
    lua_rawgeti(L, LUA_REGISTRYINDEX, ml_vm_of(L)->policy_ref);
    lua_pushstring(L, name);
    lua_call(L, 3, 1);
    return time_loop(L, times);
}

/* "plan_last_50_ns": one name for each number of rules. */
static void sample(const char *what, int rules, const char *unit, double value)
{
    char name[60];
    snprintf(name, sizeof(name), "%s_%d_%s", what, rules, unit);
    bench_sample(name, value);
}

/* Protected. */
static int measure(lua_State *L)
{
    const run *r = lua_touserdata(L, 1);
    char last[40];
    snprintf(last, sizeof(last), "team-%04d/db-password", r->rules - 1);
    if (!r->only_last)
        sample("plan_first", r->rules, "ns",
               time_plan(L, "team-0000/db-password", r->times));
    sample("plan_last", r->rules, "ns", time_plan(L, last, r->times));
    return 0;
}

/* Protected; the argument is where to put the bytes in use. */
static int count_bytes(lua_State *L)
{
    lua_gc(L, LUA_GCCOLLECT, 0);
    lua_gc(L, LUA_GCCOLLECT, 0);
    *(double *)lua_touserdata(L, 1) =
        1024.0 * lua_gc(L, LUA_GCCOUNT, 0) + lua_gc(L, LUA_GCCOUNTB, 0);
    return 0;
}

static double bytes_in_use(ml_vm *vm)
{
    ml_err e;
    double bytes = 0;
    if (ml_vm_protect(vm, count_bytes, &bytes, &e) != 0) bench_die("memory", e.text);
    return bytes;
}

static void load(ml_vm *vm, ml_str text)
{
    ml_err e;
    if (ml_vm_load(vm, text, "@bench.lua", &e) != 0) bench_die("policy", e.text);
}

/* The first load brings modules along; a policy of one rule stands for them. */
static void measure_load(ml_vm *vm, int rules)
{
    ml_buf text, one;
    ml_buf_init(&text, 0);
    ml_buf_init(&one, 0);
    policy_text(&text, rules);
    policy_text(&one, 1);
    load(vm, ml_buf_str(&one));
    double before = bytes_in_use(vm);
    load(vm, ml_buf_str(&text));
    sample("policy", rules, "bytes", bytes_in_use(vm) - before);
    ml_buf_fini(&text);
    ml_buf_fini(&one);
}

static void measure_reference(int times)
{
    lua_State *L = luaL_newstate();
    if (!L) bench_die("reference", "out of memory");
    luaL_openlibs(L);
    if (luaL_loadstring(L, reference_text) || lua_pcall(L, 0, 1, 0)) {
        bench_die("reference", lua_tostring(L, -1));
    }
    bench_sample("plan_reference_ns", time_loop(L, times));
    lua_close(L);
}

int main(int argc, char **argv)
{
    bool only_last = argc == 4 && strcmp(argv[3], "last") == 0;
    if (argc != 3 && !only_last) bench_die("usage", "bench_plan RULES TIMES [last]");
    run r = {bench_number(argv[1]), bench_number(argv[2]), only_last};
    if (r.rules > 5000) bench_die("usage", "at most 5,000 rules");
    ml_err e;
    ml_log log = {0};
    ml_env env = {0};
    ml_host host = {.env = &env, .log = &log, .clock = &ml_system_clock};
    ml_vm_limits limits = {.max_instructions = INT64_MAX / 2, .deadline_ms = 600000};
    ml_vm *vm = ml_vm_new(&host, &limits, &e);
    if (!vm) bench_die("vm", e.text);
    measure_load(vm, r.rules);
    if (ml_vm_protect(vm, measure, &r, &e) != 0) bench_die("plan", e.text);
    if (!only_last) measure_reference(r.times);
    ml_vm_free(vm);
    return 0;
}
