/* test_dotenv.c - the .env files that users write, and those that must be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "source/dotenv.h"

#define JSON                                                                           \
    "{\"connections_prefix\": \"\", \"client_secret\": \"a #b=\\\"c\\\"\", \"n\": "    \
    "[1]}"

/* The value of K in a text. */
static const struct {
    const char *text, *value;
} good[] = {
    {"K=" JSON, JSON},
    {"K=" JSON "  # {", JSON},
    {"K='" JSON "'", JSON},
    {"K=\"{\\\"a\\\": \\\"b\\\"}\"", "{\"a\": \"b\"}"},
    {"K=v", "v"},
    {"  K \t=  v w \t", "v w"},
    {"export  K=v", "v"},
    {"exported=1\nK=v", "v"},
    {"export\nK=v", "v"},
    {"export \nK=v", "v"},
    {"K=a#b", "a#b"},
    {"K=a # b", "a"},
    {"K=", ""},
    {"K=\"\"", ""},
    {"K=a=b==", "a=b=="},
    {"K=a\"b'c", "a\"b'c"},
    {"K=a\\nb", "a\\nb"},
    {"K=\"a\\n\\r\\t\\\\\\\"\\'\\$b\"", "a\n\r\t\\\"'$b"},
    {"K=\"\\${A}\"", "${A}"},
    {"K='a\\n\"${B}\"'", "a\\n\"${B}\""},
    {"K=\"a\nb\n#c\"\nL=1", "a\nb\n#c"},
    {"K=\"a\r\nb\"\r\nL=1", "a\nb"},
    {"K='a\nb'\nL=1", "a\nb"},
    {"K='a' # 'b'", "a"},
    {"K=pa$$word$1", "pa$$word$1"},
    {"A=1\r\nK=v\r\n\r\n", "v"},
    {"K=v\r", "v"},
    {"\xef\xbb\xbfK=v", "v"},
    {"# K=no\n\n  # x\n \t\nK=v\n", "v"},
    {"K=mysql://u:p%23@h/db?a=b", "mysql://u:p%23@h/db?a=b"},
    {"K=1\nK=2", "2"},
    {"K=${A}\nK=2", "2"},
    {"K=\xff\xfe", "\xff\xfe"},
};

static void test_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        ml_dotenv d;
        char value[200] = "(none)";
        assert_int_equal(ml_dotenv_init(&d, ml_str_of(good[i].text)), 0);
        while (ml_dotenv_next(&d)) {
            if (!ml_str_eq(d.name, ML_LIT("K")) || d.reason) continue;
            snprintf(value, sizeof(value), "%s", ml_buf_str(&d.value).p);
        }
        assert_true(ml_dotenv_fini(&d));
        if (strcmp(value, good[i].value) != 0) {
            fail_msg("%s: %s, not %s", good[i].text, value, good[i].value);
        }
    }
}

/* Mistakes: where, in whose value, and what is said; never the value. */
static const struct {
    const char *text;
    int line;
    const char *name, *reason;
} bad[] = {
    {"K=1\nJUST/s3cret", 2, "JUST", "there is no '='"},
    {"K=1\n=s3cret", 2, "", "a name"},
    {"1K=s3cret", 1, "", "a name"},
    {"K K=s3cret", 1, "K", "a name"},
    {"\nK='s3cret\nL=1", 2, "K", "the single quote"},
    {"K=\"s3cret", 1, "K", "the double quote"},
    {"K=\"s3cret\"x", 1, "K", "something follows"},
    {"K='s3cret'#x", 1, "K", "something follows"},
    {"K=\"C:\\s3cret\"", 1, "K", "a backslash"},
    {"K=\"s3cret\\", 1, "K", "a backslash"},
    {"K=${s3cret}", 1, "K", "${...}"},
    {"K=\"${s3cret}\"", 1, "K", "${...}"},
    {"K={\"a\": \"s3cret\",\n \"b\": 1}", 1, "K", "its value opens a bracket"},
    {"K={\"a\": \"s3cret", 1, "K", "its value opens a bracket"},
    {"K=#s3cret", 1, "K", "its value starts with '#'"},
    {"K= # s3cret", 1, "K", "its value starts with '#'"},
    {"K='a\nb'\ns3cret/", 3, "s3cret", "there is no '='"},
};

