/* test_bind_value.c - core.field, decode, value_problem, transform, sha256: what a rule
 * asks of bytes, and that the answers keep their metadata. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "script/decode.h"
#include "script_fixture.h"

/* A policy that runs `body` on the call; the answer. */
static outcome run(const char *body)
{
    char policy[1500];
    fixture f;
    ml_err e = {0};
    snprintf(policy, sizeof(policy),
             "local src = core.environment{alias='e'}\n"
             "local function one(s) return {secrets = {s}} end\n"
             "local function say(...) return {text = table.concat({...}, ' ')} end\n"
             "return function(call) %s end",
             body);
    assert_int_equal(0, fixture_open(&f, NULL, NULL, &e));
    outcome o = fixture_run(&f, policy);
    fixture_close(&f);
    return o;
}

static void check_value(const char *body, const char *value)
{
    outcome o = run(body);
    assert_string_equal(o.err.text, "");
    assert_string_equal(o.value, value);
}

static void check_text(const char *body, const char *text)
{
    outcome o = run(body);
    assert_string_equal(o.err.text, "");
    assert_string_equal(o.text, text);
}

#define FIELD(json, pointer)                                                           \
    "return one(core.field(core.secret('" json "'), '" pointer "'))"

static void test_field(void **state)
{
    (void)state;
    check_value(FIELD("{\"user\":{\"password\":\"s\\\\u00e4\\\\n\"}}",
                      "/user/password"),
                "s\xc3\xa4?" /* the fixture shows what can be printed */);
    check_value(FIELD("{\"n\": -1.50}", "/n"), "-1.50");
    check_value(FIELD("{\"t\": true}", "/t"), "true");
    check_value(FIELD("{\"o\": { \"a\" : [1] } }", "/o"), "{ \"a\" : [1] }");
    check_value(FIELD("{\"a/b\":[0,\"x\"]}", "/a~1b/1"), "x");
    check_value(FIELD("\"whole\"", ""), "whole");
}

#define NO_FIELD(json, pointer)                                                        \
    "local s, why = core.field(core.secret('" json "'), '" pointer "')\n"              \
    "return say(tostring(s), why)"

static void test_no_field(void **state)
{
    (void)state;
    check_text(NO_FIELD("{\"a\":1}", "/b"), "nil there is no such field in the secret");
    check_text(NO_FIELD("{\"a\":null}", "/a"), "nil the field is null");
    check_text(NO_FIELD("canary", "/a"), "nil the secret is not JSON");
    check_text(NO_FIELD("{\"a\":1} ", "a"), "nil it is not a JSON pointer");
    check_text(NO_FIELD("{\"a\":\"\\\\ud800\"}", "/a"),
               "nil the field has an escape that stands for no character");
    check_text(
        "return say(tostring(core.is_pointer('/a~0')), "
        "tostring(core.is_pointer('/a~2')), tostring(core.is_pointer('/\\xff')))",
        "true false false");
}

#define DECODE(text, how) "return one(core.decode(core.secret('" text "'), '" how "'))"
#define NO_DECODE(text, how)                                                           \
    "return say(select(2, core.decode(core.secret('" text "'), '" how "')))"

static void test_decode(void **state)
{
    (void)state;
    check_value(DECODE("aHVudGVyMg==", "base64"), "hunter2");
    check_value(DECODE("aHVu\\r\\ndGVy\\nMg==\\n", "base64"), "hunter2");
    check_value(DECODE("aHVudGVyMg", "base64"), "hunter2");
    check_value(DECODE("w7_Dv-w", "base64url"), "\xc3\xbf\xc3\xbf\xec");
    check_value(DECODE("68756E746572 32\\n", "hex"), "hunter2");
    check_value(DECODE("", "base64"), "");
    check_text(NO_DECODE("w7_Dv-w", "base64"), "the secret is not base64");
    check_text(NO_DECODE("w7/Dv+w", "base64url"), "the secret is not base64url");
    check_text(NO_DECODE("aHVudGVyMg=", "base64"), "the secret is not base64");
    check_text(NO_DECODE("canary!", "base64"), "the secret is not base64");
    check_text(NO_DECODE("a", "base64"), "the secret is not base64");
    check_text(NO_DECODE("abc", "hex"), "the secret is not hex");
    check_text(NO_DECODE("zz", "hex"), "the secret is not hex");
}

