/* test_values.c - JSON, YAML and .env as Python and Airflow read them; attacks on both.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <locale.h>

#include "source/local_file.h"

/* The answer for one key of a text, "!..." when the text or the key is refused, "-"
 * when it is missing. */
static const char *answer(ml_local_format format, bool are_connections, ml_str text,
                          const char *key, char out[400])
{
    ml_values v;
    ml_buf b;
    ml_values_init(&v);
    ml_buf_init(&b, 1024 * 1024);
    const ml_value *map = ml_local_read(&v, text, format, are_connections);
    const ml_value *value = map ? ml_value_find(map, ml_str_of(key)) : NULL;
    if (value && ml_local_answer(&v, value, are_connections, &b))
        snprintf(out, 400, "%s", ml_buf_str(&b).p);
    else if (v.problem)
        snprintf(out, 400, "!%d %.*s%s%s", v.line, (int)v.key.n, v.key.p,
                 v.key.n ? ": " : "", v.problem);
    else
        snprintf(out, 400, "-");
    if (!map) assert_non_null(v.problem);
    ml_buf_fini(&b);
    ml_values_fini(&v);
    return out;
}

typedef struct sample {
    const char *text, *value;
} sample;

/* A plain scalar of YAML, and what str() shows of it in Python. */
static const sample plain[] = {
    {"abc", "abc"},
    {"'1'", "1"},
    {"\"a\\tb\"", "a\tb"},
    {"!!str 010", "010"},
    {"! 010", "8"},
    {"yes", "True"},
    {"Off", "False"},
    {"y", "y"},
    {"yES", "yES"},
    {"~", "-"},
    {"", "-"},
    {"null", "-"},
    {"'null'", "null"},
    {"0", "0"},
    {"-0", "0"},
    {"+12", "12"},
    {"010", "8"},
    {"08", "08"},
    {"0x1F", "31"},
    {"-0b101", "-5"},
    {"1_000", "1000"},
    {"_1", "_1"},
    {"190:20:30", "685230"},
    {"0:30", "0:30"},
    {"1:60", "1:60"},
    {"123456789012345678901234567890", "123456789012345678901234567890"},
    {"0xfffffffffffffffff", "!1 a number that is too large"},
    {"1.0", "1.0"},
    {"1.", "1.0"},
    {".5", "0.5"},
    {"-.5", "-.5"},
    {"1_0.5_0", "10.5"},
    {"1e3", "1e3"},
    {"1.0e3", "1.0e3"},
    {"1.0e+3", "1000.0"},
    {"1.5e-7", "1.5e-07"},
    {"1.0e+16", "1e+16"},
    {"1234567890123456.0", "1234567890123456.0"},
    {"0.1", "0.1"},
    {"0.0001", "0.0001"},
    {"0.00001", "1e-05"},
    {"-0.0", "-0.0"},
    {"1:30.5", "90.5"},
    {".inf", "inf"},
    {"-.INF", "-inf"},
    {".nan", "nan"},
    {"2001-12-14", "2001-12-14"},
    {"2001-1-4", "2001-1-4"},
    {"2001-13-14", "!1 a date that is in no calendar: quote it"},
    {"2001-12-14t21:59:43.10-05:00", "2001-12-14 21:59:43.100000-05:00"},
    {"2001-12-14 21:59:43.10 -5", "2001-12-14 21:59:43.100000-05:00"},
    {"2001-12-15 2:59:43Z", "2001-12-15 02:59:43+00:00"},
    {"2001-12-15 2:59:43", "2001-12-15 02:59:43"},
    {"2001-12-15 2:59", "2001-12-15 2:59"},
    {"=", "!1 a plain = or <<, which YAML 1.1 keeps for itself: quote it"},
    {"<<", "!1 a plain = or <<, which YAML 1.1 keeps for itself: quote it"},
    {"!!binary aGk=", "!1 a tag that is not read here"},
    {"!custom x", "!1 a tag that is not read here"},
    {"[a]", "a"},
    {"[]", "!0 k: it has no value"},
    {"[a, b]", "!0 k: it has more than one value"},
    {"[[1, 2.50, no, ~, x]]", "[1, 2.5, false, null, \"x\"]"},
    {"{a: {b: [1]}}", "{\"a\": {\"b\": [1]}}"},
    {"{a: 1, a: 2}", "{\"a\": 2}"},
    {"{1: x, yes: z}", "{\"1\": \"x\", \"true\": \"z\"}"},
    {"{[1]: x}", "!1 a key that is a list or a map"},
    {"{a: .inf}", "{\"a\": Infinity}"},
    {"{a: 2001-12-14}", "!0 its value unfolds to too much, or has no JSON form"},
};

static void test_yaml_scalars(void **state)
{
    (void)state;
    char out[400], text[200];
    for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++) {
        snprintf(text, sizeof(text), "k: %s\n", plain[i].text);
        answer(ML_LOCAL_YAML, false, ml_str_of(text), "k", out);
        if (strcmp(out, plain[i].value) != 0) {
            fail_msg("%s: %s, not %s", plain[i].text, out, plain[i].value);
        }
    }
}

