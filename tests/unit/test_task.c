/* test_task.c - calls: waiting, answers, errors, cancel, and what Lua can see of
 * secrets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "script_fixture.h"

#define SOURCE "local s = core.environment{alias='fake'}\n"

static const ml_pair variables[] = {
    {"CANARY", "canary-4711"}, {"EMPTY", ""}, {NULL, NULL}};

static int open_fixture(void **state)
{
    static fixture f;
    ml_err e = {0};
    *state = &f;
    return fixture_open(&f, NULL, variables, &e);
}

static int close_fixture(void **state)
{
    fixture_close(*state);
    return 0;
}

/* The policy's text answer, or a failed test. */
static void assert_text(fixture *f, const char *policy, const char *text)
{
    outcome o = fixture_run(f, policy);
    assert_string_equal(o.err.text, "");
    assert_int_equal(o.err.code, 0);
    assert_string_equal(o.text, text);
}

static void assert_error(fixture *f, const char *policy, int code, const char *part)
{
    outcome o = fixture_run(f, policy);
    if (!strstr(o.err.text, part)) fail_msg("\"%s\" lacks \"%s\"", o.err.text, part);
    assert_int_equal(o.err.code, code);
}

/* A call that waits brings its secret; nothing runs inside start itself. */
static void test_wait_and_answer(void **state)
{
    fixture *f = *state;
    outcome o;
    ml_err e = {0};
    assert_int_equal(
        0, fixture_load(
               f,
               SOURCE
               "return function(call)\n"
               "  local a = s:call('get', {key = 'now-1'})\n"
               "  local b = s:call('get', {key = 'slow-' .. call.name})\n"
               "  assert(a:key() == 'now-1')\n"
               "  return {secrets = {core.with_name(b, call.name), a}, text = 'fine'}\n"
               "end",
               &e));
    ml_call call = {ML_CALL_INIT, .verb = ML_GET, .name = "x"};
    assert_non_null(fixture_start(f, &call, &o));
    assert_int_equal(fake_asked.n_started, 0);
    fixture_finish(f, &o);
    assert_int_equal(o.err.code, 0);
    assert_int_equal(o.n_secrets, 2);
    assert_string_equal(o.value, "value of slow-x");
    assert_string_equal(o.name, "x");
    assert_string_equal(o.text, "fine");
}

/* Waiting works inside pcall, metamethods and iterators of Lua. */
static void test_wait_places(void **state)
{
    assert_text(
        *state,
        SOURCE "local function get() return s:call('get', {key = 'slow-1'}):key() end\n"
               "return function()\n"
               "  local _, a = pcall(get)\n"
               "  local _, b = xpcall(get, error)\n"
               "  local c = setmetatable({}, {__index = get}).x\n"
               "  local d; for k in function(_, last) return not last and get() or nil "
               "end do d = k end\n"
               "  local e do local x <close> = setmetatable({}, {__close = function() "
               "e = get() end}) end\n"
               "  return {text = a .. b .. c .. d .. e}\n"
               "end",
        "slow-1slow-1slow-1slow-1slow-1");
}

/* Where Lua cannot wait, the error says so, and no op is left behind. */
static void test_wait_impossible(void **state)
{
    fixture *f = *state;
    assert_error(f,
                 SOURCE "return function()\n"
                        "  table.sort({3, 1, 2}, function() return s:call('get', {key "
                        "= 'now-1'}) end)\n"
                        "end",
                 ML_EPOLICY, "policy.lua:3: moonlatch: cannot wait here");
    assert_error(f,
                 SOURCE "return function()\n"
                        "  return {text = ('x'):gsub('x', function() s:call('get', "
                        "{key = 'now-1'}) end)}\n"
                        "end",
                 ML_EPOLICY, "moonlatch: cannot wait here");
    assert_error(f, SOURCE "s:call('get', {key = 'now-1'})", ML_EPOLICY,
                 "policy.lua:2: moonlatch: cannot wait here");
    assert_int_equal(fake_asked.n_started, 0);
}

