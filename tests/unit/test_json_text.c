/* test_json_text.c - the JSON reader takes RFC 8259 and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "io/json.h"

static bool is_json(ml_str text)
{
    ml_json j;
    ml_json_init(&j, text);
    return ml_json_skip(&j) && ml_json_end(&j);
}

/* Entries hold NUL bytes, so they are literals with their sizes. */
#define T(text)                                                                        \
    {                                                                                  \
        text, sizeof(text) - 1                                                         \
    }

static void test_accepts(void **state)
{
    (void)state;
    static const ml_str texts[] = {
        T("null"),
        T("true"),
        T("false"),
        T("0"),
        T("-0"),
        T("1"),
        T("-1"),
        T("10"),
        T("1.5"),
        T("-0.0"),
        T("1e5"),
        T("1E+5"),
        T("1e-5"),
        T("0e0"),
        T("0.1e1"),
        T("123456789012345678901234567890"),
        T("\"\""),
        T("\"a\""),
        T("[]"),
        T("{}"),
        T(" \t\r\n null \t\r\n "),
        T("[ ]"),
        T("{ }"),
        T("[1]"),
        T("[1,2]"),
        T("[[],[]]"),
        T("[null,true,false,\"\",0,{},[]]"),
        T("{\"a\":1}"),
        T("{\"a\":1,\"a\":2}"),
        T("{\"\":\"\"}"),
        T("{\"a\":{\"b\":{\"c\":[{}]}}}"),
        T("[\t1\n,\r2 ]"),
        T("{ \"a\" : 1 , \"b\" : 2 }"),
        T("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
        T("\"\\u0000\""),
        T("\"\\u00e4\\u00E4\""),
        T("\"\\ud83d\\ude00\""),
        T("\"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80\""),
        T("\"\x7f\""),
        T("\"\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf\""),
        T("\"'\""),
        T("\"//\""),
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (!is_json(texts[i])) fail_msg("%.*s", (int)texts[i].n, texts[i].p);
    }
}

static void test_rejects(void **state)
{
    (void)state;
    static const ml_str texts[] = {
        T(""),
        T(" "),
        T("nul"),
        T("nulll"),
        T("Null"),
        T("TRUE"),
        T("tru"),
        T("falsey"),
        T("undefined"),
        T("NaN"),
        T("Infinity"),
        T("-Infinity"),
        T("-"),
        T("+1"),
        T("01"),
        T("-01"),
        T("00"),
        T(".5"),
        T("1."),
        T("1.e5"),
        T("1e"),
        T("1e+"),
        T("1e5.5"),
        T("0x10"),
        T("1_000"),
        T("1,5"),
        T("1 2"),
        T("--1"),
        T("- 1"),
        T("1.2.3"),
        T("'a'"),
        T("a"),
        T("\""),
        T("\"a"),
        T("\"\\\""),
        T("\"\\x41\""),
        T("\"\\a\""),
        T("\"\\\n\""),
        T("\"\\u\""),
        T("\"\\u12\""),
        T("\"\\u12g4\""),
        T("\"\\u 123\""),
        T("\"\\U0041\""),
        T("\"\\"),
        T("\"\\u00"),
        T("\"\t\""),
        T("\"\n\""),
        T("\"\0\""),
        T("\"\x1f\""),
        T("\"a\"b"),
        T("\"a\" \"b\""),
        T("["),
        T("]"),
        T("[1"),
        T("[1,"),
        T("[1,]"),
        T("[,1]"),
        T("[,]"),
        T("[1,,2]"),
        T("[1 2]"),
        T("[1;2]"),
        T("[1}"),
        T("[1]]"),
        T("{"),
        T("}"),
        T("{]"),
        T("{\"a\"}"),
        T("{\"a\":}"),
        T("{\"a\":1"),
        T("{\"a\":1,}"),
        T("{,\"a\":1}"),
        T("{\"a\":1,,\"b\":2}"),
        T("{\"a\" 1}"),
        T("{\"a\"=1}"),
        T("{a:1}"),
        T("{'a':1}"),
        T("{1:1}"),
        T("{null:1}"),
        T("{\"a\":1 \"b\":2}"),
        T("{\"a\":1}}"),
        T("{\"a\"::1}"),
        T("{:1}"),
        T("{\"a\":1]"),
        T("{\"a\"\0:1}"),
        T("null\0"),
        T("\0null"),
        T("1\0"),
        T("[1\0]"),
        T("{}\0"),
        T("// c\n1"),
        T("/* c */1"),
        T("1 // c"),
        T("# c\n1"),
        T("\xef\xbb\xbf{}"),
        T("\xc2\xa0"
          "1"),
        T("\f1"),
        T("\v1"),
        T("{}x"),
        T("[]x"),
        T("null null"),
        T("{}{}"),
        T("[][]"),
        T("truefalse"),
        T("[truefalse]"),
        T("[1true]"),
        /* strings that are not UTF-8 */
        T("\"\xff\""),
        T("\"\x80\""),
        T("\"\xc3\""),
        T("\"\xc3\x28\""),
        T("\"\xc0\x80\""),
        T("\"\xc1\xbf\""),
        T("\"\xe0\x80\x80\""),
        T("\"\xe0\x9f\xbf\""),
        T("\"\xed\xa0\x80\""),
        T("\"\xed\xbf\xbf\""),
        T("\"\xf0\x80\x80\x80\""),
        T("\"\xf0\x8f\xbf\xbf\""),
        T("\"\xf4\x90\x80\x80\""),
        T("\"\xf5\x80\x80\x80\""),
        T("\"\xe2\x82\""),
        T("\"\xf0\x9f\x98\""),
        T("{\"\xff\":1}"),
        T("\xff"),
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (is_json(texts[i])) fail_msg("%.*s", (int)texts[i].n, texts[i].p);
    }
}

/* No proper prefix of a document is a document, and none is read past its end: each is
 * copied into a block of exactly its size, which the sanitizer guards. */
static void test_every_prefix(void **state)
{
    (void)state;
    static const char text[] = "{\"value\":\"s\\u00e4\\ud83d\\ude00\\n\",\"id\":"
                               "\"https://a/secrets/b\",\"attributes\":"
                               "{\"enabled\":true,\"managed\":false,\"exp\":null,"
                               "\"nbf\":-1.5e+10},\"tags\":[1,[2,"
                               "{\"\":\"\xf0\x9f\x98\x80\"}]]}";
    assert_true(is_json(ml_str_of(text)));
    for (size_t n = 0; n < sizeof(text) - 1; n++) {
        char *copy = malloc(n ? n : 1);
        memcpy(copy, text, n);
        if (is_json((ml_str){copy, n})) fail_msg("%.*s", (int)n, text);
        free(copy);
    }
}

static void test_depth(void **state)
{
    (void)state;
    char text[800];
    for (int depth = 1; depth <= 100; depth++) {
        for (int kind = 0; kind < 2; kind++) {
            size_t n = 0;
            for (int i = 0; i < depth; i++) {
                memcpy(text + n, kind ? "[" : "{\"\":", kind ? 1 : 4);
                if (!kind && i == depth - 1) {
                    text[n++] = '{';
                    continue;
                }
                n += kind ? 1 : 4;
            }
            for (int i = 0; i < depth; i++) text[n++] = kind ? ']' : '}';
            assert_int_equal(is_json((ml_str){text, n}), depth <= ML_JSON_MAX_DEPTH);
        }
    }
}

/* Deep text costs no stack: a megabyte of brackets is refused like any other. */
static void test_deep_text(void **state)
{
    (void)state;
    size_t n = 1024 * 1024;
    char *text = malloc(n);
    memset(text, '[', n);
    assert_false(is_json((ml_str){text, n}));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_accepts),
                                       cmocka_unit_test(test_rejects),
                                       cmocka_unit_test(test_every_prefix),
                                       cmocka_unit_test(test_depth),
                                       cmocka_unit_test(test_deep_text)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