#define PROBLEM(text, limits)                                                          \
    "return say(tostring(core.value_problem(core.secret('" text "'), " limits ")))"

static void test_value_problem(void **state)
{
    (void)state;
    check_text(PROBLEM("abc", "{min_bytes=3, max_bytes=3, utf8=true}"), "nil");
    check_text(PROBLEM("abc", "{min_bytes=4}"), "the secret is shorter than min_bytes");
    check_text(PROBLEM("abc", "{max_bytes=2}"), "the secret is longer than max_bytes");
    check_text(PROBLEM("\\xff", "{utf8=true}"), "the secret is not UTF-8");
    check_text(PROBLEM("{}", "{json=true}"), "nil");
    check_text(PROBLEM("{", "{json=true}"), "the secret is not JSON");
    check_text(PROBLEM("pg://x", "{like={'mysql:*', 'pg://*'}}"), "nil");
    check_text(PROBLEM("pg:/x", "{like={'mysql:*', 'pg://*'}}"),
               "the secret does not look as 'like' says");
}

static void test_like(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool fits;
    } rows[] = {
        {"", "", true},           {"", "a", false},        {"*", "", true},
        {"a*", "a", true},        {"*a", "ba", true},      {"*a", "ab", false},
        {"a*b*c", "axbyc", true}, {"a*b*c", "acb", false}, {"**", "x", true},
        {"a**b", "ab", true},     {"abc", "abcd", false},  {"*ab", "aab", true},
        {"a.c", "abc", false},    {"a*", "b", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(ml_is_like(ml_str_of(rows[i].text),
                                    ml_str_of(rows[i].pattern)),
                         rows[i].fits);
}

static void test_transform(void **state)
{
    (void)state;
    check_value("return one(core.transform(core.secret('ab'), "
                "function(t) return t .. t end))",
                "abab");
    check_text("return say(select(2, core.transform(core.secret('canary'), "
               "function() return 5 end)))",
               "transform gave no text");
    check_text("return say(select(2, core.transform(core.secret('canary'), "
               "function() return ('x'):rep(1024 * 1024 + 1) end)))",
               "transform gave more than 1 MiB");
    check_text(
        "return say(select(2, core.transform(core.secret(('x'):rep(1024 * 1024 + "
        "1)), function(t) return t end)))",
        "the secret is longer than 1 MiB, the most a transform gets");
    outcome o = run("return one(core.transform(core.secret('x'), "
                    "function() error('mine', 0) end))");
    assert_string_equal(o.err.text, "mine");
}

/* What changes is the value alone. */
static void test_metadata(void **state)
{
    (void)state;
    static const char *const changes[] = {
        "core.field(core.transform(s, function() return '{\"a\":\"x\"}' end), '/a')",
        "core.decode(core.transform(s, function() return '78' end), 'hex')"};
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        char body[600];
        snprintf(body, sizeof(body),
                 "local s = src:call('get', {key = 'now-k'})\n"
                 "local c = %s\n"
                 "return say(c:key(), c:source(), c:version(), c:content_type(), "
                 "c:tags().team, c:attributes().created_s, tostring(c), s:key())",
                 changes[i]);
        check_text(body, "now-k fake v1 text/plain blue 7 secret (hidden) now-k");
        snprintf(body, sizeof(body),
                 "local s = src:call('get', {key = 'now-k'})\nreturn one(%s)",
                 changes[i]);
        check_value(body, "x");
    }
}

static void test_sha256(void **state)
{
    (void)state;
    check_text("return say(core.hex(core.sha256('abc')))",
               "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_field),    cmocka_unit_test(test_no_field),
        cmocka_unit_test(test_decode),   cmocka_unit_test(test_value_problem),
        cmocka_unit_test(test_like),     cmocka_unit_test(test_transform),
        cmocka_unit_test(test_metadata), cmocka_unit_test(test_sha256),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
