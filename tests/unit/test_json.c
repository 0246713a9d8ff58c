/* test_json.c - what the JSON reader reads, and the writer writes. */
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

static void test_strings(void **state)
{
    (void)state;
    static const struct {
        ml_str text, value;
    } rows[] = {
        {T("\"\""), T("")},
        {T("\"plain\""), T("plain")},
        {T("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), T("\"\\/\b\f\n\r\t")},
        {T("\"a\\u0000b\""), T("a\0b")},
        {T("\"\\u0041\\u00e4\\u20AC\\uFFFF\""), T("A\xc3\xa4\xe2\x82\xac\xef\xbf\xbf")},
        {T("\"\\u007f\\u0080\\u07ff\\u0800\""), T("\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80")},
        {T("\"\\ud800\\udc00\\uDBFF\\uDFFF\""), T("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf")},
        {T("\"x\\ud83d\\ude00y\""), T("x\xf0\x9f\x98\x80y")},
        {T("\"\\ud7ff\\ue000\""), T("\xed\x9f\xbf\xee\x80\x80")},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ml_json j;
        ml_buf b;
        ml_buf_init(&b, 0);
        ml_buf_add_text(&b, "old");
        ml_json_init(&j, rows[i].text);
        assert_true(ml_json_read_string(&j, &b));
        assert_true(ml_json_end(&j));
        assert_true(ml_str_eq(ml_buf_str(&b), rows[i].value));
        ml_buf_fini(&b);
    }
}

/* Half a surrogate pair has no UTF-8 form: it may be skipped, not decoded. */
static void test_lone_surrogates(void **state)
{
    (void)state;
    static const char *const texts[] = {"\"\\ud800\"",        "\"\\udc00\"",
                                        "\"\\ud800x\"",       "\"\\ud800\\n\"",
                                        "\"\\ud800\\u0041\"", "\"\\ud800\\ud800\"",
                                        "\"\\udc00\\ud800\"", "\"\\ud83d \\ude00\"",
                                        "\"\\ud83dxude00\""};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        ml_json j;
        ml_buf b;
        ml_buf_init(&b, 0);
        ml_json_init(&j, ml_str_of(texts[i]));
        if (ml_json_read_string(&j, &b)) fail_msg("%s", texts[i]);
        assert_false(ml_json_end(&j));
        assert_true(is_json(ml_str_of(texts[i])));
        ml_buf_fini(&b);
    }
}

/* Raw text that no scanner has checked is survived by the decoder. */
static void test_unescape_unchecked(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "\\", "\\u", "\\u12", "\\x", "\\ud83d\\", "\\ud83d\\u", "\\ud83d\\ude0", "a\\"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        ml_buf b;
        ml_buf_init(&b, 0);
        size_t n = strlen(texts[i]);
        char *copy = malloc(n);
        memcpy(copy, texts[i], n);
        assert_false(ml_json_unescape((ml_str){copy, n}, &b));
        assert_false(ml_json_key_is((ml_str){copy, n}, "ab"));
        free(copy);
        ml_buf_fini(&b);
    }
}

static void test_ints(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool good;
        int64_t value;
    } rows[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"7", true, 7},
        {"-7", true, -7},
        {"\"7\"", true, 7},
        {"\"-7\"", true, -7},
        {"\"007\"", true, 7},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775807", true, -INT64_MAX},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"99999999999999999999999", false, 0},
        {"1.0", false, 0},
        {"1e3", false, 0},
        {"\"\"", false, 0},
        {"\"-\"", false, 0},
        {"\"--7\"", false, 0},
        {"\"+7\"", false, 0},
        {"\" 7\"", false, 0},
        {"\"7 \"", false, 0},
        {"\"1.5\"", false, 0},
        {"\"0x7\"", false, 0},
        {"\"\\u0037\"", false, 0},
        {"null", false, 0},
        {"true", false, 0},
        {"[]", false, 0},
        {"{}", false, 0},
        {"", false, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ml_json j;
        int64_t v = 42;
        ml_json_init(&j, ml_str_of(rows[i].text));
        bool good = ml_json_read_int(&j, &v);
        if (good != rows[i].good || v != (good ? rows[i].value : 42))
            fail_msg("%s", rows[i].text);
        assert_int_equal(ml_json_end(&j), good);
    }
}