/* Numbers are read and shown with a point, whatever the host's locale has. */
static void test_locale(void **state)
{
    (void)state;
    char out[400];
    const char *set = setlocale(LC_NUMERIC, "de_DE.UTF-8");
    answer(ML_LOCAL_YAML, false, ML_LIT("k: 1.5\n"), "k", out);
    assert_string_equal(out, "1.5");
    if (set) setlocale(LC_NUMERIC, "C");
}

static const sample yaml[] = {
    {"k: |\n  a\n  b\n", "a\nb\n"},
    {"k: >-\n  a\n  b\n", "a b"},
    {"a: &x v\nk: *x\n", "v"},
    {"a: &x {p: 1, q: 2}\nk: {<<: *x, q: 3}\n", "{\"p\": 1, \"q\": 3}"},
    {"a: &x {p: 1}\nb: &y {p: 2, r: 2}\nk: {<<: [*x, *y]}\n", "{\"p\": 1, \"r\": 2}"},
    {"k: {<<: 1}\n", "!1 << merges a map, or a list of maps"},
    {"j: &x 1\nk: &x 2\n",
     "!2 an anchor that is there twice, or more than 1000 of them"},
    {"k: &x [*x]\n", "!1 an alias whose anchor is not known here"},
    {"j: 1\nk: *nope\n", "!2 an alias whose anchor is not known here"},
    {"j: 1\nk: [\n", "!3 did not find expected node content"},
    {"k: 1\n---\nk: 2\n", "!2 a second document"},
    {"# nothing\n", "!1 the file does not hold an object at its top"},
    {"- k\n", "!1 the file does not hold an object at its top"},
    {"", "!1 the file is empty"},
    {"k: \xff\n", "!0 the file is not UTF-8"},
    {"k: \"\\0x\"\n", ""}, /* cut by this test's snprintf at the NUL */
    {"\tk: 1\n", "!1 found character that cannot start any token"},
    {"j: 1\n", "-"},
};

static const sample json[] = {
    {"{\"k\": \"v\"}", "v"},
    {"{\"k\": \"\\u00e4\\n\"}", "\xc3\xa4\n"},
    {"{\"k\": 1.50}", "1.5"},
    {"{\"k\": 1e5}", "100000.0"},
    {"{\"k\": -0}", "0"},
    {"{\"k\": true}", "True"},
    {"{\"k\": null}", "-"},
    {"{\"k\": [\"v\"]}", "v"},
    {"{\"k\": [1, 2]}", "!0 k: it has more than one value"},
    {"{\"j\": [], \"k\": 1}", "!0 j: it has no value"},
    {"{\"k\": {\"a\": [1, {}]}}", "{\"a\": [1, {}]}"},
    {"{\"k\": 1, \"k\": 2}", "2"},
    {"{\"k\":\n 1,}", "!2 a member name in double quotes is expected here"},
    {"{\"k\": \"\\ud800\"}", "!1 a text with a lone half of a surrogate pair"},
    {"[1]", "!1 the file does not hold an object at its top"},
    {"", "!1 the file is empty"},
    {" \n", "!2 a value is expected here"},
};

static const sample env[] = {
    {"k=v", "v"},
    {"k= v ", " v "},
    {"k=\"v\"", "\"v\""},
    {"k=a=b", "a=b"},
    {"export k=v", "-"},
    {"  # x\n\n#y=\nk=v", "v"},
    {"a=1\rk=v\r\nb=2", "v"},
    {"a=1\x0bk=v\xe2\x80\xa8"
     "b=2",
     "v"},
    {"k=v\nj", "!2 there is no '=' in this line"},
    {"k=v\n  ", "!2 there is no '=' in this line"},
    {"k=", "!1 the value behind '=' is empty"},
    {"k=v\n=x", "!2 the key before '=' is empty"},
    {"k=v\nj=1\nj=2", "!0 j: it is there more than once"},
    {"", "-"},
    {"k=\xff", "!0 the file is not UTF-8"},
};

static const sample connections[] = {
    {"{\"k\": \"mysql://u:p@h/d\"}", "mysql://u:p@h/d"},
    {"{\"k\": [\"mysql://h\"]}", "mysql://h"},
    {"{\"j\": []}", "-"},
    {"{\"k\": []}", "-"},
    {"{\"k\": {\"conn_type\": \"http\", \"port\": 80, \"conn_id\": \"k\"}}",
     "{\"conn_type\": \"http\", \"port\": 80}"},
    {"{\"k\": {\"extra_dejson\": {\"a\": 1}}}", "{\"extra\": {\"a\": 1}}"},
    {"{\"k\": {\"extra\": \"{}\", \"extra_dejson\": {}}}",
     "!0 k: it has both extra and extra_dejson"},
    {"{\"k\": {\"conn_id\": \"j\"}}", "!0 k: its conn_id is not the key that it stands "
                                      "under"},
    {"{\"k\": \"x://\", \"j\": {\"user\": \"s3cret\"}}",
     "!0 j: it has a field that Airflow does not know"},
    {"{\"k\": 1}",
     "!0 k: this connection is neither a URI nor an object of its fields"},
    {"{\"k\": null}",
     "!0 k: this connection is neither a URI nor an object of its fields"},
    {"{\"k\": [\"a\", \"b\"]}", "!0 k: it has more than one value"},
    {"{\"k\": \" {}\"}",
     "!0 k: its JSON stands inside a text, which Airflow takes for a "
     "URI here: write it as an object"},
};

