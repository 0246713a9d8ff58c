/* test_kept_lua.c - the cache before sources that are written in Lua, among coroutines.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "script_fixture.h"

/* lua_source(alias, ask) wraps a source whose get is ask(args); asked counts. */
#define SOURCE                                                                         \
    "local kept = require 'moonlatch.kept'\n"                                          \
    "local env = core.environment{alias='fake'}\n"                                     \
    "asked = 0\n"                                                                      \
    "local function lua_source(alias, ask)\n"                                          \
    "  local raw = {}\n"                                                               \
    "  function raw.alias() return alias end\n"                                        \
    "  function raw.kind() return 'lua' end\n"                                         \
    "  function raw.label() return 'a label' end\n"                                    \
    "  function raw.writable() return true end\n"                                      \
    "  function raw.check(_, key) return key ~= 'bad' or nil, 'why' end\n"             \
    "  function raw.call(_, verb, args)\n"                                             \
    "    asked = asked + 1\n"                                                          \
    "    if verb ~= 'get' then return true end\n"                                      \
    "    return ask(args)\n"                                                           \
    "  end\n"                                                                          \
    "  return kept.wrap(raw, true)\n"                                                  \
    "end\n"                                                                            \
    "local function slowly(args) return env:call('get', {key = 'slow-' .. args.key, "  \
    "refresh = true}) end\n"

static int open_fixture(void **state)
{
    static fixture f;
    ml_err e = {0};
    *state = &f;
    int rc = fixture_open(&f, NULL, NULL, &e);
    if (rc < 0) return rc;
    fixture_keep(&f, &(ml_kept_limits){.max_bytes = 100000,
                                       .max_entries = 100,
                                       .keep = {10000, -1, 60000, false, false},
                                       .refresh_percent = 75});
    return 0;
}

static int close_fixture(void **state)
{
    fixture_close(*state);
    return 0;
}

static void load(fixture *f, const char *policy)
{
    ml_err e = {0};
    if (fixture_load(f, policy, &e) < 0) fail_msg("%s", e.text);
}

static const ml_call get_x = {ML_CALL_INIT, .verb = ML_GET, .name = "x"};

static void assert_text(fixture *f, const char *policy, const char *text)
{
    outcome o = fixture_run(f, policy);
    assert_string_equal(o.err.text, "");
    assert_string_equal(o.text, text);
}

#define ANSWER                                                                         \
    "return function(call)\n"                                                          \
    "  local s, f = src:call('get', {key = 'k', name = call.name})\n"                  \
    "  if not s then return nil, f end\n"                                              \
    "  return {secrets = {s}, text = tostring(asked)}\n"                               \
    "end\n"

static void test_one_call_for_many_coroutines(void **state)
{
    fixture *f = *state;
    enum { N = 50 };
    outcome all[N];
    load(f, SOURCE "local src = lua_source('lua', slowly)\n" ANSWER);
    for (int i = 0; i < N; i++) assert_non_null(fixture_start(f, &get_x, &all[i]));
    for (int i = 0; i < N; i++) {
        for (int turn = 0; turn < 20 && !all[i].n_done; turn++) {
            ml_loop_turn(f->loop);
            f->now_ms += 10;
        }
        assert_int_equal(all[i].n_done, 1);
        assert_string_equal(all[i].value, "value of slow-k");
        assert_string_equal(all[i].name, "x");
        assert_string_equal(all[i].text, "1");
    }
    assert_int_equal(fake_asked.n_started, 1);
    outcome again;
    assert_non_null(fixture_start(f, &get_x, &again));
    fixture_finish(f, &again);
    assert_string_equal(again.text, "1");
    f->now_ms += 11000;
    assert_non_null(fixture_start(f, &get_x, &again));
    fixture_finish(f, &again);
    assert_string_equal(again.text, "2");
}

/* The coroutine that asks for all is canceled: one of the others asks. */
static void test_who_asks_may_leave(void **state)
{
    fixture *f = *state;
    outcome first, second, third;
    load(f, SOURCE "local src = lua_source('lua', slowly)\n" ANSWER);
    ml_op *op = fixture_start(f, &get_x, &first);
    assert_non_null(fixture_start(f, &get_x, &second));
    assert_non_null(fixture_start(f, &get_x, &third));
    ml_loop_turn(f->loop);
    ml_op_cancel(op);
    fixture_finish(f, &first);
    assert_int_equal(first.err.code, ML_ECANCELED);
    fixture_finish(f, &second);
    fixture_finish(f, &third);
    assert_string_equal(second.value, "value of slow-k");
    assert_string_equal(third.value, "value of slow-k");
    assert_string_equal(third.text, "2");
}

