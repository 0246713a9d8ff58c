/* test_limited.c - core.limited: the budget holds inside, and the engine goes without.
 *
 * The engine here is the test's: it is what stands on both sides of the door. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "script_fixture.h"

static const ml_vm_limits by_count = {.max_instructions = 200 * 1000,
                                      .deadline_ms = 500};

/* `policy` is a text that the engine runs itself: trusted.  What it runs through
 * limited is the policy's part. */
static const char engine[] =
    "local core = require 'moonlatch.core'\n"
    "local M = {}\n"
    "local env = setmetatable({core = core, limited = core.limited},\n"
    "  {__index = _G})\n"
    "env.spin = load('while true do end', '@policy.lua', 't', {})\n"
    "env.count = load('for _ = 1, ... do end return ...', '@policy.lua', 't', {})\n"
    "function M.load(text, chunkname)\n"
    "  local chunk, problem = load(text, '=moonlatch.test', 't', env)\n"
    "  return assert(chunk, problem)()\n"
    "end\n"
    "function M.run(policy, call) return policy(call) end\n"
    "return M\n";

static const ml_embedded modules[] = {
    {"moonlatch.engine", engine, sizeof(engine) - 1, NULL, NULL, 0}};

static const ml_embedded *find(const char *name)
{
    return ml_embedded_in(modules, 1, name);
}

static int open_fixture(void **state)
{
    static fixture f;
    ml_err e = {0};
    *state = &f;
    if (fixture_open(&f, &by_count, NULL, &e) != 0) return e.code;
    ml_vm_free(f.vm);
    f.vm = ml_vm_new_with(&f.host, &by_count, find, &e);
    return f.vm ? 0 : e.code;
}

static int close_fixture(void **state)
{
    fixture_close(*state);
    return 0;
}

static void assert_text(fixture *f, const char *policy, const char *text)
{
    outcome o = fixture_run(f, policy);
    assert_string_equal(o.err.text, "");
    assert_string_equal(o.text, text);
}

static void assert_stopped(fixture *f, const char *policy, const char *where)
{
    outcome o = fixture_run(f, policy);
    assert_int_equal(o.err.code, ML_EPOLICY);
    if (!strstr(o.err.text, "the policy ran too long")) fail_msg("%s", o.err.text);
    if (!strstr(o.err.text, where)) fail_msg("%s lacks %s", o.err.text, where);
    assert_text(f, "return function() return {text = 'fine'} end", "fine");
}

/* As pcall: results, errors of any kind, arguments. */
static void test_results(void **state)
{
    assert_text(
        *state,
        "return function()\n"
        "  local t = {limited(function(...) return ... end, 1, nil, 3)}\n"
        "  assert(#t == 4 and t[1] == true and t[3] == nil and t[4] == 3)\n"
        "  assert(select('#', limited(function() end)) == 1)\n"
        "  local mark = {}\n"
        "  local fine, e = limited(error, mark)\n"
        "  assert(fine == false and e == mark)\n"
        "  assert(select('#', limited(error)) == 2)\n"
        "  assert(not pcall(limited) and not pcall(limited, {}))\n"
        "  local fine, a = limited(limited, function() return 'x' end)\n"
        "  assert(fine and a == true)\n"
        "  local many = {limited(table.unpack, {}, 1, 200)}\n"
        "  assert(limited(function(...) return ... end, table.unpack({}, 1, 200)))\n"
        "  return {text = 'fine'}\n"
        "end",
        "fine");
}

/* The engine's own code costs no budget; inside the door everybody's does. */
static void test_engine_is_free(void **state)
{
    fixture *f = *state;
    assert_text(f,
                "for _ = 1, 1000000 do end\n"
                "return function()\n"
                "  for _ = 1, 1000000 do end\n"
                "  assert(limited(count, 50000))\n"
                "  for _ = 1, 1000000 do end\n"
                "  return {text = 'fine'}\n"
                "end",
                "fine");
    assert_stopped(f, "return function() limited(spin) end", "policy.lua:1: ");
    assert_stopped(f, "limited(spin) return spin", "policy.lua:1: ");
    assert_stopped(f, "return function() while true do limited(count, 10000) end end",
                   "policy.lua:1: ");
}

/* Whoever catches it, the run is over: it neither answers nor waits. */
static void test_cannot_be_swallowed(void **state)
{
    fixture *f = *state;
    assert_stopped(f, "return function() pcall(limited, spin) return {} end",
                   "policy.lua:1: ");
    assert_stopped(f,
                   "local s = core.environment{alias='fake'}\n"
                   "return function()\n"
                   "  pcall(limited, spin)\n"
                   "  s:call('get', {key = 'slow-1'})\n"
                   "  return {}\n"
                   "end",
                   "policy.lua:1: ");
    assert_int_equal(fake_asked.n_started, 0);
    assert_stopped(f,
                   "return function()\n"
                   "  pcall(limited, spin)\n"
                   "  assert(not pcall(limited, count, 1))\n"
                   "  return {}\n"
                   "end",
                   "policy.lua:1: ");
    assert_stopped(f, "pcall(limited, spin) return function() end", "policy.lua:1: ");
}

