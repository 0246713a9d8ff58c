/* test_meter.c - what is measured: series, their text, and who stands where in a trace.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/meter.h"
#include "io/span.h"

static ml_buf text;

static void note(ml_meter *m, const char *source, double seconds)
{
    ml_meter_note(m, ML_METRIC_SOURCE, (const char *const[]){"get", source, NULL},
                  seconds);
}

static void write_all(const ml_meter *m)
{
    ml_buf_fini(&text);
    ml_buf_init(&text, 4 << 20);
    ml_meter_write(m, &text);
    assert_true(ml_buf_ok(&text));
}

static bool has(const char *part)
{
    return text.data && strstr(text.data, part);
}

static void test_off(void **state)
{
    (void)state;
    ml_meter m = {0};
    assert_false(ml_meter_is_on(NULL));
    assert_false(ml_meter_is_on(&m));
    note(&m, "kv", 1);
    assert_int_equal(m.n_series, 0);
    write_all(&m);
    assert_int_equal(text.len, 0);
}

static void test_histogram(void **state)
{
    (void)state;
    ml_meter m = {.keeps = true};
    note(&m, "kv", 0);
    note(&m, "kv", 0.05); /* a bound belongs to its bucket */
    note(&m, "kv", 0.051);
    note(&m, "kv", 99);
    write_all(&m);
    static const char head[] =
        "# HELP moonlatch_source_seconds What calls waited for a source, or what is "
        "kept of it.\n# TYPE moonlatch_source_seconds histogram\n";
    assert_memory_equal(text.data, head, strlen(head));
#define LABELS "{verb=\"get\",source=\"kv\",outcome=\"\""
    assert_true(has("moonlatch_source_seconds_bucket" LABELS ",le=\"0.001\"} 1\n"));
    assert_true(has("moonlatch_source_seconds_bucket" LABELS ",le=\"0.050\"} 2\n"));
    assert_true(has("moonlatch_source_seconds_bucket" LABELS ",le=\"0.100\"} 3\n"));
    assert_true(has("moonlatch_source_seconds_bucket" LABELS ",le=\"30.000\"} 3\n"));
    assert_true(has("moonlatch_source_seconds_bucket" LABELS ",le=\"+Inf\"} 4\n"));
    assert_true(has("moonlatch_source_seconds_sum" LABELS "} 99.101\n"));
    assert_true(has("moonlatch_source_seconds_count" LABELS "} 4\n"));
    ml_meter_fini(&m);
}

static void test_label_values_are_quoted(void **state)
{
    (void)state;
    ml_meter m = {.keeps = true};
    note(&m, "a\"b\\c\nd", 1);
    write_all(&m);
    assert_true(has("source=\"a\\\"b\\\\c\\nd\""));
    note(&m, "caf\xc3\xa9", 1);
    note(&m, "caf\xe9", 1);
    write_all(&m);
    assert_true(has("source=\"caf\xc3\xa9\""));
    assert_true(has("source=\"caf\xef\xbf\xbd\""));
    assert_true(ml_utf8_valid((ml_str){text.data, text.len}));
    ml_meter_fini(&m);
}

/* However many labels somebody invents, memory is bounded, and no observation lost. */
static void test_many_series(void **state)
{
    (void)state;
    ml_meter m = {.keeps = true};
    char source[24];
    for (int i = 0; i < 1500; i++) {
        snprintf(source, sizeof(source), "s%d", i);
        note(&m, source, 0);
    }
    assert_int_equal(m.n_series, 1001);
    write_all(&m);
    assert_true(has("_count{verb=\"\",source=\"\",outcome=\"\"} 500\n"));
    assert_true(has("_count{verb=\"get\",source=\"s999\",outcome=\"\"} 1\n"));
    ml_meter_fini(&m);
}

static void test_traceparents(void **state)
{
    (void)state;
    ml_span_at at;
    char out[ML_TRACEPARENT_BYTES];
    static const char good[] =
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    assert_true(ml_span_parse(&at, good));
    ml_span_write(&at, out);
    assert_string_equal(out, good);
    static const char *const bad[] = {
        NULL,
        "",
        "00",
        "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nX: y",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(ml_span_parse(&at, bad[i]));
        assert_string_equal(at.trace_id, "");
        assert_string_equal(at.span_id, "");
    }
}

static void test_children(void **state)
{
    (void)state;
    ml_err e;
    ml_loop *l = ml_loop_new(&ml_system_clock, NULL, &e);
    assert_non_null(l);
    ml_span_at none = {0}, root, child, parsed;
    char out[ML_TRACEPARENT_BYTES];
    ml_span facts = {.what = "call"};
    assert_false(ml_span_is_on(l, &none));
    ml_span_begin(l, &none, &root, &facts);
    assert_true(ml_span_is_on(l, &root));
    ml_span_begin(l, &root, &child, &facts);
    assert_string_equal(child.trace_id, root.trace_id);
    assert_string_not_equal(child.span_id, root.span_id);
    assert_string_equal(child.flags, "01");
    ml_span_write(&child, out);
    assert_true(ml_span_parse(&parsed, out));
    ml_span_end(l, &root, &child, &facts);
    ml_loop_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_off),
        cmocka_unit_test(test_histogram),
        cmocka_unit_test(test_label_values_are_quoted),
        cmocka_unit_test(test_many_series),
        cmocka_unit_test(test_traceparents),
        cmocka_unit_test(test_children),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ml_buf_fini(&text);
    return failed;
}
