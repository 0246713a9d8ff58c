/* test_bind_json.c - core.env_json: values, secrets among them, errors with their
 * place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "script_fixture.h"

/* The policy, with the variable J set to json, answers this text. */
static void check(const char *json, const char *policy, const char *text)
{
    fixture f;
    ml_err e = {0};
    assert_int_equal(0, fixture_open(&f, NULL, (ml_pair[]){{"J", json}, {NULL, NULL}},
                                     &e));
    outcome o = fixture_run(&f, policy);
    assert_string_equal(o.err.text, "");
    assert_string_equal(o.text, text);
    fixture_close(&f);
}

/* Loading fails with exactly this text. */
static void check_error(const char *json, const char *text)
{
    fixture f;
    ml_err e = {0};
    assert_int_equal(0, fixture_open(&f, NULL, (ml_pair[]){{"J", json}, {NULL, NULL}},
                                     &e));
    assert_int_equal(ML_EUSAGE, fixture_load(&f, "core.env_json('J', {'s'})", &e));
    assert_string_equal(e.text, text);
    fixture_close(&f);
}

#define SHOW(expression)                                                               \
    "local v = core.env_json('J', {'s', 't'})\n"                                       \
    "return function() return {text = tostring(" expression ")} end"

/* Every kind of value, at the top too. */
static void test_values(void **state)
{
    (void)state;
    check("{\"a\": 1, \"b\": [true, false, null, \"x\"], \"c\": {\"d\": 1.5}}",
          SHOW("v.a .. tostring(v.b[1]) .. tostring(v.b[2]) .. tostring(v.b[3] == "
               "core.null) .. "
               "v.b[4] .. v.c.d .. #v.b"),
          "1truefalsetruex1.54");
    check("[1, [2]]", SHOW("v[2][1]"), "2");
    check("\"\\u00e9\\n\\u0000x\"", SHOW("#v"), "5");
    check(" null ", SHOW("v == core.null and v == require('cjson').null"), "true");
    check("123456789012345678901234567890", SHOW("v"), "1.2345678901235e+29");
    check("9007199254740993", SHOW("v"), "9007199254740993");
    check("-0.5e1", SHOW("v"), "-5.0");
    check("{}", SHOW("next(v)"), "nil");
    check("{\"\": 1, \"\\u0061\": 2}", SHOW("v[''] + v.a"), "3");
    check("{}", "return function() return {text = tostring(core.env_json('NO'))} end",
          "nil");
}

/* Strings at the top under a listed key are handles; deeper ones are not. */
static void test_secrets(void **state)
{
    (void)state;
    check("{\"s\": \"canary\", \"\\u0074\": \"\", \"o\": {\"s\": \"plain\"}, \"n\": "
          "\"s\"}",
          SHOW("tostring(v.s) .. tostring(v.t) .. v.o.s .. v.n"),
          "secret (hidden)secret (hidden)plains");
    check("{\"s\": 5}", SHOW("v.s"), "5");
    check("[\"s\"]", SHOW("v[1]"), "s");
}

/* Where and why, but never what. */
static void test_errors(void **state)
{
    (void)state;
    check_error("{\"a\": 1 \"b\": 2}",
                "J is not JSON: line 1, column 9: a comma or a closing "
                "bracket is expected here");
    check_error("{\"s\": canary}",
                "J is not JSON: line 1, column 7: a value is expected here");
    check_error("{\n  \"\xc3\xa9\": \"canary\n\"}",
                "J is not JSON: line 2, column 15: a control "
                "character inside a string");
    check_error("", "J is not JSON: line 1, column 1: a value is expected here");
    check_error("{} {}",
                "J is not JSON: line 1, column 4: something follows the value");
    check_error("{'a': 1}",
                "J is not JSON: line 1, column 2: a member name in double quotes is "
                "expected here");
    check_error("[1,]", "J is not JSON: line 1, column 4: a value is expected here");
    check_error("{\"a\": \"\\ud800\"}",
                "J is not JSON: line 1, column 15: a string that cannot be "
                "decoded");
    check_error("{\"a\": nul}", "J is not JSON: line 1, column 7: an unknown word");
    char deep[200];
    memset(deep, '[', sizeof(deep) - 1);
    deep[sizeof(deep) - 1] = '\0';
    check_error(deep, "J is not JSON: line 1, column 65: nested too deeply");
}

/* Misuse is an error of the policy. */
static void test_misuse(void **state)
{
    (void)state;
    check(
        "{}",
        "local ok, why = pcall(core.env_json, 'J', {1})\n"
        "return function() return {text = why} end",
        "bad argument #2 to 'moonlatch.core.env_json' (an array of names is expected)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_secrets),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_misuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