/* A door inside a door: leaving the inner one leaves the hook on. */
static void test_nested(void **state)
{
    assert_stopped(*state,
                   "return function() limited(function()\n"
                   "  limited(count, 1) limited(error)\n"
                   "  while true do pcall(count, 1) end\n"
                   "end) end",
                   "");
    assert_stopped(*state,
                   "return function() limited(function()\n"
                   "  while true do pcall(limited, spin) end\n"
                   "end) end",
                   "policy.lua:1: ");
}

/* What C does is charged on both sides. */
static void test_spend(void **state)
{
    fixture *f = *state;
    assert_stopped(f, "return function() while true do core.spend(1000) end end",
                   "moonlatch.test:1: ");
    assert_stopped(f,
                   "return function()\n"
                   "  limited(count, 1000)\n"
                   "  while true do pcall(core.spend, 1000) pcall(core.spend, -9)\n"
                   "    if not pcall(limited, count, 1) then return {} end\n"
                   "  end\n"
                   "end",
                   "moonlatch.test:3: ");
    assert_stopped(f, "return function() limited(core.spend, math.maxinteger) end", "");
    assert_text(f,
                "return function()\n"
                "  core.spend(-5) core.spend(0) core.spend(100000)\n"
                "  return {text = 'fine'}\n"
                "end",
                "fine");
}

/* After a wait inside the door the hook is on again, with the whole budget. */
static void test_wait_inside(void **state)
{
    fixture *f = *state;
    static const char policy[] =
        "local s = core.environment{alias='fake'}\n"
        "local function get()\n"
        "  count(50000)\n"
        "  local x = s:call('get', {key = 'slow-1'})\n"
        "  count(50000)\n"
        "  return x:key()\n"
        "end\n"
        "return function()\n"
        "  local _, a = limited(get)\n"
        "  local _, _, b = limited(pcall, get)\n"
        "  local _, _, c = limited(limited, get)\n"
        "  local fine, d = limited(function() get() error('x', 0) end)\n"
        "  for _ = 1, 1000000 do end\n"
        "  return {text = a .. b .. c .. tostring(fine) .. d}\n"
        "end";
    assert_text(f, policy, "slow-1slow-1slow-1falsex");
    assert_stopped(f,
                   "local s = core.environment{alias='fake'}\n"
                   "return function() limited(function()\n"
                   "  s:call('get', {key = 'slow-1'}) while true do pcall(spin) end\n"
                   "end) end",
                   "policy.lua:1: ");
    assert_stopped(f,
                   "local s = core.environment{alias='fake'}\n"
                   "return function()\n"
                   "  limited(s.call, s, 'get', {key = 'slow-1'})\n"
                   "  limited(spin)\n"
                   "end",
                   "policy.lua:1: ");
}

/* A thread that is kept for other calls has no hook left on. */
static void test_threads_are_clean(void **state)
{
    fixture *f = *state;
    static const char *const policies[] = {
        "return function() limited(count, 5) return {text = ''} end",
        "return function() limited(spin) end",
        "local s = core.environment{alias='fake'}\n"
        "return function() limited(s.call, s, 'get', {key = 'slow-1'})\n"
        "  return {text = ''} end",
        "return function() limited(error, 'x') error('x') end",
    };
    for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
        fixture_run(f, policies[i]);
        assert_int_equal(f->vm->n_idle, 1);
        assert_int_equal(lua_gethookmask(f->vm->idle[0].L), 0);
        assert_int_equal(lua_gethookmask(f->vm->L), 0);
    }
}

/* Too late counts also when no hook came by in time: the function ends with one long
 * call into C.  The clock moves at every look, so this policy takes 600 ms. */
static void test_late(void **state)
{
    fixture *f = *state;
    ml_err e = {0};
    assert_int_equal(0, fixture_load(f,
                                     "local late = load(\n"
                                     "  '\\n return function(now) for _ = 1, 60 do '\n"
                                     "  .. 'now() end end', '@policy.lua', 't', {})()\n"
                                     "return function()\n"
                                     "  limited(late, core.now_ms)\n"
                                     "  return {text = 'late'}\n"
                                     "end",
                                     &e));
    outcome o;
    fixture_start(f, &(ml_call){ML_CALL_INIT, .name = "x"}, &o);
    f->tick_ms = 10;
    fixture_finish(f, &o);
    f->tick_ms = 0;
    assert_int_equal(o.err.code, ML_EPOLICY);
    assert_non_null(strstr(
        o.err.text, "policy.lua:2: the policy ran too long: more than 500 millisec"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_results, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(test_engine_is_free, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(test_cannot_be_swallowed, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(test_nested, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(test_spend, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(test_wait_inside, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(test_threads_are_clean, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(test_late, open_fixture, close_fixture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
