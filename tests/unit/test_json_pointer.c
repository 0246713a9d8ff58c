/* test_json_pointer.c - JSON pointers find what RFC 6901 says, on bytes as they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "io/json_pointer.h"

static ml_json_pointing point(const char *text, const char *pointer,
                              ml_json_place *place)
{
    *place = (ml_json_place){0};
    return ml_json_point(ml_str_of(text), ml_str_of(pointer), place);
}

static void check_raw(const char *text, const char *pointer, const char *raw)
{
    ml_json_place place;
    if (point(text, pointer, &place) != ML_JSON_POINTED ||
        !ml_str_eq(place.raw, ml_str_of(raw))) {
        fail_msg("%s in %s: '%.*s', not '%s'", pointer, text, (int)place.raw.n,
                 place.raw.p ? place.raw.p : "", raw);
    }
}

static void check_no(const char *text, const char *pointer, ml_json_pointing how)
{
    ml_json_place place;
    ml_json_pointing got = point(text, pointer, &place);
    if (got != how) fail_msg("%s in %s: %d, not %d", pointer, text, got, how);
}

/* The table of RFC 6901, section 5. */
static void test_rfc(void **state)
{
    (void)state;
    static const char text[] =
        "{\"foo\": [\"bar\", \"baz\"], \"\": 0, \"a/b\": 1, \"c%d\": 2, \"e^f\": 3, "
        "\"g|h\": 4, \"i\\\\j\": 5, \"k\\\"l\": 6, \" \": 7, \"m~n\": 8}";
    check_raw(text, "", text);
    check_raw(text, "/foo", "[\"bar\", \"baz\"]");
    check_raw(text, "/foo/0", "bar");
    check_raw(text, "/", "0");
    check_raw(text, "/a~1b", "1");
    check_raw(text, "/c%d", "2");
    check_raw(text, "/e^f", "3");
    check_raw(text, "/g|h", "4");
    check_raw(text, "/i\\j", "5");
    check_raw(text, "/k\"l", "6");
    check_raw(text, "/ ", "7");
    check_raw(text, "/m~0n", "8");
}

static void test_kinds(void **state)
{
    (void)state;
    ml_json_place place;
    static const char text[] = " {\"s\" : \"a\\nb\" , \"n\": -1.5e3, \"t\":true, "
                               "\"z\":null, \"o\": {\"x\": [ 1 , 2 ] } } ";
    assert_int_equal(point(text, "/s", &place), ML_JSON_POINTED);
    assert_int_equal(place.kind, ML_JSON_STRING);
    check_raw(text, "/s", "a\\nb");
    check_raw(text, "/n", "-1.5e3");
    check_raw(text, "/t", "true");
    assert_int_equal(point(text, "/z", &place), ML_JSON_POINTED);
    assert_int_equal(place.kind, ML_JSON_NULL);
    check_raw(text, "/o", "{\"x\": [ 1 , 2 ] }");
    check_raw(text, "/o/x/1", "2");
    check_raw("\"top\"", "", "top");
    check_raw("{\"\\u0061b\": 1}", "/ab", "1");
}

static void test_absent(void **state)
{
    (void)state;
    check_no("{\"a\": [1, 2]}", "/b", ML_JSON_ABSENT);
    check_no("{\"a\": [1, 2]}", "/a/2", ML_JSON_ABSENT);
    check_no("{\"a\": [1, 2]}", "/a/-", ML_JSON_ABSENT);
    check_no("{\"a\": [1, 2]}", "/a/00", ML_JSON_ABSENT);
    check_no("{\"a\": [1, 2]}", "/a/ 1", ML_JSON_ABSENT);
    check_no("{\"a\": \"text\"}", "/a/0", ML_JSON_ABSENT);
    check_no("[]", "/0", ML_JSON_ABSENT);
    check_no("[1]", "/18446744073709551616", ML_JSON_ABSENT);
}

static void test_duplicates(void **state)
{
    (void)state;
    check_raw("{\"a\": 1, \"a\": 2}", "/a", "2");
    check_no("{\"a\": {\"b\": 1}, \"a\": 2}", "/a/b", ML_JSON_ABSENT);
}

static void test_refused(void **state)
{
    (void)state;
    check_no("{}", "a", ML_JSON_BAD_POINTER);
    check_no("{}", "/a~2", ML_JSON_BAD_POINTER);
    check_no("{}", "/a~", ML_JSON_BAD_POINTER);
    check_no("", "", ML_JSON_MALFORMED);
    check_no("{\"a\": 1", "/a", ML_JSON_MALFORMED);
    check_no("{\"a\": 1} x", "/a", ML_JSON_MALFORMED);
    check_no("{\"a\": 01}", "/b", ML_JSON_MALFORMED);
    char deep[200];
    memset(deep, '[', sizeof(deep));
    ml_json_place place;
    assert_int_equal(ml_json_point((ml_str){deep, sizeof(deep)}, ML_LIT("/0/0/0/0"),
                                   &place),
                     ML_JSON_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc),     cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_absent),  cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
