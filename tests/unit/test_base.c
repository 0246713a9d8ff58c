/* test_base.c - strings, buffers, secrets, errors: the ground everything stands on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"
#include "base/trace.h"

/* Growing keeps the content and the NUL; past max the buffer fails and stays failed. */
static void test_buf_grows_and_stops(void **state)
{
    (void)state;
    ml_buf b;
    ml_buf_init(&b, 1000);
    for (int i = 0; i < 100; i++) ml_buf_add_text(&b, "0123456789");
    assert_true(ml_buf_ok(&b));
    assert_int_equal(b.len, 1000);
    assert_int_equal(b.data[1000], '\0');
    ml_buf_add_char(&b, 'x');
    assert_false(ml_buf_ok(&b));
    assert_int_equal(b.len, 1000);
    ml_buf_clear(&b);
    ml_buf_addf(&b, "%d-%s", 7, "y");
    assert_true(ml_buf_ok(&b));
    assert_string_equal(b.data, "7-y");
    ml_buf_fini(&b);
    assert_null(b.data);
}

/* A buffer that is cleared leaves no byte of what it held. */
static void test_buf_clear_scrubs(void **state)
{
    (void)state;
    ml_buf b;
    ml_buf_init(&b, 0);
    ml_buf_add_text(&b, "canary-4711");
    ml_buf_clear(&b);
    for (size_t i = 0; i < b.cap; i++) assert_int_equal(b.data[i], 0);
    ml_buf_fini(&b);
}

/* A secret keeps every field, shares by count, and copies what it was made from. */
static void test_secret_keeps_fields(void **state)
{
    (void)state;
    char value[] = "a\0b";
    ml_tag tags[] = {{ML_LIT("env"), ML_LIT("prod")}, {ML_LIT("empty"), ML_LIT("")}};
    ml_secret *s = ml_secret_new(
        &(ml_secret_fields){.has_value = true,
                            .value = {value, 3},
                            .key = ML_LIT("k"),
                            .version = ML_LIT("v1"),
                            .content_type = ML_LIT("text/plain"),
                            .tags = tags,
                            .n_tags = 2,
                            .attributes = {.enabled = true, .created_s = 5}});
    assert_non_null(s);
    memset(value, 'x', sizeof(value));
    size_t n = 0;
    assert_memory_equal(ml_secret_data(s, &n), "a\0b", 3);
    assert_int_equal(n, 3);
    assert_string_equal(ml_secret_tag(s, "env"), "prod");
    assert_string_equal(ml_secret_tag(s, "empty"), "");
    assert_null(ml_secret_tag(s, "Env"));
    assert_string_equal(ml_secret_content_type(s), "text/plain");
    assert_int_equal(ml_secret_attributes(s).created_s, 5);
    assert_ptr_equal(ml_secret_ref(s), s);
    ml_secret_unref(s);
    assert_string_equal(ml_secret_key(s), "k");
    ml_secret_unref(s);
    ml_secret_unref(NULL);
}

/* Metadata without a value answers NULL, which is not the same as an empty value. */
static void test_secret_without_value(void **state)
{
    (void)state;
    size_t n = 9;
    ml_secret *meta = ml_secret_new(&(ml_secret_fields){.key = ML_LIT("k")});
    assert_null(ml_secret_data(meta, &n));
    assert_int_equal(n, 0);
    ml_secret *empty = ml_secret_of_bytes(ML_LIT(""));
    assert_non_null(ml_secret_data(empty, &n));
    assert_int_equal(n, 0);
    ml_secret_unref(meta);
    ml_secret_unref(empty);
}

static void test_utf8(void **state)
{
    (void)state;
    const char *good[] = {"",
                          "plain",
                          "\xc3\xa4",
                          "\xe2\x82\xac",
                          "\xf0\x9f\x8c\x99",
                          "\xed\x9f\xbf",
                          "\xf4\x8f\xbf\xbf"};
    const char *bad[] = {"\x80",         "\xc0\x80",         "\xc3", "\xe0\x80\x80",
                         "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff", "a\xe2\x82"};
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        assert_true(ml_utf8_valid(ml_str_of(good[i])));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        assert_false(ml_utf8_valid(ml_str_of(bad[i])));
    }
}

static void test_numbers(void **state)
{
    (void)state;
    uint64_t v = 42;
    assert_true(ml_str_to_u64(ML_LIT("18446744073709551615"), &v));
    assert_true(v == UINT64_MAX);
    assert_false(ml_str_to_u64(ML_LIT("18446744073709551616"), &v));
    assert_false(ml_str_to_u64(ML_LIT(""), &v));
    assert_false(ml_str_to_u64(ML_LIT("-1"), &v));
    assert_false(ml_str_to_u64(ML_LIT("1 "), &v));
}

