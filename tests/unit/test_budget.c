/* test_budget.c - nothing that a policy does makes it run on: instructions, time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "script_fixture.h"

static const ml_vm_limits by_count = {.max_instructions = 200 * 1000,
                                      .deadline_ms = 500};

static int open_fixture(void **state)
{
    static fixture f;
    ml_err e = {0};
    *state = &f;
    return fixture_open(&f, &by_count, NULL, &e);
}

static int close_fixture(void **state)
{
    fixture_close(*state);
    return 0;
}

static void assert_works(fixture *f)
{
    outcome o = fixture_run(
        f, "return function() for i = 1, 10000 do end return {text = 'fine'} end");
    assert_string_equal(o.text, "fine");
}

/* The policy ends with the budget's error, and the VM goes on working. */
static void assert_stopped(fixture *f, const char *policy, const char *part)
{
    outcome o = fixture_run(f, policy);
    assert_int_equal(o.err.code, ML_EPOLICY);
    if (!strstr(o.err.text, part)) fail_msg("\"%s\" lacks \"%s\"", o.err.text, part);
    assert_non_null(strstr(o.err.text, "the policy ran too long"));
    assert_works(f);
}

/* The plain case, with the line and what to do; while it loads, and while it runs. */
static void test_endless_loop(void **state)
{
    assert_stopped(
        *state, "return function()\nwhile true do end end",
        "policy.lua:2: the policy ran too long: more than 200000 instructions "
        "without a result; look for a loop that does not end, or raise "
        "lua_max_instructions");
    assert_stopped(*state, "\n\nwhile true do end", "policy.lua:3: ");
    assert_stopped(*state, "return function() ::a:: goto a end", "policy.lua:1: ");
    assert_stopped(*state, "local function f() return f() end return f",
                   "policy.lua:1: ");
}

/* Catching the error does not help. */
static void test_pcall(void **state)
{
    fixture *f = *state;
    assert_stopped(f,
                   "local function spin() while true do end end\n"
                   "return function() while true do pcall(spin) end end",
                   "policy.lua:1: ");
    assert_stopped(f,
                   "local function spin() while true do end end\n"
                   "return function() pcall(spin) return {text = 'got away'} end",
                   "");
    assert_stopped(f,
                   "local function spin() while true do end end\n"
                   "return function() while true do pcall(pcall, pcall, spin) end end",
                   "");
    assert_stopped(f,
                   "local function spin() while true do end end\n"
                   "return function() while true do xpcall(spin, spin) end end",
                   "");
    assert_stopped(f,
                   "local function spin() while true do end end\n"
                   "pcall(spin) return spin",
                   "policy.lua:1: ");
}

/* Nor do functions that Lua calls by itself. */
static void test_metamethods(void **state)
{
    fixture *f = *state;
    const char *const names[] = {"__index",    "__add", "__concat",
                                 "__tostring", "__lt",  "__len"};
    const char *const uses[] = {"t.x",         "t + 1", "t .. ''",
                                "tostring(t)", "t < t", "#t"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char policy[400];
        snprintf(
            policy, sizeof(policy),
            "local function spin() while true do end end\n"
            "local t = setmetatable({}, {%s = spin})\n"
            "return function() while true do pcall(function() return %s end) end end",
            names[i], uses[i]);
        assert_stopped(f, policy, "policy.lua:1: ");
    }
    assert_stopped(
        f,
        "return function() table.sort({1, 2, 3}, function() while true do end end) end",
        "policy.lua:1: ");
    assert_stopped(f,
                   "return function() (('x'):rep(9)):gsub('x', function() while true "
                   "do end end) end",
                   "policy.lua:1: ");
}

/* Variables that are closed after the kill are under the budget as well. */
static void test_close(void **state)
{
    fixture *f = *state;
    assert_stopped(f,
                   "local function spin() while true do end end\n"
                   "return function()\n"
                   "  local a <close> = setmetatable({}, {__close = spin})\n"
                   "  local b <close> = setmetatable({}, {__close = spin})\n"
                   "  spin() end",
                   "policy.lua:1: ");
    assert_stopped(f,
                   "local function spin() while true do end end\n"
                   "do local a <close> = setmetatable({}, {__close = spin}) spin() end",
                   "policy.lua:1: ");
}