/* Nobody turned the loop until the time of who asks was over: the next one asks. */
static void test_who_asks_may_be_lost(void **state)
{
    fixture *f = *state;
    outcome first, second;
    load(f, SOURCE "local src = lua_source('lua', slowly)\n" ANSWER);
    assert_non_null(fixture_start(f, &get_x, &first));
    ml_loop_turn(f->loop);
    f->now_ms += 30000;
    assert_non_null(fixture_start(f, &get_x, &second));
    fixture_finish(f, &second);
    assert_string_equal(second.value, "value of slow-k");
    assert_string_equal(second.text, "2");
    assert_int_equal(first.n_done, 1);
}

/* Who logs in for all has no time left: that is no reason for those who have more. */
static void test_who_logs_in_may_be_late(void **state)
{
    fixture *f = *state;
    outcome first, second;
    load(f, SOURCE
         "local src = require 'moonlatch.lua_source'.new('p:1', {\n"
         "  get = function(key, ctx)\n"
         "    return ctx.memo:once('token', function()\n"
         "      asked = asked + 1\n"
         "      local s = env:call('get', {key = (asked > 1 and 'now-' or 'slow-') .. "
         "key})\n"
         "      if core.left_ms() <= 0 then return nil, 'unavailable', 'late' end\n"
         "      return s, 60\n"
         "    end)\n"
         "  end }, 'lua')\n" ANSWER);
    assert_non_null(fixture_start(f, &get_x, &first));
    ml_loop_turn(f->loop);
    f->now_ms += 40;
    assert_non_null(fixture_start(f, &get_x, &second));
    ml_loop_turn(f->loop);
    f->now_ms += 30000 - 40;
    fixture_finish(f, &first);
    assert_int_equal(first.err.code, ML_EUNAVAILABLE);
    fixture_finish(f, &second);
    assert_string_equal(second.err.text, "");
    assert_string_equal(second.value, "value of now-k");
    assert_string_equal(second.text, "2");
}

/* One that raises tells nobody anything: the next one tries, and sees for itself. */
static void test_who_asks_may_fail(void **state)
{
    fixture *f = *state;
    outcome a, b;
    load(f, SOURCE "local src = lua_source('lua', function(args)\n"
                   "  slowly(args)\n"
                   "  error({code = 'invalid', text = 'broken ' .. asked}, 0)\n"
                   "end)\n" ANSWER);
    assert_non_null(fixture_start(f, &get_x, &a));
    assert_non_null(fixture_start(f, &get_x, &b));
    fixture_finish(f, &a);
    fixture_finish(f, &b);
    assert_int_equal(a.err.code, ML_EINVALID);
    assert_string_equal(a.err.text, "broken 1");
    assert_string_equal(b.err.text, "broken 2");
}

static int no_more_memory(lua_State *L)
{
    fixture *f = lua_touserdata(L, lua_upvalueindex(1));
    for (int i = 0; i < 3; i++) lua_gc(L, LUA_GCCOLLECT);
    f->vm->alloc.max_bytes = f->vm->alloc.used_bytes;
    return 0;
}

/* Memory ends just before what is kept is handed out: it is not left behind, as the
 * leak checker of a sanitized build sees. */
static void test_no_memory_for_what_is_kept(void **state)
{
    fixture *f = *state;
    size_t max_bytes = f->vm->alloc.max_bytes;
    lua_pushlightuserdata(f->vm->L, f);
    lua_pushcclosure(f->vm->L, no_more_memory, 1);
    lua_setglobal(f->vm->L, "no_more_memory");
    load(
        f, SOURCE
        "local src = lua_source('lua', function() return core.secret('v') "
        "end)\n"
        "local ending = { __index = function(_, field)\n"
        "  if field == 'refresh' or field == 'stale_ttl_ms' then no_more_memory() end\n"
        "end }\n"
        "return function(call)\n"
        "  if call.name == 'a' then return src:call('get', {key = 'k'}) end\n"
        "  local last = setmetatable({key = 'k'}, ending)\n"
        "  if call.name == 'b' then return src:call('get', last) end\n"
        "  return src:stale('k', nil, last)\n"
        "end\n");
    static const char *const names[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++) {
        outcome o;
        ml_call call = {ML_CALL_INIT, .verb = ML_GET, .name = names[i]};
        assert_non_null(fixture_start(f, &call, &o));
        fixture_finish(f, &o);
        f->vm->alloc.max_bytes = max_bytes;
        assert_int_equal(o.err.code, i == 0 ? 0 : ML_EPOLICY);
        if (i > 0) assert_non_null(strstr(o.err.text, "too much memory"));
    }
}

