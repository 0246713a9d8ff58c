/* test_vm.c - state, modules, loading, memory: caps, scrubbing, every failing
 * allocation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "counting.h"
#include "script_fixture.h"

/* ---- modules and loading ------------------------------------------------------- */

static const ml_pair variables[] = {{"CANARY", "canary-4711"}, {NULL, NULL}};

static int open_fixture(void **state)
{
    static fixture f;
    ml_err e = {0};
    *state = &f;
    return fixture_open(&f, &(ml_vm_limits){.max_bytes = 4 * 1024 * 1024}, variables,
                        &e);
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

/* Embedded modules only, each once; no files; a knot is told. */
static void test_require(void **state)
{
    fixture *f = *state;
    assert_text(f,
                "local a, b = require 'moonlatch.twice', require 'moonlatch.twice'\n"
                "return function() return {text = tostring(a == b) .. a.count} end",
                "true1");
    assert_text(
        f, "return function() return {text = require 'cjson'.encode({1, 'x'})} end",
        "[1,\"x\"]");
    outcome o = fixture_run(f, "require 'socket'");
    assert_string_equal(o.err.text,
                        "policy.lua:1: module 'socket' does not exist; policies have "
                        "moonlatch.policy");
    o = fixture_run(f, "require 'moonlatch.knot'");
    assert_non_null(strstr(o.err.text, "module 'moonlatch.knot' requires itself"));
    o = fixture_run(f, "require '../x'");
    assert_int_equal(o.err.code, ML_EPOLICY);
}

/* A policy that does not load leaves the one before it in charge. */
static void test_load_replaces_on_success(void **state)
{
    fixture *f = *state;
    outcome o;
    ml_err e = {0};
    ml_call call = {ML_CALL_INIT, .name = "x"};
    assert_null(fixture_start(f, &call, &o));
    assert_int_equal(o.err.code, ML_EPOLICY);
    assert_string_equal(o.err.text, "no policy is loaded");
    assert_int_equal(0, fixture_load(f, "return function() return {text = 'old'} end",
                                     &e));
    assert_int_equal(ML_EPOLICY, fixture_load(f, "return function( return", &e));
    assert_int_equal(ML_EPOLICY, fixture_load(f, "error('no')", &e));
    assert_string_equal(e.text, "policy.lua:1: no");
    assert_int_equal(ML_EPOLICY, fixture_load(f, "\x1bLua", &e));
    fixture_start(f, &call, &o);
    fixture_finish(f, &o);
    assert_string_equal(o.text, "old");
    assert_int_equal(0, fixture_load(f, "return function() return {text = 'new'} end",
                                     NULL));
    fixture_start(f, &call, &o);
    fixture_finish(f, &o);
    assert_string_equal(o.text, "new");
}

/* An engine that is missing or broken is told when the VM is made. */
static const ml_embedded *find_nothing(const char *name)
{
    (void)name;
    return NULL;
}

static const ml_embedded *find_broken(const char *name)
{
    (void)name;
    static const ml_embedded m = {"moonlatch.engine", "return {}", 9, NULL, NULL, 0};
    return &m;
}

static const ml_embedded *find_gone(const char *name)
{
    (void)name;
    static const ml_embedded m = {"moonlatch.engine",        NULL, 0,
                                  "/nonexistent/engine.lua", NULL, 0};
    return &m;
}

static void test_broken_engine(void **state)
{
    fixture *f = *state;
    ml_err e = {0};
    ml_vm_limits limits = {0};
    assert_null(ml_vm_new_with(&f->host, &limits, find_nothing, &e));
    assert_non_null(strstr(e.text, "'moonlatch.engine' does not exist"));
    assert_null(ml_vm_new_with(&f->host, &limits, find_broken, &e));
    assert_non_null(strstr(e.text, "moonlatch.engine has no function 'load'"));
    assert_null(ml_vm_new_with(&f->host, &limits, find_gone, &e));
    assert_non_null(strstr(e.text, "/nonexistent/engine.lua"));
    assert_null(
        ml_vm_new_with(&f->host, &(ml_vm_limits){.max_bytes = 8000}, find_broken, &e));
    assert_non_null(strstr(e.text, "lua_max_bytes"));
}

/* The functions that replace Lua's own behave as those do. */
static void test_stdlib(void **state)
{
    assert_text(
        *state,
        "return function()\n"
        "  local t = {1, 2, 3}\n"
        "  table.insert(t, 4) table.insert(t, 1, 0) table.insert(t, #t + 1, 5)\n"
        "  assert(table.concat(t, ',') == '0,1,2,3,4,5')\n"
        "  assert(table.remove(t) == 5 and table.remove(t, 1) == 0 and table.concat(t) "
        "== '1234')\n"
        "  assert(table.remove({}) == nil and table.remove({[0] = 7}, 0) == 7)\n"
        "  assert(not pcall(table.insert, t, 9, 9) and not pcall(table.remove, t, 9))\n"
        "  assert(not pcall(table.insert, t) and not pcall(table.insert, t, 1, 2, 3))\n"
        "  assert(table.concat(table.move({1, 2, 3}, 1, 3, 2)) == '1123')\n"
        "  assert(table.concat(table.move({1, 2, 3}, 2, 3, 1)) == '233')\n"
        "  assert(table.concat(table.move({1, 2, 3}, 1, 3, 1, {})) == '123')\n"
        "  assert(#table.move({1}, 1, 0, 5, {}) == 0)\n"
        "  local ok, m = xpcall(error, function(e) return e .. '!' end, 'x', 0)\n"
        "  assert(not ok and m == 'x!')\n"
        "  assert(select('#', xpcall(function(...) return ... end, print or error, 1, "
        "nil)) == 3)\n"
        "  local locked = setmetatable({}, {__metatable = 1})\n"
        "  assert(not pcall(setmetatable, locked, {}) and not pcall(setmetatable, 1, "
        "{}))\n"
        "  assert(getmetatable(setmetatable({}, nil)) == nil and getmetatable('') == "
        "false)\n"
        "  local f, why = load('return x +', '=name')\n"
        "  assert(f == nil and why:find('^name:1:'))\n"
        "  assert(load('return y', 'c', 't', {y = 5})() == 5 and load('')() == nil)\n"
        "  return {text = 'fine'}\n"
        "end",
        "fine");
}

/* ---- memory -------------------------------------------------------------------- */

/* Bombs end in a policy error that names the option; the VM goes on. */
static void test_memory_bombs(void **state)
{
    fixture *f = *state;
    const char *const bombs[] = {
        "return function() return {text = ('x'):rep(1e9)} end",
        "return function() local t = {} for i = 1, 1e6 do t[i] = {} end end",
        "return function() local s = 'x' while true do s = s .. s end end",
        "return function() error(select(2, pcall(string.rep, 'x', 1e9)), 0) end",
        "local t = {} for i = 1, 1e6 do t[i] = ('x'):rep(100) .. i end",
    };
    for (size_t i = 0; i < sizeof(bombs) / sizeof(bombs[0]); i++) {
        outcome o = fixture_run(f, bombs[i]);
        assert_int_equal(o.err.code, ML_EPOLICY);
        assert_non_null(strstr(o.err.text, "more than 4096 KiB"));
        assert_non_null(strstr(o.err.text, "lua_max_bytes"));
        assert_text(f, "return function() return {text = #('x'):rep(1e6) .. ''} end",
                    "1000000");
    }
}

/* What is counted against the cap is what is held: Lua halves a table that empties. */
static void test_a_block_that_shrinks_is_given_back(void **state)
{
    (void)state;
    ml_alloc a = {.max_bytes = 4 << 20};
    size_t size = 1 << 20;
    void *block = ml_alloc_lua(&a, NULL, 0, size);
    assert_non_null(block);
    for (; size > 1024; size /= 2) {
        block = ml_alloc_lua(&a, block, size, size / 2);
        assert_in_range(ml_pool_room(block), size / 2, size - 1);
    }
    assert_int_equal(a.used_bytes, size);
    ml_alloc_lua(&a, block, size, 0);
    ml_pool_fini(&a.pool);
}

/* What Lua frees or moves holds nothing of what it held. */
static void test_freed_blocks_are_scrubbed(void **state)
{
    (void)state;
    fixture f;
    ml_err e = {0};
    counted.marker = "canary-4711";
    counted.n_markers = 0;
    ml_free(ml_dup("--canary-4711--"));
    assert_int_equal(counted.n_markers, 1); /* the search works */
    counted.n_markers = 0;
    assert_int_equal(0, fixture_open(&f, NULL, variables, &e));
    outcome o =
        fixture_run(&f, "local c = core.env_secret('CANARY')\n"
                        "return function()\n"
                        "  local plain = core.env('CANARY')\n"
                        "  local all = {}\n"
                        "  for i = 1, 300 do all[i] = plain .. i all[i] = "
                        "all[i]:upper():lower():gsub('a', 'a') end\n"
                        "  local text = table.concat(all, ','):rep(10)\n"
                        "  return {text = tostring(core.with_name(c, 'n')) .. #text}\n"
                        "end");
    assert_string_equal(o.err.text, "");
    assert_non_null(strstr(o.text, "secret (hidden)"));
    fixture_close(&f);
    assert_int_equal(counted.n_markers, 0);
    counted.marker = NULL;
}

/* Whichever allocation fails, the call ends with an error or well, and nothing leaks.
 */
static bool survives(long nth)
{
    static const char policy[] = "local s = core.environment{alias='fake'}\n"
                                 "local c = core.env_secret('CANARY')\n"
                                 "return function(call)\n"
                                 "  local a, err = s:call('get', {key = 'slow-1', "
                                 "value = c, tags = {x = 'y'}})\n"
                                 "  if not a then return nil, err end\n"
                                 "  local l, err = s:call('list', {key = 'list-1'})\n"
                                 "  if not l then return nil, err end\n"
                                 "  l[4] = core.with_name(a, call.name)\n"
                                 "  local _, e = s:call('get', {key = 'fail-1'})\n"
                                 "  core.events()\n"
                                 "  if e.code ~= 'forbidden' then return nil, e end\n"
                                 "  return {secrets = l, text = ('x'):rep(100)}\n"
                                 "end";
    fixture f;
    outcome o = {0};
    long live = counted.live;
    ml_call call = {ML_CALL_INIT, .verb = ML_PUT, .name = "x", .value = "v",
                    .value_len = 1};
    counting_fail(nth, false);
    int code = fixture_open(&f, NULL, variables, &o.err);
    if (code == 0) code = fixture_load(&f, policy, &o.err);
    if (code == 0 && fixture_start(&f, &call, &o)) fixture_finish(&f, &o);
    bool was_reached = counting_stop();
    if (o.err.code != 0 && o.err.code != ML_ENOMEM)
        fail_msg("%ld: %s", nth, o.err.text);
    if (o.err.code == 0) assert_int_equal(o.n_secrets, 4);
    if (f.loop) ml_loop_free(f.loop);
    ml_vm_free(f.vm);
    ml_env_fini(&f.env);
    if (counted.live != live)
        fail_msg("%ld: %ld blocks leak", nth, (long)counted.live - live);
    return was_reached;
}

static void test_every_allocation_fails(void **state)
{
    (void)state;
    long nth = 1;
    while (survives(nth)) nth++;
    assert_in_range(nth, 300, 100000); /* it was long enough a way */
}

/* ---- embedding ----------------------------------------------------------------- */

extern const ml_embedded *test_embedded_find(const char *name);

/* Any bytes come through, an empty file too; names are found, others are not. */
static void test_embedding(void **state)
{
    (void)state;
    const ml_embedded *m = test_embedded_find("sample.bytes");
    assert_non_null(m);
    assert_int_equal(m->len, 256);
    for (int i = 0; i < 256; i++) assert_int_equal((unsigned char)m->text[i], i);
    m = test_embedded_find("sample.bytes_empty");
    assert_non_null(m);
    assert_int_equal(m->len, 0);
    assert_non_null(test_embedded_find("by.hand"));
    assert_null(test_embedded_find("sample"));
    assert_null(test_embedded_find(""));
    assert_null(test_embedded_find("zzz"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_require, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(test_load_replaces_on_success, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(test_broken_engine, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(test_stdlib, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(test_memory_bombs, open_fixture, close_fixture),
        cmocka_unit_test(test_a_block_that_shrinks_is_given_back),
        cmocka_unit_test(test_freed_blocks_are_scrubbed),
        cmocka_unit_test(test_every_allocation_fails),
        cmocka_unit_test(test_embedding),
    };
    counting_use();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