static void test_kinds(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        ml_json_kind kind;
    } rows[] = {{"null", ML_JSON_NULL},  {" true", ML_JSON_BOOL},
                {"false", ML_JSON_BOOL}, {"-1", ML_JSON_NUMBER},
                {"7", ML_JSON_NUMBER},   {"\"\"", ML_JSON_STRING},
                {"{", ML_JSON_OBJECT},   {"[", ML_JSON_ARRAY},
                {"", ML_JSON_NONE},      {"}", ML_JSON_NONE},
                {"+1", ML_JSON_NONE}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ml_json j;
        ml_json_init(&j, ml_str_of(rows[i].text));
        assert_int_equal(ml_json_peek(&j), rows[i].kind);
        assert_int_equal(ml_json_peek(&j), rows[i].kind);
    }
    /* a wrong reader fails and stays failed */
    ml_json j;
    bool b;
    ml_str s;
    ml_json_init(&j, ML_LIT("[1]"));
    assert_false(ml_json_read_null(&j)); /* asks, does not fail */
    assert_false(ml_json_read_bool(&j, &b));
    assert_false(ml_json_enter_array(&j));
    assert_false(ml_json_skip(&j));
    assert_false(ml_json_read_raw_string(&j, &s));
    assert_false(ml_json_read_number(&j, &s));
    assert_false(ml_json_next_item(&j));
    assert_false(ml_json_next_key(&j, &s));
    assert_int_equal(ml_json_peek(&j), ML_JSON_NONE);
    assert_false(ml_json_end(&j));
}

/* Members may be read, skipped or left; a closing bracket ends each loop once. */
static void test_walk(void **state)
{
    (void)state;
    ml_json j;
    ml_str key, raw;
    bool flag = false;
    int64_t n = 0;
    int items = 0;
    ml_json_init(
        &j, ML_LIT("{\"left\":{\"x\":[1,{}]},\"b\":true,\"list\":[1,[2],{\"a\":3},4],"
                   "\"nul\":null,\"n\":5}"));
    assert_true(ml_json_enter_object(&j));
    while (ml_json_next_key(&j, &key)) {
        if (ml_json_key_is(key, "b")) assert_true(ml_json_read_bool(&j, &flag));
        if (ml_json_key_is(key, "n")) assert_true(ml_json_read_int(&j, &n));
        if (ml_json_key_is(key, "nul")) assert_true(ml_json_read_null(&j));
        if (!ml_json_key_is(key, "list")) continue;
        assert_true(ml_json_enter_array(&j));
        while (ml_json_next_item(&j)) {
            items++;
            if (items == 1) assert_true(ml_json_read_number(&j, &raw));
        }
    }
    assert_true(ml_json_end(&j));
    assert_true(flag);
    assert_int_equal(n, 5);
    assert_int_equal(items, 4);
}

/* Misuse is an error of the scanner, not of memory. */
static void test_misuse(void **state)
{
    (void)state;
    ml_json j;
    ml_str key;
    ml_json_init(&j, ML_LIT("1"));
    assert_true(ml_json_skip(&j));
    assert_false(ml_json_skip(&j)); /* only one value */
    ml_json_init(&j, ML_LIT("[]"));
    assert_true(ml_json_enter_array(&j));
    assert_false(ml_json_next_key(&j, &key)); /* not an object */
    ml_json_init(&j, ML_LIT("1"));
    assert_true(ml_json_skip(&j));
    assert_false(ml_json_next_item(&j)); /* outside of everything */
    ml_json_init(&j, ML_LIT("[1"));
    assert_true(ml_json_enter_array(&j));
    assert_true(ml_json_next_item(&j));
    assert_false(ml_json_end(&j));
    ml_json_init(&j, (ml_str){NULL, 0});
    assert_false(ml_json_skip(&j));
    ml_json_init(&j, (ml_str){NULL, 0});
    assert_false(ml_json_end(&j));
}

static void test_error_place(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t at;
        const char *why;
    } rows[] = {{"{\"a\":x}", 5, "value is expected"},
                {"{\"a\" 1}", 5, "colon"},
                {"[1 2]", 3, "comma"},
                {"{1}", 1, "member name"},
                {"1 x", 2, "follows"},
                {"[\"\\q\"]", 2, "escape"},
                {"[\"\x01\"]", 2, "control"},
                {"\"a\xff\"", 1, "UTF-8"},
                {"[01]", 3, "leading zero"},
                {"[nul]", 1, "word"},
                {"\"ab", 3, "quote"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ml_json j;
        const char *why;
        ml_json_init(&j, ml_str_of(rows[i].text));
        if (ml_json_skip(&j)) ml_json_end(&j);
        size_t at = ml_json_error_at(&j, &why);
        if (at != rows[i].at || !strstr(why, rows[i].why)) {
            fail_msg("%s: %zu %s", rows[i].text, at, why);
        }
        assert_int_equal(ml_json_error_at(&j, NULL), at);
    }
}

