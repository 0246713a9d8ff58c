/* test_json_vs_cjson.c - our reader and lua-cjson on the same bytes.
 *
 * Same verdict and same decoded string wherever both follow RFC 8259.  Where lua-cjson
 * does not, the row says so and why:
 *   - it takes numbers that JSON has not (hex, NaN, leading zeros, a leading '+');
 *   - it does not look at UTF-8, nor at control characters inside strings;
 *   - it decodes no lone surrogates (nor do we), so those texts are read, not skipped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <lauxlib.h>
#include <lualib.h>

#include "io/json.h"
#include "script/cjson_glue.h"

/* Reads every string of the text into out, one after the other; false when bad. */
static bool read_value(ml_json *j, ml_buf *out)
{
    ml_str key;
    ml_buf one;
    switch (ml_json_peek(j)) {
    case ML_JSON_STRING:
        ml_buf_init(&one, 0);
        if (ml_json_read_string(j, &one)) ml_buf_add_str(out, ml_buf_str(&one));
        ml_buf_fini(&one);
        return !j->failed;
    case ML_JSON_ARRAY:
        if (!ml_json_enter_array(j)) return false;
        while (ml_json_next_item(j)) {
            if (!read_value(j, out)) return false;
        }
        return !j->failed;
    case ML_JSON_OBJECT:
        if (!ml_json_enter_object(j)) return false;
        while (ml_json_next_key(j, &key)) {
            if (!ml_json_unescape(key, out) || !read_value(j, out)) return false;
        }
        return !j->failed;
    default: return ml_json_skip(j);
    }
}

static bool ours(ml_str text, ml_buf *strings)
{
    ml_json j;
    ml_json_init(&j, text);
    return read_value(&j, strings) && ml_json_end(&j);
}

/* The module is on the stack; leaves the value there too when good. */
static bool theirs(lua_State *L, ml_str text)
{
    lua_settop(L, 1);
    lua_getfield(L, 1, "decode");
    lua_pushlstring(L, text.p, text.n);
    return lua_pcall(L, 1, 1, 0) == LUA_OK;
}

static lua_State *open_lua(void)
{
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    ml_open_cjson(L);
    lua_settop(L, 1);
    lua_getfield(L, 1, "decode_max_depth");
    lua_pushinteger(L, ML_JSON_MAX_DEPTH);
    lua_call(L, 1, 0);
    return L;
}

#define T(text)                                                                        \
    {                                                                                  \
        text, sizeof(text) - 1                                                         \
    }

static void test_same_verdict(void **state)
{
    (void)state;
    static const ml_str texts[] = {
        T("null"),
        T("true"),
        T("0"),
        T("-1.5e+3"),
        T("\"\""),
        T("[]"),
        T("{}"),
        T("[1,2]"),
        T("{\"a\":[{\"b\":null}]}"),
        T(" [ 1 , 2 ] "),
        T("\"\\u00e4\\n\\u0000\""),
        T("\"\\ud83d\\ude00\""),
        T("\"\xc3\xa4\""),
        T("{\"a\":\"b\",\"c\":\"d\"}"),
        T(""),
        T(" "),
        T("nul"),
        T("tru"),
        T("nulll"),
        T("Null"),
        T("["),
        T("]"),
        T("[1"),
        T("[1,"),
        T("[1,]"),
        T("[,1]"),
        T("[1 2]"),
        T("{"),
        T("}"),
        T("{]"),
        T("{\"a\"}"),
        T("{\"a\":}"),
        T("{\"a\":1"),
        T("{\"a\":1,}"),
        T("{a:1}"),
        T("{1:1}"),
        T("{,}"),
        T("{\"a\" 1}"),
        T("'a'"),
        T("\"a"),
        T("\"\\x\""),
        T("\"\\u12\""),
        T("\"\\u12g4\""),
        T("\"\\ud800\""),
        T("\"\\ud800x\""),
        T("\"\\ud800\\u0041\""),
        T("\"\\udc00\""),
        T("1 2"),
        T("[][]"),
        T("{}x"),
        T("null null"),
        T("// c\n1"),
        T("/* */1"),
        T("-"),
        T("\"\\"),
        T("[1}"),
        T("{\"a\":1]"),
        T("{\"a\":1}}"),
        T("[truefalse]"),
        T("abc"),
        T("#"),
        T("\xef\xbb\xbf{}"),
        T(":"),
        T(","),
        T("[1,,2]"),
        T("{\"a\"::1}"),
    };
    lua_State *L = open_lua();
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        ml_buf b;
        ml_buf_init(&b, 0);
        bool us = ours(texts[i], &b), them = theirs(L, texts[i]);
        if (us != them) fail_msg("%.*s: %d %d", (int)texts[i].n, texts[i].p, us, them);
        ml_buf_fini(&b);
    }
    lua_close(L);
}