/* The whole chain is named; nothing hangs, and what could be answered without it is. */
static void test_a_cycle_is_an_error(void **state)
{
    fixture *f = *state;
    outcome o;
    load(f, SOURCE "local a, b\n"
                   "a = lua_source('first', function() return b:call('get', "
                   "{key = 'two'}) end)\n"
                   "b = lua_source('second', function() return a:call('get', "
                   "{key = 'ONE'}) end)\n"
                   "return function(call) return a:call('get', {key = 'one'}) end\n");
    assert_non_null(fixture_start(f, &get_x, &o));
    fixture_finish(f, &o);
    assert_int_equal(o.err.code, ML_EPOLICY);
    assert_string_equal(
        o.err.text, "a source waits for itself: first:one -> second:two -> first:one");
    assert_string_equal(o.err.source, "first");
}

/* Two calls, each asking what the other one waits for. */
static void test_a_cycle_between_calls(void **state)
{
    fixture *f = *state;
    outcome one, two;
    load(f, SOURCE "local a, b\n"
                   "a = lua_source('a', function(args) slowly(args) return "
                   "b:call('get', {key = 'k'}) end)\n"
                   "b = lua_source('b', function(args) slowly(args) return "
                   "a:call('get', {key = 'k'}) end)\n"
                   "return function(call)\n"
                   "  return (call.name == 'x' and a or b):call('get', {key = 'k'})\n"
                   "end\n");
    ml_call get_y = {ML_CALL_INIT, .verb = ML_GET, .name = "y"};
    assert_non_null(fixture_start(f, &get_x, &one));
    assert_non_null(fixture_start(f, &get_y, &two));
    fixture_finish(f, &one);
    fixture_finish(f, &two);
    assert_int_equal(one.err.code, ML_EPOLICY);
    assert_int_equal(two.err.code, ML_EPOLICY);
    assert_non_null(strstr(one.err.text, "waits for itself"));
    assert_non_null(strstr(two.err.text, " -> "));
}

static void test_states_and_stale(void **state)
{
    assert_text(
        *state,
        SOURCE
        "local answer\n"
        "local src = lua_source('lua', function() return answer() end)\n"
        "local keep = {ttl_ms = 0, negative_ttl_ms = 1000, stale_ttl_ms = 5000,\n"
        "              stale_throttled = true}\n"
        "local out = {}\n"
        "local function get()\n"
        "  local s, f = src:call('get', {key = 'k', keep = keep})\n"
        "  local old, age = src:stale('k', nil, 5000)\n"
        "  out[#out + 1] = (s and 'found' or f.code) .. ' ' .. src:kept('K', nil, "
        "keep)\n"
        "    .. (old and ' old' or '')\n"
        "end\n"
        "local function failing(code)\n"
        "  answer = function() return nil, {code = code, text = 't'} end\n"
        "  get()\n"
        "end\n"
        "return function()\n"
        "  answer = function() return core.secret('v') end\n"
        "  get() failing('throttled') failing('unavailable') failing('forbidden')\n"
        "  failing('missing') failing('forbidden')\n"
        "  return {text = table.concat(out, ', ') .. ' ' .. asked}\n"
        "end\n",
        "found stale old, throttled resting old, throttled resting old, "
        "throttled resting old, throttled resting old, throttled resting old 2");
}

static void test_what_the_source_says_counts(void **state)
{
    assert_text(
        *state,
        SOURCE
        "local code\n"
        "local src = lua_source('lua', function()\n"
        "  if not code then return core.secret('v') end\n"
        "  return nil, {code = code, text = 't'}\n"
        "end)\n"
        "local keep = {ttl_ms = 0, negative_ttl_ms = 1000, stale_ttl_ms = 5000,\n"
        "              stale_throttled = true}\n"
        "local function get(c)\n"
        "  code = c\n"
        "  local s, f = src:call('get', {key = 'k', keep = keep})\n"
        "  return (s and 'found' or f.code) .. '/' .. src:kept('k', nil, keep) .. ' '\n"
        "end\n"
        "return function()\n"
        "  return {text = get() .. get('forbidden') .. get() .. get('unavailable')\n"
        "    .. get('missing') .. get()}\n"
        "end\n",
        "found/stale forbidden/empty found/stale unavailable/stale missing/negative "
        "missing/negative ");
}