/* Everything of the call arrives, and everything of a source call too. */
static void test_call_round_trip(void **state)
{
    fixture *f = *state;
    outcome o;
    ml_err e = {0};
    assert_int_equal(
        0,
        fixture_load(
            f,
            SOURCE
            "return function(c)\n"
            "  assert(s:call(c.verb, {key = 'now-' .. c.name, value = c.value,\n"
            "    content_type = c.content_type, tags = c.tags, enabled = c.enabled}))\n"
            "  return {text = table.concat({c.verb, c.name, c.context.team, "
            "c.version,\n"
            "    c.not_before_s, c.expires_s, tostring(c.plan_only or false), "
            "tostring(c.json),\n"
            "    tostring(c.replace_metadata), tostring(c.value)}, ' ')}\n"
            "end",
            &e));
    char name[] = "n";
    ml_pair context[] = {{"team", "blue"}};
    ml_pair tags[] = {{"a", "1"}, {"b", "2"}};
    ml_call call = {
        ML_CALL_INIT,       .verb = ML_PUT, .name = name,
        .context = context, .n_context = 1, .version = "v",
        .value = "a\0b",    .value_len = 3, .content_type = "t/x",
        .tags = tags,       .n_tags = 2,    .enabled = -1,
        .not_before_s = 5,  .expires_s = 6, .flags = ML_AS_JSON | ML_REPLACE_METADATA};
    int64_t deadline_ms = f->now_ms + 30000;
    assert_non_null(fixture_start(f, &call, &o));
    name[0] = 'X'; /* it was copied */
    fixture_finish(f, &o);
    assert_string_equal(o.text, "put n blue v 5 6 false true true secret (hidden)");
    assert_int_equal(fake_asked.verb, ML_PUT);
    assert_int_equal(fake_asked.deadline_ms, deadline_ms);
    assert_string_equal(fake_asked.value, "a?b");
    assert_string_equal(fake_asked.content_type, "t/x");
    assert_int_equal(fake_asked.n_tags, 2);
    assert_int_equal(fake_asked.enabled, -1);
}

/* Lists come as arrays, an answer without a secret as true. */
static void test_list_and_nothing(void **state)
{
    assert_text(*state,
                SOURCE "return function()\n"
                       "  local l = s:call('list', {key = 'list-1'})\n"
                       "  local none = s:call('versions', {key = 'none-1'})\n"
                       "  return {text = #l .. l[3]:key() .. #none .. "
                       "tostring(s:call('purge', {key = 'none-1'}))}\n"
                       "end",
                "3list-10true");
}

/* An error reaches Lua with every field, and comes back out unchanged. */
static void test_error_round_trip(void **state)
{
    fixture *f = *state;
    outcome o = fixture_run(
        f, SOURCE
        "return function()\n"
        "  local x, err = s:call('get', {key = 'fail-1'})\n"
        "  assert(x == nil and err.code == 'forbidden' and tostring(err) == err.text)\n"
        "  return nil, err\n"
        "end");
    assert_int_equal(o.err.code, ML_EFORBIDDEN);
    assert_int_equal(o.err.http_status, 403);
    assert_int_equal(o.err.retry_after_ms, 9);
    assert_string_equal(o.err.source, "fake");
    assert_string_equal(o.err.key, "k");
    assert_string_equal(o.err.service_code, "Nope");
    assert_string_equal(o.err.request_id, "id-1");
    assert_string_equal(o.err.text, "no permission");
    assert_error(f,
                 "return function() error({code = 'missing', text = 'no\\nsuch'}) end",
                 ML_EMISSING, "no?such");
}