static void test_keys(void **state)
{
    (void)state;
    static const struct {
        const char *raw, *text;
        bool same;
    } rows[] = {
        {"abc", "abc", true},
        {"abc", "ab", false},
        {"ab", "abc", false},
        {"", "", true},
        {"", "a", false},
        {"a", "", false},
        {"\\u0061bc", "abc", true},
        {"a\\u0062\\u0063", "abc", true},
        {"\\u00e4", "a", false},
        {"\\/\\n\\\"", "/\n\"", true},
        {"abc\\u0000", "abc", false},
        {"\\u0000", "", false},
        {"abc\\", "abc", false},
        {"\\ud83d\\ude00", "x", false},
        {"ABC", "abc", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (ml_json_key_is(ml_str_of(rows[i].raw), rows[i].text) != rows[i].same) {
            fail_msg("%s %s", rows[i].raw, rows[i].text);
        }
    }
}

/* Each byte at each place of a string longer than what is looked at at once, and at the
 * end of the memory that it has. */
static void test_each_byte_at_each_place(void **state)
{
    (void)state;
    enum { LENGTH = 19 };
    for (int at = 0; at < LENGTH; at++) {
        for (int c = 0; c < 256; c++) {
            char *text = malloc(LENGTH + 2);
            assert_non_null(text);
            memset(text, 'x', LENGTH + 2);
            text[0] = text[LENGTH + 1] = '"';
            text[1 + at] = (char)c;
            ml_json j;
            ml_str raw;
            ml_json_init(&j, (ml_str){text, LENGTH + 2});
            bool good = ml_json_read_raw_string(&j, &raw) && ml_json_end(&j);
            bool is_plain = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
            if (good != is_plain) fail_msg("byte %d at %d", c, at);
            if (good) assert_int_equal(raw.n, LENGTH);
            free(text);
        }
    }
}

/* What the writer writes, the reader reads back to the same bytes. */
static void test_writer(void **state)
{
    (void)state;
    for (int c = 0; c < 128; c++) {
        char bytes[3] = {'<', (char)c, '>'};
        ml_buf out, back;
        ml_json j;
        ml_buf_init(&out, 0);
        ml_buf_init(&back, 0);
        assert_true(ml_json_write_string(&out, (ml_str){bytes, 3}));
        for (size_t i = 0; i < out.len; i++) assert_true(out.data[i] >= ' ');
        ml_json_init(&j, ml_buf_str(&out));
        assert_true(ml_json_read_string(&j, &back) && ml_json_end(&j));
        assert_true(ml_str_eq(ml_buf_str(&back), (ml_str){bytes, 3}));
        ml_buf_fini(&out);
        ml_buf_fini(&back);
    }
    ml_buf out;
    ml_buf_init(&out, 0);
    assert_true(
        ml_json_write_string(&out, ML_LIT("\"\\\n\r\t\b\x7f/\xf0\x9f\x98\x80\0")));
    assert_string_equal(out.data,
                        "\"\\\"\\\\\\n\\r\\t\\u0008\\u007f/\xf0\x9f\x98\x80\\u0000\"");
    ml_buf_clear(&out);
    assert_true(ml_json_write_string(&out, ML_LIT("")));
    assert_string_equal(out.data, "\"\"");
    ml_buf_clear(&out);
    assert_false(ml_json_write_string(&out, ML_LIT("a\xff")));
    assert_int_equal(out.len, 0);
    ml_buf_fini(&out);
    ml_buf_init(&out, 4);
    assert_false(ml_json_write_string(&out, ML_LIT("abcdef")));
    ml_buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_strings),
                                       cmocka_unit_test(test_lone_surrogates),
                                       cmocka_unit_test(test_unescape_unchecked),
                                       cmocka_unit_test(test_ints),
                                       cmocka_unit_test(test_kinds),
                                       cmocka_unit_test(test_walk),
                                       cmocka_unit_test(test_misuse),
                                       cmocka_unit_test(test_error_place),
                                       cmocka_unit_test(test_keys),
                                       cmocka_unit_test(test_each_byte_at_each_place),
                                       cmocka_unit_test(test_writer)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