static void test_changes_forget(void **state)
{
    assert_text(
        *state,
        SOURCE
        "local src = lua_source('lua', function() return core.secret('v') end)\n"
        "local function get(key) assert(src:call('get', {key = key})) end\n"
        "return function()\n"
        "  get('a') get('b') get('A') get('b')\n"
        "  assert(asked == 2)\n"
        "  src:call('put', {key = 'a'})\n"
        "  get('a') get('b')\n"
        "  assert(asked == 4)\n"
        "  src:call('restore', {key = 'x'})\n"
        "  get('a') get('b')\n"
        "  assert(asked == 7)\n"
        "  src:call('list')\n"
        "  get('a')\n"
        "  assert(src:alias() == 'lua' and src:kind() == 'lua' and src:writable())\n"
        "  local fine, why = src:check('bad')\n"
        "  assert(not fine and why == 'why' and src:label() == 'a label')\n"
        "  return {text = tostring(asked)}\n"
        "end\n",
        "8");
}

/* The change may have happened: what was asked before it is not kept. */
static void test_a_canceled_change_forgets(void **state)
{
    fixture *f = *state;
    static const ml_call put_x = {ML_CALL_INIT, .verb = ML_PUT, .name = "x"};
    outcome put, get;
    load(f, SOURCE "local src = lua_source('lua', function() return core.secret('v') "
                   "end)\n"
                   "local slow = kept.wrap(setmetatable({ call = function(_, verb, a)\n"
                   "  if verb == 'put' then return slowly(a) end\n"
                   "  asked = asked + 1\n"
                   "  return core.secret('v')\n"
                   "end }, { __index = src }))\n"
                   "return function(call)\n"
                   "  if call.verb == 'put' then return slow:call('put', {key = 'k'}) "
                   "end\n"
                   "  assert(slow:call('get', {key = 'k'}))\n"
                   "  return {text = tostring(asked)}\n"
                   "end\n");
    ml_op *op = fixture_start(f, &put_x, &put);
    ml_loop_turn(f->loop);
    assert_non_null(fixture_start(f, &get_x, &get));
    fixture_finish(f, &get);
    assert_string_equal(get.text, "1");
    assert_int_equal(put.n_done, 0);
    ml_op_cancel(op);
    fixture_finish(f, &put);
    assert_int_equal(put.err.code, ML_ECANCELED);
    assert_non_null(fixture_start(f, &get_x, &get));
    fixture_finish(f, &get);
    assert_string_equal(get.text, "2");
}

static void test_refresh(void **state)
{
    assert_text(*state,
                SOURCE
                "local src = lua_source('lua', function() return core.secret('v') "
                "end)\n"
                "local function get(how) assert(src:call('get', {key = 'k', refresh = "
                "how})) end\n"
                "return function()\n"
                "  get() get(true) get('early') get()\n"
                "  return {text = tostring(asked)}\n"
                "end\n",
                "2");
}

/* Without a cache the source is as it was. */
static void test_switched_off(void **state)
{
    fixture *f = *state;
    fixture_close(f);
    ml_err e = {0};
    assert_int_equal(fixture_open(f, NULL, NULL, &e), 0);
    assert_text(f,
                SOURCE
                "local src = lua_source('lua', function() return core.secret('v') "
                "end)\n"
                "return function()\n"
                "  src:call('get', {key = 'k'}) src:call('get', {key = 'k'})\n"
                "  assert(env:stale('k') == nil and env:kept('k') == nil)\n"
                "  core.keep_at_most(1)\n"
                "  return {text = tostring(asked) .. tostring(src.stale)}\n"
                "end\n",
                "2nil");
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, open_fixture, close_fixture)
    const struct CMUnitTest tests[] = {
        TEST(test_one_call_for_many_coroutines),
        TEST(test_who_asks_may_leave),
        TEST(test_who_asks_may_be_lost),
        TEST(test_who_logs_in_may_be_late),
        TEST(test_who_asks_may_fail),
        TEST(test_no_memory_for_what_is_kept),
        TEST(test_a_cycle_is_an_error),
        TEST(test_a_cycle_between_calls),
        TEST(test_states_and_stale),
        TEST(test_what_the_source_says_counts),
        TEST(test_changes_forget),
        TEST(test_a_canceled_change_forgets),
        TEST(test_refresh),
        TEST(test_switched_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