static void check_all(ml_local_format format, bool are_connections, const sample *s,
                      size_t n)
{
    char out[400];
    for (size_t i = 0; i < n; i++) {
        answer(format, are_connections, ml_str_of(s[i].text), "k", out);
        if (strcmp(out, s[i].value) == 0) continue;
        fail_msg("%s: %s, not %s", s[i].text, out, s[i].value);
    }
}

#define CHECK_ALL(format, are_connections, samples)                                    \
    check_all(format, are_connections, samples, sizeof(samples) / sizeof(*samples))

static void test_files(void **state)
{
    (void)state;
    CHECK_ALL(ML_LOCAL_YAML, false, yaml);
    CHECK_ALL(ML_LOCAL_JSON, false, json);
    CHECK_ALL(ML_LOCAL_ENV, false, env);
    CHECK_ALL(ML_LOCAL_JSON, true, connections);
    CHECK_ALL(ML_LOCAL_YAML, true, connections);
}

static void test_suffixes(void **state)
{
    (void)state;
    assert_int_equal(ml_local_format_of("/x/.env"), ML_LOCAL_ENV);
    assert_int_equal(ml_local_format_of("a.b.JSON"), ML_LOCAL_JSON);
    assert_int_equal(ml_local_format_of("a.yml"), ML_LOCAL_YAML);
    assert_int_equal(ml_local_format_of("a.Yaml"), ML_LOCAL_YAML);
    assert_int_equal(ml_local_format_of("env"), ML_LOCAL_UNKNOWN);
    assert_int_equal(ml_local_format_of("a.toml"), ML_LOCAL_UNKNOWN);
}

/* n times `open`, then whatever closes. */
static ml_str nested(ml_buf *b, const char *head, const char *open, int n)
{
    ml_buf_init(b, 64 * 1024 * 1024);
    ml_buf_add_text(b, head);
    for (int i = 0; i < n; i++) ml_buf_add_text(b, open);
    return ml_buf_str(b);
}

/* Each is refused in bounded time and memory. */
static void test_attacks(void **state)
{
    (void)state;
    ml_buf b;
    char out[400];
    answer(ML_LOCAL_JSON, false, nested(&b, "{\"k\":", "[", 100000), "k", out);
    assert_string_equal(out, "!1 nested too deeply");
    ml_buf_fini(&b);
    answer(ML_LOCAL_YAML, false, nested(&b, "k: ", "[", 100000), "k", out);
    assert_string_equal(out, "!1 nested too deeply");
    ml_buf_fini(&b);
    answer(ML_LOCAL_YAML, false, nested(&b, "k: ", "&a [1], ", 2000), "k", out);
    assert_int_equal(out[0], '!');
    ml_buf_fini(&b);
    answer(ML_LOCAL_JSON, false, nested(&b, "{\"k\": 1", ", \"k\": 1", 1000000), "j",
           out);
    assert_int_equal(out[0], '!');
    ml_buf_fini(&b);
}

/* "Billion laughs": each line holds the line before ten times. */
static void test_laughs(void **state)
{
    (void)state;
    ml_buf b;
    char out[400];
    ml_buf_init(&b, 0);
    ml_buf_add_text(&b, "a0: &a0 [lol, lol]\n");
    for (int i = 1; i < 30; i++) {
        ml_buf_addf(&b, "a%d: &a%d [[", i, i);
        for (int j = 0; j < 10; j++) ml_buf_addf(&b, "%s*a%d", j ? ", " : "", i - 1);
        ml_buf_add_text(&b, "]]\n");
    }
    answer(ML_LOCAL_YAML, true, ml_buf_str(&b), "a29", out);
    assert_int_equal(out[0], '!');
    ml_buf_clear(&b);
    ml_buf_add_text(&b, "a0: &a0 {k: v}\n");
    for (int i = 1; i < 30; i++) {
        ml_buf_addf(&b, "a%d: &a%d {x: *a%d, y: *a%d}\n", i, i, i - 1, i - 1);
    }
    answer(ML_LOCAL_YAML, false, ml_buf_str(&b), "a29", out);
    assert_string_equal(out, "!0 its value unfolds to too much, or has no JSON form");
    answer(ML_LOCAL_YAML, false, ml_buf_str(&b), "a0", out);
    assert_string_equal(out, "{\"k\": \"v\"}");
    ml_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_yaml_scalars), cmocka_unit_test(test_locale),
        cmocka_unit_test(test_files),        cmocka_unit_test(test_suffixes),
        cmocka_unit_test(test_attacks),      cmocka_unit_test(test_laughs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