/* The known differences: we refuse, lua-cjson does not. */
static void test_known_differences(void **state)
{
    (void)state;
    static const ml_str texts[] = {
        T("0x10"),         T("NaN"),      T("Infinity"),
        T("-Infinity"),    T("01"),       T("1."),
        T("-01"),          T("\"\xff\""), T("\"\xed\xa0\x80\""),
        T("\"\xc0\x80\""), T("\"a\tb\""), T("\"a\nb\""),
    };
    lua_State *L = open_lua();
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        ml_buf b;
        ml_buf_init(&b, 0);
        bool us = ours(texts[i], &b), them = theirs(L, texts[i]);
        if (us || !them) fail_msg("%.*s: %d %d", (int)texts[i].n, texts[i].p, us, them);
        ml_buf_fini(&b);
    }
    lua_close(L);
}

/* Every code point that has one: as an escape, both decode it to the same bytes. */
static void test_same_strings(void **state)
{
    (void)state;
    lua_State *L = open_lua();
    for (unsigned cp = 0; cp <= 0x10ffff; cp += cp < 0x900 ? 1 : 97) {
        if (cp >= 0xd800 && cp <= 0xdfff) continue;
        ml_buf text, b;
        ml_buf_init(&text, 0);
        ml_buf_init(&b, 0);
        if (cp < 0x10000) {
            ml_buf_addf(&text, "\"<\\u%04x>\"", cp);
        } else {
            ml_buf_addf(&text, "\"<\\u%04X\\u%04x>\"", 0xd800 + ((cp - 0x10000) >> 10),
                        0xdc00 + ((cp - 0x10000) & 0x3ff));
        }
        size_t n = 0;
        assert_true(ours(ml_buf_str(&text), &b));
        assert_true(theirs(L, ml_buf_str(&text)));
        const char *p = lua_tolstring(L, -1, &n);
        if (!ml_str_eq(ml_buf_str(&b), (ml_str){p, n})) fail_msg("U+%04X", cp);
        ml_buf_fini(&text);
        ml_buf_fini(&b);
    }
    lua_close(L);
}

/* What our writer writes, lua-cjson reads back. */
static void test_writer(void **state)
{
    (void)state;
    lua_State *L = open_lua();
    for (int c = 0; c < 128; c++) {
        char bytes[2] = {(char)c, 'x'};
        size_t n = 0;
        ml_buf text;
        ml_buf_init(&text, 0);
        assert_true(ml_json_write_string(&text, (ml_str){bytes, 2}));
        assert_true(theirs(L, ml_buf_str(&text)));
        const char *p = lua_tolstring(L, -1, &n);
        assert_true(ml_str_eq((ml_str){p, n}, (ml_str){bytes, 2}));
        ml_buf_fini(&text);
    }
    lua_close(L);
}

static uint32_t next_random(uint32_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 17;
    *s ^= *s << 5;
    return *s;
}

/* 50,000 random texts of JSON's own alphabet: what we take, lua-cjson takes. */
static void test_random(void **state)
{
    (void)state;
    static const char *const words[] = {"{",    "}",    "[",     "]",
                                        ",",    ":",    "\"a\"", "1",
                                        "null", "true", " ",     "\"\\u00e4\"",
                                        "-0",   "1e5",  "\"\"",  "\\"};
    lua_State *L = open_lua();
    uint32_t seed = 4711;
    int both = 0;
    for (int i = 0; i < 50000; i++) {
        ml_buf text, b;
        ml_buf_init(&text, 0);
        ml_buf_init(&b, 0);
        for (uint32_t n = next_random(&seed) % 8; n > 0; n--) {
            ml_buf_add_text(&text, words[next_random(&seed) % 16]);
        }
        bool us = ours(ml_buf_str(&text), &b), them = theirs(L, ml_buf_str(&text));
        both += us && them;
        /* words run together may be numbers to lua-cjson alone, such as 1-0 or 11e5 */
        if (us && !them) fail_msg("%s", text.data);
        ml_buf_fini(&text);
        ml_buf_fini(&b);
    }
    assert_true(both > 1000);
    lua_close(L);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_verdict),
                                       cmocka_unit_test(test_known_differences),
                                       cmocka_unit_test(test_same_strings),
                                       cmocka_unit_test(test_writer),
                                       cmocka_unit_test(test_random)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