/* A canceled call's __close cannot hold the host up. */
static void test_close_after_cancel(void **state)
{
    fixture *f = *state;
    outcome o;
    ml_err e = {0};
    assert_int_equal(0, fixture_load(f,
                                     "local s = core.environment{alias='fake'}\n"
                                     "return function()\n"
                                     "  local a <close> = setmetatable({}, {__close = "
                                     "function() while true do end end})\n"
                                     "  s:call('get', {key = 'slow-1'}) end",
                                     &e));
    ml_op *op = fixture_start(f, &(ml_call){ML_CALL_INIT, .name = "x"}, &o);
    ml_loop_turn(f->loop);
    ml_op_cancel(op);
    fixture_finish(f, &o);
    assert_int_equal(o.err.code, ML_ECANCELED);
    assert_works(f);
}

/* What would run with hooks turned off, or loop in C, is not there. */
static void test_dodges(void **state)
{
    fixture *f = *state;
    outcome o = fixture_run(
        f,
        "return function()\n"
        "  local ok, why = pcall(setmetatable, {}, {__gc = function() while true do "
        "end end})\n"
        "  assert(not ok and why:find('__gc is not available'))\n"
        "  assert(coroutine == nil and debug == nil and collectgarbage == nil and io "
        "== nil)\n"
        "  assert(os == nil and package == nil and string.dump == nil and print == "
        "nil)\n"
        "  local huge = setmetatable({}, {__len = function() return math.maxinteger - "
        "2 end})\n"
        "  table.insert(huge, 1, 1) table.remove(huge, 1) pcall(table.sort, huge)\n"
        "  pcall(table.concat, huge) pcall(table.unpack, huge)\n"
        "  local far = {} for i = 0, 61 do far[1 << i] = 1 end\n"
        "  pcall(table.insert, far, 1, 1) pcall(table.remove, far, 1)\n"
        "  assert(not pcall(table.move, {}, 1, math.maxinteger - 2, 2))\n"
        "  assert(not pcall(table.move, {}, -9, math.maxinteger - 2, 2))\n"
        "  assert(not pcall(load, function() end) and not pcall(load, 'x', 'x', 'b'))\n"
        "  assert(load('\\27Lua') == nil)\n"
        "  return {text = 'fine'}\n"
        "end");
    assert_string_equal(o.err.text, "");
    assert_string_equal(o.text, "fine");
}

/* Waits do not count: each stretch between them has the whole budget. */
static void test_each_run_has_its_own(void **state)
{
    outcome o = fixture_run(*state, "local s = core.environment{alias='fake'}\n"
                                    "return function()\n"
                                    "  for i = 1, 5 do\n"
                                    "    for j = 1, 50000 do local x = j + i end\n"
                                    "    s:call('get', {key = 'slow-1'})\n"
                                    "  end\n"
                                    "  return {text = 'fine'}\n"
                                    "end");
    assert_string_equal(o.err.text, "");
    assert_string_equal(o.text, "fine");
}

/* The wall clock: a run may take deadline_ms, whatever the count says. */
static void test_wall_clock(void **state)
{
    (void)state;
    fixture f;
    ml_err e = {0};
    ml_vm_limits limits = {.max_instructions = INT64_MAX, .deadline_ms = 500};
    assert_int_equal(0, fixture_open(&f, &limits, NULL, &e));
    f.tick_ms = 10; /* each look at the clock takes so long: 50 looks */
    outcome o = fixture_run(
        &f, "return function()\n pcall(function() while true do end end) end");
    assert_int_equal(o.err.code, ML_EPOLICY);
    assert_string_equal(
        o.err.text,
        "policy.lua:2: the policy ran too long: more than 500 milliseconds without a "
        "result; look for a loop that does not end, or raise lua_deadline_ms");
    f.tick_ms = 0;
    assert_works(&f);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_endless_loop, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(test_pcall, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(test_metamethods, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(test_close, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(test_close_after_cancel, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(test_dodges, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(test_each_run_has_its_own, open_fixture,
                                        close_fixture),
        cmocka_unit_test(test_wall_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
