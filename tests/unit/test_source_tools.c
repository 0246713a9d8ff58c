/* test_source_tools.c - what sources that are written in Lua get from core: hashes and
 * encodings of what may be secret, JSON, rights, and a memory for tokens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "script_fixture.h"

/* Runs Lua that returns a text, and compares it. */
static void check_text(const char *lua, const char *wanted)
{
    fixture f;
    ml_err e;
    char policy[4096];
    snprintf(policy, sizeof(policy),
             "return function(call)\n"
             "  local function show(v) return tostring(v) end\n"
             "  local function fails(fn, ...)\n"
             "    local fine, why = pcall(fn, ...)\n"
             "    return fine and 'no error' or tostring(why)\n"
             "  end\n"
             "  local function body() %s end\n"
             "  return {text = tostring(body())}\n"
             "end\n",
             lua);
    assert_int_equal(fixture_open(&f, NULL, NULL, &e), 0);
    outcome o = fixture_run(&f, policy);
    fixture_close(&f);
    if (o.err.code != 0) fail_msg("%s: %s", lua, o.err.text);
    if (!strstr(o.text, wanted)) fail_msg("%s: '%s', not '%s'", lua, o.text, wanted);
}

/* Runs Lua that returns a secret, and compares its bytes. */
static void check_secret(const char *lua, const char *wanted)
{
    fixture f;
    ml_err e;
    char policy[4096];
    snprintf(policy, sizeof(policy),
             "return function(call) local function body() %s end\n"
             "return {secrets = {body()}} end\n",
             lua);
    assert_int_equal(fixture_open(&f, NULL, NULL, &e), 0);
    outcome o = fixture_run(&f, policy);
    fixture_close(&f);
    if (o.err.code != 0) fail_msg("%s: %s", lua, o.err.text);
    assert_int_equal(o.n_secrets, 1);
    assert_string_equal(o.value, wanted);
}