static void test_mistakes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        ml_dotenv d;
        assert_int_equal(ml_dotenv_init(&d, ml_str_of(bad[i].text)), 0);
        while (ml_dotenv_next(&d) && !d.reason) continue;
        assert_non_null(d.reason);
        assert_int_equal(d.line, bad[i].line);
        assert_true(ml_str_eq(d.name, ml_str_of(bad[i].name)));
        assert_int_equal(strncmp(d.reason, bad[i].reason, strlen(bad[i].reason)), 0);
        assert_null(strstr(d.reason, "s3"));
        assert_true(ml_dotenv_fini(&d));
    }
}

/* Everything of a text as "line name=value" and "line name!" lines. */
static const char *told(const char *text, char out[400])
{
    ml_dotenv d;
    size_t n = 0;
    out[0] = '\0';
    assert_int_equal(ml_dotenv_init(&d, ml_str_of(text)), 0);
    while (ml_dotenv_next(&d)) {
        n += (size_t)snprintf(out + n, 400 - n, "%d %.*s%s%s\n", d.line, (int)d.name.n,
                              d.name.p, d.reason ? "!" : "=",
                              d.reason ? "" : ml_buf_str(&d.value).p);
    }
    assert_true(ml_dotenv_fini(&d));
    return out;
}

static void test_order(void **state)
{
    (void)state;
    char out[400];
    assert_string_equal(told("B=1\nA.x-y=2\n_C=3", out), "1 B=1\n2 A.x-y=2\n3 _C=3\n");
    assert_string_equal(told("A=1\nK=old\nK='x\nB=2\nK K=3\nC=${B}", out),
                        "1 A=1\n2 K=old\n3 K!\n4 B=2\n5 K!\n6 C!\n");
    assert_string_equal(told("K\n export L \nM=1", out), "3 M=1\n");
    assert_string_equal(told("A='1\n2\n3'\n\nB=2", out), "1 A=1\n2\n3\n5 B=2\n");
    assert_string_equal(told("", out), "");
    assert_string_equal(told("\n#", out), "");
}

/* A NUL byte: no text. */
static void test_nul(void **state)
{
    (void)state;
    ml_dotenv d;
    assert_int_equal(ml_dotenv_init(&d, ML_LIT("K=1\nL=s3\0cret")), 2);
    assert_false(ml_dotenv_next(&d));
    assert_true(ml_dotenv_fini(&d));
}

/* Megabytes of what could be slow: long values, many lines, quotes without end. */
static void test_large(void **state)
{
    (void)state;
    static const char *const parts[] = {"K='x\n", "K=\"x\n", "K={\"a\n", "K=\\\n",
                                        "=\n",    "x",       "K=\"\\n"};
    enum { SIZE = 2 * 1000 * 1000 };
    char *text = malloc(SIZE);
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
        size_t n = strlen(parts[i]);
        for (size_t at = 0; at < SIZE; at++) text[at] = parts[i][at % n];
        ml_dotenv d;
        int last = 0;
        assert_int_equal(ml_dotenv_init(&d, (ml_str){text, SIZE}), 0);
        while (ml_dotenv_next(&d)) {
            assert_true(d.line > last);
            last = d.line;
        }
        assert_true(ml_dotenv_fini(&d));
    }
    free(text);
}

static void test_names(void **state)
{
    (void)state;
    assert_true(ml_dotenv_is_name(ML_LIT("A.x-y_1")));
    assert_false(ml_dotenv_is_name(ML_LIT("")));
    assert_false(ml_dotenv_is_name(ML_LIT("1A")));
    assert_false(ml_dotenv_is_name(ML_LIT("a/b")));
    assert_false(ml_dotenv_is_name(ML_LIT("a=")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values), cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_order),  cmocka_unit_test(test_nul),
        cmocka_unit_test(test_large),  cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