/* What a policy or engine may do wrong ends in a policy error that says what. */
static void test_bad_answers(void **state)
{
    fixture *f = *state;
    assert_error(f, "return function() local x = nil; x() end", ML_EPOLICY,
                 "policy.lua:1: attempt to call a nil value");
    assert_error(f, "return function() return nil end", ML_EPOLICY,
                 "without saying why");
    assert_error(f, "return function() error() end", ML_EPOLICY, "without saying why");
    assert_error(f, "return function() error({code = 'found', text = 1}) end",
                 ML_EPOLICY, "without saying why");
    assert_error(f, "return function() error({code = 'missing'}) end", ML_EPOLICY,
                 "without saying why");
    assert_error(f, "return function() return 7 end", ML_EPOLICY, "no table");
    assert_error(f, "return function() return {secrets = {1}} end", ML_EPOLICY,
                 "other than");
    assert_error(f, "return function() return {secrets = 1} end", ML_EPOLICY,
                 "no list");
    assert_error(f, "return function() return {text = 1} end", ML_EPOLICY, "no string");
    assert_error(f, SOURCE "return function() s:call('frob', {}) end", ML_EPOLICY,
                 "no such verb");
    assert_error(f, SOURCE "return function() s:call('get', {key = 1}) end", ML_EUSAGE,
                 "key must be a string, not a number");
    assert_error(f,
                 SOURCE "return function() s:call('put', {key = '', value = 'x'}) end",
                 ML_EUSAGE, "value must be a secret");
    assert_error(f, SOURCE "return function() s:call('update', {tags = {1}}) end",
                 ML_EPOLICY, "tags are strings");
    assert_error(f, "return 1 +", ML_EPOLICY, "policy.lua:1:");
    assert_error(f, "local x = 1", ML_EPOLICY, "policy.lua returns no policy");
}

/* Two calls wait at the same time and do not mix. */
static void test_two_interleaved(void **state)
{
    fixture *f = *state;
    outcome o[2];
    ml_err e = {0};
    assert_int_equal(0, fixture_load(f,
                                     SOURCE
                                     "return function(call)\n"
                                     "  local text = ''\n"
                                     "  for i = 1, 3 do text = text .. s:call('get', "
                                     "{key = 'slow-' .. call.name .. i}):key() end\n"
                                     "  return {text = text}\n"
                                     "end",
                                     &e));
    assert_non_null(fixture_start(f, &(ml_call){ML_CALL_INIT, .name = "a"}, &o[0]));
    assert_non_null(fixture_start(f, &(ml_call){ML_CALL_INIT, .name = "b"}, &o[1]));
    fixture_finish(f, &o[0]);
    if (o[1].n_done == 0) fixture_finish(f, &o[1]);
    assert_string_equal(o[0].text, "slow-a1slow-a2slow-a3");
    assert_string_equal(o[1].text, "slow-b1slow-b2slow-b3");
}

/* Coroutines are used again after calls that returned, and after no others. */
static void test_coroutines_return(void **state)
{
    fixture *f = *state;
    outcome o;
    ml_err e = {0};
    assert_int_equal(
        0, fixture_load(f,
                        SOURCE
                        "return function(call)\n"
                        "  if call.name == 'raise' then error('on purpose') end\n"
                        "  if call.name == 'fail' then return nil, {code = 'missing', "
                        "text = 'gone'} end\n"
                        "  return {secrets = {s:call('get', {key = call.name})}}\n"
                        "end",
                        &e));
    static const char *const names[] = {"slow-1", "fail", "now-1", "raise", "slow-2"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_non_null(
            fixture_start(f, &(ml_call){ML_CALL_INIT, .name = names[i]}, &o));
        assert_int_equal(f->vm->n_idle, 0);
        fixture_finish(f, &o);
        assert_int_equal(f->vm->n_idle, 1);
        assert_int_equal(o.err.code == 0, strchr(names[i], '-') != NULL);
    }
    ml_op *op = fixture_start(f, &(ml_call){ML_CALL_INIT, .name = "slow-3"}, &o);
    ml_loop_turn(f->loop);
    ml_op_cancel(op);
    fixture_finish(f, &o);
    assert_int_equal(f->vm->n_idle, 0);
    assert_non_null(fixture_start(f, &(ml_call){ML_CALL_INIT, .name = "slow-4"}, &o));
    fixture_finish(f, &o);
    assert_string_equal(o.value, "value of slow-4");
}