/* Every code has its own word, and the word leads back to the code. */
static void test_codes(void **state)
{
    (void)state;
    for (int code = ML_OK; code > ML_CODE_LAST; code--) {
        assert_int_equal(ml_code_of_name(ml_code_name(code)), code);
        assert_true(strlen(ml_strerror(code)) > 0);
    }
    assert_string_equal(ml_outcome(ML_EUSAGE), "invalid");
    ml_err e = {0};
    assert_int_equal(ml_fail(&e, ML_EPOLICY, "line %d", 3), ML_EPOLICY);
    assert_string_equal(e.text, "line 3");
    assert_int_equal(ml_fail(NULL, ML_EPOLICY, "ignored"), ML_EPOLICY);
}

typedef struct has_err {
    int before[7];
    ml_err err;
    char behind[40];
} has_err;

static bool is_zero(const void *p, size_t n)
{
    static const char zero[sizeof(has_err)];
    return memcmp(p, zero, n) == 0;
}

/* What is not written of an error's memory may be anything. */
static has_err *spoil_the_rest(has_err *h)
{
    char *const texts[] = {h->err.source, h->err.key, h->err.service_code,
                           h->err.request_id, h->err.text};
    const size_t sizes[] = {sizeof(h->err.source), sizeof(h->err.key),
                            sizeof(h->err.service_code), sizeof(h->err.request_id),
                            sizeof(h->err.text)};
    for (int i = 0; i < 5; i++) {
        size_t n = strlen(texts[i]) + 1;
        memset(texts[i] + n, 0xa5, sizes[i] - n);
    }
    return h;
}

static void test_err_is_empty(void **state)
{
    (void)state;
    has_err *h = spoil_the_rest(ml_alloc_with_err(sizeof(*h), offsetof(has_err, err)));
    ml_err e;
    assert_true(is_zero(h->before, sizeof(h->before)));
    assert_true(is_zero(h->behind, sizeof(h->behind)));
    memset(&e, 0x5a, sizeof(e));
    ml_err_copy(&e, &h->err);
    assert_true(is_zero(&e, sizeof(e)));
    free(h);
}

/* To the last byte of each string, and nothing of what was behind it. */
static void test_err_copy(void **state)
{
    (void)state;
    has_err *h = ml_alloc_with_err(sizeof(*h), offsetof(has_err, err));
    ml_err want = {-3, 429, 1500, "prod", "", "SecretDisabled", "r-1", "line 3"};
    ml_err e;
    memset(want.key, 'k', sizeof(want.key) - 1);
    h->err = want;
    spoil_the_rest(h);
    memset(&e, 0x5a, sizeof(e));
    ml_err_copy(&e, &h->err);
    assert_memory_equal(&e, &want, sizeof(e));
    free(h);
}

static void test_copy_printable(void **state)
{
    (void)state;
    char out[6];
    ml_copy_printable(out, sizeof(out), "a\nb\x1b[31m", 8);
    assert_string_equal(out, "a?b?[");
}

static int64_t fixed_ms(void *arg)
{
    return *(int64_t *)arg;
}

/* A trace is bounded: what does not fit is counted, not lost silently. */
static void test_trace_is_bounded(void **state)
{
    (void)state;
    int64_t now = 100;
    ml_clock clock = {fixed_ms, fixed_ms, &now};
    ml_trace t;
    ml_trace_init(&t, &clock);
    now = 107;
    for (int i = 0; i < ML_TRACE_MAX + 5; i++) ml_trace_add(&t, "http", "try %d", i);
    assert_int_equal(t.n, ML_TRACE_MAX);
    assert_int_equal(t.dropped, 5);
    assert_int_equal(t.events[0].at_ms, 7);
    assert_string_equal(t.events[63].text, "try 63");
    ml_trace_fini(&t);
    ml_trace_add(NULL, "http", "nobody asked");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buf_grows_and_stops),
        cmocka_unit_test(test_buf_clear_scrubs),
        cmocka_unit_test(test_secret_keeps_fields),
        cmocka_unit_test(test_secret_without_value),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_codes),
        cmocka_unit_test(test_err_is_empty),
        cmocka_unit_test(test_err_copy),
        cmocka_unit_test(test_copy_printable),
        cmocka_unit_test(test_trace_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