/* FIPS 180-2 and RFC 4231, cases 1, 2 and 6. */
static void test_hashes(void **state)
{
    (void)state;
    check_text("return core.hex(core.sha256 'abc')",
               "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check_text("return core.hex(core.sha256 '')",
               "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check_text("return core.hex(core.hmac_sha256(('\\x0b'):rep(20), 'Hi There'))",
               "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    check_text("return core.hex(core.hmac_sha256('Jefe', "
               "'what do ya want for nothing?'))",
               "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    check_text(
        "return core.hex(core.hmac_sha256(('\\xaa'):rep(131), 'Test Using Larger "
        "Than Block-Size Key - Hash Key First'))",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    check_secret("return core.hex(core.hmac_sha256(core.secret 'Jefe', "
                 "'what do ya want for nothing?'))",
                 "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

static void test_encodings(void **state)
{
    (void)state;
    check_text("return core.base64 ''", "");
    check_text("return core.base64 'f' .. core.base64 'fo' .. core.base64 'foo'",
               "Zg==Zm8=Zm9v");
    check_text("return core.base64(('x'):rep(769)) == core.base64(('x'):rep(768)) .. "
               "core.base64 'x'",
               "true");
    check_text("return core.base64_decode 'Zm9v'", "foo");
    check_text("return core.base64_decode '!'", "nil");
    check_text("return core.url_encode 'a b/\\xff~'", "a%20b%2F%FF~");
    check_text("return core.chomp 'a\\n\\n' == 'a\\n' and core.chomp 'a\\r\\n' == 'a'",
               "true");
    check_text("return core.chomp '' == '' and core.chomp 'a' == 'a'", "true");
    check_text("return core.join {'a', 'b'}", "ab");
    check_text("return core.join {}", "");
    check_text("return fails(core.join, {'a', 1})", "a string or an open secret");
    check_text("return fails(core.sha256, nil)", "string or open secret expected");
}

/* One secret part makes the whole a secret; it is shown to nobody. */
static void test_taint(void **state)
{
    (void)state;
    static const char *const makers[] = {"core.join {'a', core.secret 'hush'}",
                                         "core.secret_text {'hush'}",
                                         "core.hex(core.secret 'hush')",
                                         "core.base64(core.secret 'hush')",
                                         "core.sha256(core.secret 'hush')",
                                         "core.hmac_sha256('k', core.secret 'hush')",
                                         "core.url_encode(core.secret 'hush')",
                                         "core.chomp(core.secret 'hush')",
                                         "core.base64_decode(core.secret 'hush')",
                                         "core.json_encode {a = {core.secret 'hush'}}",
                                         "core.json_field('{\"a\": \"hush\"}', '/a')"};
    for (size_t i = 0; i < sizeof(makers) / sizeof(*makers); i++) {
        char lua[200];
        snprintf(lua, sizeof(lua), "return type(%s) .. tostring(%s)", makers[i],
                 makers[i]);
        check_text(lua, "userdatasecret (hidden)");
    }
    check_secret("return core.join {'Bearer ', core.secret 'hush'}", "Bearer hush");
}

static void test_json_parts(void **state)
{
    (void)state;
    check_secret("return core.json_field('{\"a\": {\"b\": \"x\\\\u00e9\"}}', '/a/b')",
                 "x\xc3\xa9");
    check_secret("return core.json_field(core.secret '{\"a\": [1, {\"b\": true}]}', "
                 "'/a')",
                 "[1, {\"b\": true}]");
    check_text("return core.json_field('{\"a\": null}', '/a')", "nil");
    check_text("return core.json_field('{}', '/a')", "nil");
    check_text("return core.json_text('{\"a\": 12}', '/a') .. type(core.json_text("
               "'{\"a\": 12}', '/a'))",
               "12string");
    check_text("return table.concat(core.json_texts('[\"a\", \"b\"]', ''), '+')",
               "a+b");
    /* No absence: whoever asks gets an error. */
    check_text("return fails(core.json_field, '<html>', '/a')", "not JSON");
    check_text("return fails(core.json_field, '', '/a')", "not JSON");
    check_text("return fails(core.json_field, '{}', 'a')", "no JSON pointer");
    check_text("return fails(core.json_field, '\"\\\\ud800\"', '')", "surrogate");
    check_text("return fails(core.json_text, '\"' .. ('x'):rep(5000) .. '\"', '')",
               "longer than 4096");
    check_text("return fails(core.json_texts, '[1]', '')", "element 1");
    check_text("return fails(core.json_texts, '{}', '')", "no array");
}

static void test_json_encode(void **state)
{
    (void)state;
    check_text("return core.json_encode {b = 1, a = {true, false, core.null}, c = {}}",
               "{\"a\":[true,false,null],\"b\":1,\"c\":{}}");
    check_text("return core.json_encode {'\\n\"\\\\', 1.5, 2^53, -0.1}",
               "[\"\\n\\\"\\\\\",1.5,9007199254740992,-0.1]");
    check_secret("return core.json_encode {p = core.secret 'a\"b'}",
                 "{\"p\":\"a\\\"b\"}");
    check_text("return fails(core.json_encode, {a = 0/0})", "infinity");
    check_text("return fails(core.json_encode, {[{}] = 1})", "names only");
    check_text("return fails(core.json_encode, print)", "json.encode");
    check_text("return fails(core.json_encode, '\\xff')", "UTF-8");
    check_text("local t = {} t.t = t return fails(core.json_encode, t)", "too deeply");
}

static void test_time(void **state)
{
    (void)state;
    check_text("return core.utc(1440938160, '%Y%m%dT%H%M%SZ')", "20150830T123600Z");
    check_text("return core.utc(951782400, '%Y-%m-%d 100%%')", "2000-02-29 100%");
    check_text("return fails(core.utc, 0, '%c')", "only %Y");
    check_text("return fails(core.utc, -1, '%Y')", "since 1970");
    check_text("return fails(core.now)", "inside the functions of ml.source");
    check_text("core.rights(1) return math.type(core.now())", "integer");
}

/* What may wait needs the rights of a source, whoever gets hold of the function. */
static void test_rights(void **state)
{
    (void)state;
    check_text("return fails(core.http, {url = 'https://x/'})", "ml.source only");
    check_text("return fails(core.exec, {argv = {'/bin/true'}})", "exec = true");
    check_text("core.rights(1) return fails(core.exec, {argv = {'/bin/true'}})",
               "exec = true");
    check_text("core.rights(3) return core.rights(0) .. core.rights(0)", "30");
}

static void check_refused(const char *options, const char *why)
{
    char lua[600];
    snprintf(lua, sizeof(lua), "core.rights(1) return fails(core.http, %s)", options);
    check_text(lua, why);
}

static void test_http_refused(void **state)
{
    (void)state;
    check_refused("{url = 'http://example.com/'}", "use https");
    check_refused("{url = 'http://127.0.0.1.example.com/'}", "use https");
    check_refused("{url = 'http://localhost.example.com/'}", "use https");
    check_refused("{url = 'ftp://x/'}", "begin with https://");
    check_refused("{url = 'file:///etc/passwd'}", "begin with https://");
    check_refused("{url = 'https://u:p@x/'}", "no user and password");
    check_refused("{url = 'https://x/a b'}", "must be encoded");
    check_refused("{url = 'https://x/\\n'}", "must be encoded");
    check_refused("{url = 'https:///a'}", "no host");
    check_refused("{url = {core.secret 'https://x/'}}", "first piece");
    check_refused("{url = {'https://', core.secret 'x', '/'}}", "first piece");
    check_refused("{url = {'https://x', core.secret '.evil'}}", "first piece");
    check_refused("{}", "string or an open secret");
    check_refused("{url = 'https://x/', metod = 'GET'}", "no option 'metod'");
    check_refused("{url = 'https://x/', method = 'BREW'}", "the method must be");
    check_refused("{url = 'https://x/', body = 'x'}", "GET has no body");
    check_refused("{url = 'https://x/', headers = {['a b'] = 'x'}}", "headers are");
    check_refused("{url = 'https://x/', headers = {a = 'x\\r\\nb: c'}}", "line end");
    check_refused("{url = 'https://x/', headers = {a = core.secret 'x\\ny'}}",
                  "line end");
    check_refused("{url = 'https://x/', headers = {HOST = 'y'}}", "not for you");
    check_refused("{url = 'https://x/', method = 'POST', retries = 1}", "idempotent");
    check_refused("{url = 'https://x/', retries = 99}", "between 0 and 9");
    check_refused("{url = 'https://x/', timeout_ms = 0}", "between 1 and");
}

static void test_exec_refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{}", "needs argv"},
        {"{argv = {}}", "argv is empty"},
        {"{argv = {'sh'}}", "whole path"},
        {"{argv = {'/bin/sh', core.secret 'x'}}", "goes into env or stdin"},
        {"{argv = {'/bin/sh', 'a\\0b'}}", "NUL"},
        {"{argv = {'/bin/sh'}, env = {['A=B'] = 'x'}}", "NAME = value"},
        {"{argv = {'/bin/sh'}, shell = true}", "no option 'shell'"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char lua[300];
        snprintf(lua, sizeof(lua), "core.rights(2) return fails(core.exec, %s)",
                 cases[i][0]);
        check_text(lua, cases[i][1]);
    }
}

static void test_describe(void **state)
{
    (void)state;
    check_text("local s = core.describe(core.secret 'x', {source = 's', key = 'k', "
               "version = '3', content_type = 't', tags = {a = 'b'}})\n"
               "return s:source() .. s:key() .. s:version() .. s:content_type() .. "
               "s:tags().a .. show(s:has_value())",
               "sk3tbtrue");
    check_text("return core.describe(nil, {key = 'k'}):has_value()", "false");
    check_text("return fails(core.describe, 1, {})", "open secret");
}

/* Time to live, the oldest goes when it is full, and what is kept is a secret of the
 * call that asks. */
static void test_memo(void **state)
{
    (void)state;
    check_text("local m = core.memo() m:put('t', core.secret 'x', 60)\n"
               "return show(m:get 't') .. show(m:get 'u')",
               "secret (hidden)nil");
    check_text("local m = core.memo() m:put('t', core.secret 'x', 0) return m:get 't'",
               "nil");
    check_text("local m = core.memo() m:put('t', core.secret 'x', 60) m:drop 't' "
               "return m:get 't'",
               "nil");
    check_text(
        "local m = core.memo()\n"
        "for i = 1, 17 do m:put('n' .. i, core.secret 'x', 60) end\n"
        "local n = 0 for i = 1, 17 do if m:get('n' .. i) then n = n + 1 end end\n"
        "return n",
        "16");
    check_text("return fails(core.memo().put, core.memo(), 't', 'text', 1)", "secret");
    check_text("return fails(core.memo().get, core.memo(), ('x'):rep(64))", "63");
}

static void test_memo_ends(void **state)
{
    (void)state;
    fixture f;
    ml_err e;
    outcome o;
    ml_call call = {ML_CALL_INIT, .verb = ML_GET, .name = "x"};
    assert_int_equal(fixture_open(&f, NULL, NULL, &e), 0);
    assert_int_equal(fixture_load(&f,
                                  "local m = core.memo()\n"
                                  "return function()\n"
                                  "  local known = m:get 't'\n"
                                  "  if known then return {text = 'known'} end\n"
                                  "  m:put('t', core.secret 'x', 10)\n"
                                  "  return {text = 'new'}\n"
                                  "end\n",
                                  &e),
                     0);
    static const struct {
        int wait_ms;
        const char *text;
    } steps[] = {{0, "new"}, {9000, "known"}, {2000, "new"}};
    for (size_t i = 0; i < 3; i++) {
        f.now_ms += steps[i].wait_ms;
        assert_non_null(fixture_start(&f, &call, &o));
        fixture_finish(&f, &o);
        assert_string_equal(o.text, steps[i].text);
    }
    fixture_close(&f);
}

static const char gate[] =
    "local m, src = core.memo(), core.environment {alias = 'e'}\n"
    "local logins = 0\n"
    "return function()\n"
    "  local guard <close> = m:lead 't'\n"
    "  if guard then\n"
    "    logins = logins + 1\n"
    "    src:call('get', {key = 'slow-login'})\n"
    "    return {text = 'led ' .. logins}\n"
    "  end\n"
    "  local fine, outcome, text = m:wait 't'\n"
    "  return {text = fine and 'followed ' .. logins or outcome .. ': ' .. text}\n"
    "end\n";

/* One leads, others wait for it; whatever ends the leader lets them go on. */
static void test_gate(void **state)
{
    (void)state;
    fixture f;
    ml_err e;
    outcome first, second, third;
    ml_call call = {ML_CALL_INIT, .verb = ML_GET, .name = "x"};
    assert_int_equal(fixture_open(&f, NULL, NULL, &e), 0);
    assert_int_equal(fixture_load(&f, gate, &e), 0);
    ml_op *leader = fixture_start(&f, &call, &first);
    assert_non_null(leader);
    ml_loop_turn(f.loop);
    assert_non_null(fixture_start(&f, &call, &second));
    ml_loop_turn(f.loop);
    assert_int_equal(second.n_done, 0);
    fixture_finish(&f, &second);
    assert_int_equal(first.n_done, 1);
    assert_string_equal(first.text, "led 1");
    assert_string_equal(second.text, "followed 1");

    leader = fixture_start(&f, &call, &first); /* leads, and is canceled */
    ml_loop_turn(f.loop);
    ml_op *follower = fixture_start(&f, &call, &second); /* waits, and is canceled */
    assert_non_null(fixture_start(&f, &call, &third));
    ml_loop_turn(f.loop);
    ml_op_cancel(follower);
    ml_op_cancel(leader);
    fixture_finish(&f, &third);
    assert_int_equal(first.err.code, ML_ECANCELED);
    assert_int_equal(second.err.code, ML_ECANCELED);
    assert_string_equal(third.text, "followed 2");
    fixture_close(&f);
}

/* A loop that waits again and again ends soon after the deadline. */
static void test_late(void **state)
{
    (void)state;
    fixture f;
    ml_err e;
    outcome o;
    ml_call call = {ML_CALL_INIT, .verb = ML_GET, .name = "x"};
    ml_vm_limits limits = {.max_instructions = 100000};
    assert_int_equal(fixture_open(&f, &limits, NULL, &e), 0);
    assert_int_equal(
        fixture_load(&f,
                     "return function() core.rights(3)\n"
                     "core.limited(function() while true do pcall(core.exec, "
                     "{argv = {'/bin/true'}}) end end) end",
                     &e),
        0);
    assert_non_null(fixture_start(&f, &call, &o));
    f.now_ms += 31000;
    fixture_finish(&f, &o);
    assert_int_equal(o.err.code, ML_EPOLICY);
    assert_non_null(strstr(o.err.text, "ran too long"));
    fixture_close(&f);
}

/* Secrets that a policy makes and keeps count as its memory; those it lets go do not.
 */
static void test_memory(void **state)
{
    (void)state;
    fixture f;
    ml_err e;
    ml_vm_limits limits = {.max_bytes = 8 * 1024 * 1024};
    assert_int_equal(fixture_open(&f, &limits, NULL, &e), 0);
    outcome o =
        fixture_run(&f,
                    "return function() local big, kept = ('x'):rep(1024 * 1024), {}\n"
                    "for i = 1, 100 do kept[i] = core.secret_text {big} end end");
    assert_int_equal(o.err.code, ML_EPOLICY);
    assert_non_null(strstr(o.err.text, "too much memory"));
    o = fixture_run(&f, "return function() local big = ('x'):rep(1024 * 1024)\n"
                        "for i = 1, 100 do core.secret_text {big} end\n"
                        "return {text = 'fine'} end");
    assert_string_equal(o.text, "fine");
    o = fixture_run(&f,
                    "return function() local big = ('x'):rep(1024 * 1024)\n"
                    "local m = core.memo()\n"
                    "for i = 1, 16 do m:put('n' .. i, core.secret_text {big}, 60) end\n"
                    "end");
    assert_int_equal(o.err.code, ML_EPOLICY);
    assert_non_null(strstr(o.err.text, "too much memory"));
    o = fixture_run(&f, "return function() local big = ('x'):rep(1024 * 1024)\n"
                        "for i = 1, 16 do\n"
                        "  core.memo():put('n', core.secret_text {big}, 60)\n"
                        "end return {text = 'fine'} end");
    assert_string_equal(o.text, "fine");
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hashes),       cmocka_unit_test(test_encodings),
        cmocka_unit_test(test_taint),        cmocka_unit_test(test_json_parts),
        cmocka_unit_test(test_json_encode),  cmocka_unit_test(test_time),
        cmocka_unit_test(test_rights),       cmocka_unit_test(test_http_refused),
        cmocka_unit_test(test_exec_refused), cmocka_unit_test(test_describe),
        cmocka_unit_test(test_memo),         cmocka_unit_test(test_memo_ends),
        cmocka_unit_test(test_gate),         cmocka_unit_test(test_late),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