/* A canceled call ends once, with ML_ECANCELED, also when it had not begun or its child
 * had just finished; __close runs, and may not wait. */
static void test_cancel(void **state)
{
    fixture *f = *state;
    outcome o;
    ml_err e = {0};
    assert_int_equal(
        0, fixture_load(f,
                        SOURCE
                        "return function(call)\n"
                        "  local x <close> = setmetatable({}, {__close = function()\n"
                        "    core.log('info', 'test', 'closed')\n"
                        "    s:call('get', {key = 'slow-2'}) end})\n"
                        "  return {secrets = {s:call('get', {key = call.name})}}\n"
                        "end",
                        &e));
    ml_call call = {ML_CALL_INIT, .name = "slow-1"};
    ml_op *op = fixture_start(f, &call, &o);
    ml_op_cancel(op); /* before it began */
    fixture_finish(f, &o);
    assert_int_equal(o.err.code, ML_ECANCELED);
    assert_int_equal(fake_asked.n_started, 0);

    op = fixture_start(f, &call, &o);
    ml_loop_turn(f->loop);
    assert_int_equal(fake_asked.n_started, 1);
    ml_op_cancel(op); /* in the middle of a wait */
    fixture_finish(f, &o);
    assert_int_equal(o.err.code, ML_ECANCELED);
    assert_int_equal(fake_asked.n_canceled, 1);
    assert_int_equal(fake_asked.n_started, 1);
    assert_string_equal(f->logged, "2 test closed");

    assert_non_null(fixture_start(f, &call, &o));
    ml_loop_turn(f->loop);
    fixture_close(f); /* the loop ends it */
    assert_int_equal(o.n_done, 1);
    assert_int_equal(o.err.code, ML_ECANCELED);
    assert_int_equal(0, fixture_open(f, NULL, variables, &e));
}

/* Nothing that Lua offers shows the bytes of a secret. */
static void test_secret_is_opaque(void **state)
{
    assert_text(
        *state,
        "return function()\n"
        "  local c = core.env_secret('CANARY')\n"
        "  local seen = {}\n"
        "  local function try(f, ...) local _, r = pcall(f, ...) seen[#seen + 1] = "
        "tostring(r) end\n"
        "  try(tostring, c) try(pairs, c) try(next, c) try(getmetatable, c)\n"
        "  try(function() return c .. '' end) try(function() return #c end)\n"
        "  try(string.format, '%s', c) try(string.rep, c, 1) try(table.concat, {c})\n"
        "  try(require('cjson').encode, {c}) try(setmetatable, c, {}) try(rawget, c, "
        "1)\n"
        "  try(error, c) try(tonumber, c) try(function() return c.bytes end)\n"
        "  try(function() c.x = 1 end) try(load, c) try(select, 2, c) try(utf8.len, "
        "c)\n"
        "  try(core.log, 'info', 'x', c)\n"
        "  local all = table.concat(seen, '\\n')\n"
        "  assert(not all:find('canary') and not all:find('-4711', 1, true), all)\n"
        "  assert(tostring(c) == 'secret (hidden)' and getmetatable(c) == false)\n"
        "  assert(c:has_value() and c:name() == '' and core.env_secret('EMPTY') == "
        "nil)\n"
        "  assert(core.secret(''):is_empty() and not c:is_empty())\n"
        "  assert(core.secret('x'):has_value() and not core.secret('x'):is_empty())\n"
        "  return {text = core.env('CANARY') .. core.env('EMPTY') .. "
        "tostring(core.env('NO'))}\n"
        "end",
        "canary-4711nil");
}

/* Metadata is readable. */
static void test_secret_metadata(void **state)
{
    assert_text(
        *state,
        SOURCE
        "return function()\n"
        "  local x = core.with_name(s:call('get', {key = 'now-1'}), 'n')\n"
        "  local a = x:attributes()\n"
        "  return {text = table.concat({x:name(), x:source(), x:key(), x:version(),\n"
        "    x:content_type(), x:tags().team, tostring(a.enabled), a.created_s,\n"
        "    tostring(a.expires_s)}, ' ')}\n"
        "end",
        "n fake now-1 v1 text/plain blue true 7 nil");
}

/* Who has the name already stays the same handle. */
static void test_with_name(void **state)
{
    assert_text(*state,
                SOURCE
                "return function()\n"
                "  local x = core.with_name(s:call('get', {key = 'now-1'}), 'n')\n"
                "  return {text = tostring(core.with_name(x, 'n') == x) ..\n"
                "    tostring(core.with_name(x, 'm') == x) ..\n"
                "    core.with_name(x, 'm'):name() .. x:name()}\n"
                "end",
                "truefalsemn");
}

/* A handle of one call is closed when the call ends; one of the policy is not. */
static void test_handles_are_closed(void **state)
{
    fixture *f = *state;
    ml_err e = {0};
    outcome o;
    assert_int_equal(
        0,
        fixture_load(
            f,
            SOURCE
            "local kept, own = nil, core.env_secret('CANARY')\n"
            "return function(call)\n"
            "  if not kept then kept = s:call('get', {key = 'now-1'}) return {} end\n"
            "  assert(own:has_value())\n"
            "  return {text = tostring(select(2, pcall(kept.key, kept)))}\n"
            "end",
            &e));
    fixture_start(f, &(ml_call){ML_CALL_INIT, .name = "x"}, &o);
    fixture_finish(f, &o);
    fixture_start(f, &(ml_call){ML_CALL_INIT, .name = "x"}, &o);
    fixture_finish(f, &o);
    assert_non_null(strstr(o.text, "the secret is closed"));
}

/* Sources: their words, options read strictly. */
static void test_sources(void **state)
{
    fixture *f = *state;
    assert_text(
        f,
        "local v = core.key_vault{vault_url = 'https://v', tenant_id = 't', client_id "
        "= 'c',\n"
        "  client_secret = core.env_secret('CANARY'), skip_challenge_check = true}\n"
        "return function()\n"
        "  local ok, why = v:check('')\n"
        "  return {text = table.concat({v:alias(), v:kind(), v:label(), "
        "tostring(v:writable()),\n"
        "    tostring(v:check('a')), tostring(ok), why, tostring(v)}, ' ')}\n"
        "end",
        "vault environment a fake false true nil an empty key source vault");
    assert_string_equal(fake_asked.options, "https://v t c canary-4711 1");
    assert_error(f, "core.key_vault{}", ML_EUSAGE, "vault_url is required");
    assert_error(f, "core.key_vault{vault_url = 'a\\0b'}", ML_EUSAGE, "NUL");
    assert_error(f, "core.key_vault{vault_url = 'a', client_secret = 'x'}", ML_EUSAGE,
                 "client_secret must be a secret");
}

/* The trace of the call, its clock, the log. */
static void test_events_time_log(void **state)
{
    fixture *f = *state;
    assert_text(f,
                SOURCE
                "assert(core.now_ms() >= 0 and #core.events() == 0)\n"
                "return function()\n"
                "  s:call('get', {key = 'now-1'}) s:call('get', {key = 'slow-2'})\n"
                "  local ev = core.events()\n"
                "  assert(#core.events() == 0 and core.now_ms() >= 50)\n"
                "  core.log('warn', 'policy', 'a\\nb')\n"
                "  return {text = #ev .. ev[1].what .. ev[2].text .. ev[1].at_ms}\n"
                "end",
                "2fakeasked for slow-20");
    assert_string_equal(f->logged, "1 policy a?b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_wait_and_answer, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(test_wait_places, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(test_wait_impossible, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(test_call_round_trip, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(test_list_and_nothing, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(test_error_round_trip, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(test_bad_answers, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(test_two_interleaved, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(test_coroutines_return, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(test_cancel, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(test_secret_is_opaque, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(test_with_name, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(test_secret_metadata, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(test_handles_are_closed, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(test_sources, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(test_events_time_log, open_fixture,
                                        close_fixture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
