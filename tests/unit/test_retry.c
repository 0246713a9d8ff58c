/* test_retry.c - when to try again, and what the service's headers ask for. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "io/retry.h"

static const ml_retry four = {.max_attempts = 4, .base_ms = 1000, .cap_ms = 16000};
enum { LONG_MS = 1000000 };

static void test_transient(void **state)
{
    (void)state;
    static const int yes[] = {408, 429, 500, 502, 503, 504};
    static const int no[] = {0,   200, 204, 301, 400, 401, 403,
                             404, 409, 410, 501, 505, -1};
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        assert_true(ml_retry_is_transient(yes[i]));
    }
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        assert_false(ml_retry_is_transient(no[i]));
    }
}

/* Delays lie in 1..min(cap, base * 2^(attempt-1)), and reach both ends. */
static void test_backoff_bounds(void **state)
{
    (void)state;
    const ml_retry r = {.max_attempts = 0, .base_ms = 1000, .cap_ms = 16000};
    static const int tops[] = {1000, 2000, 4000, 8000, 16000, 16000};
    for (int attempt = 1; attempt <= 6; attempt++) {
        int top = tops[attempt - 1];
        assert_int_equal(ml_retry_next(&r, attempt, 503, 0, LONG_MS, 0), 1);
        assert_int_equal(ml_retry_next(&r, attempt, 503, 0, LONG_MS, (uint32_t)top - 1),
                         top);
        for (uint32_t random = 0; random < UINT32_MAX - 99999989; random += 99999989) {
            int wait = ml_retry_next(&r, attempt, 503, 0, LONG_MS, random);
            assert_in_range(wait, 1, top);
        }
    }
    /* far out, nothing overflows */
    assert_in_range(ml_retry_next(&r, INT_MAX, 503, 0, LONG_MS, UINT32_MAX), 1, 16000);
    assert_in_range(ml_retry_next(&r, 32, 503, 0, LONG_MS, UINT32_MAX), 1, 16000);
}

/* Settings of zero, or a cap below the base, are survived. */
static void test_odd_settings(void **state)
{
    (void)state;
    const ml_retry zero = {0};
    assert_int_equal(ml_retry_next(&zero, 9, 503, 0, LONG_MS, 12345), 1);
    const ml_retry low_cap = {.base_ms = 1000, .cap_ms = 10};
    assert_in_range(ml_retry_next(&low_cap, 1, 503, 0, LONG_MS, 12345), 1, 10);
    const ml_retry huge = {.base_ms = INT_MAX, .cap_ms = INT_MAX};
    assert_in_range(ml_retry_next(&huge, 31, 503, 0, INT64_MAX, UINT32_MAX), 1,
                    INT_MAX);
}

static void test_next(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        int attempt, status, server_ms;
        int64_t left_ms;
        int want;
    } rows[] = {
        {"no answer is tried again", 1, 0, 0, LONG_MS, 1},
        {"a refusal is not", 1, 401, 0, LONG_MS, ML_RETRY_STOP},
        {"nor a refusal with Retry-After", 1, 403, 5, LONG_MS, ML_RETRY_STOP},
        {"nor a success", 1, 200, 0, LONG_MS, ML_RETRY_STOP},
        {"the last try", 3, 503, 0, LONG_MS, 1},
        {"no more tries", 4, 503, 0, LONG_MS, ML_RETRY_STOP},
        {"far past the tries", 99, 503, 0, LONG_MS, ML_RETRY_STOP},
        {"the service's wish is a lower bound", 1, 429, 7000, LONG_MS, 7000},
        {"a wish past the deadline stops at once", 1, 429, 7000, 7000, ML_RETRY_STOP},
        {"a wish just before it does not", 1, 429, 7000, 7001, 7000},
        {"no time is left", 1, 503, 0, 1, ML_RETRY_STOP},
        {"the deadline is over", 1, 503, 0, -5, ML_RETRY_STOP},
        {"a negative wish is none", 1, 503, -7, LONG_MS, 1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int got = ml_retry_next(&four, rows[i].attempt, rows[i].status,
                                rows[i].server_ms, rows[i].left_ms, 0);
        if (got != rows[i].want) fail_msg("%s: %d", rows[i].what, got);
    }
    /* a longer delay of our own beats a shorter wish */
    assert_int_equal(ml_retry_next(&four, 3, 429, 100, LONG_MS, 3999), 4000);
}

/* 1994-11-06 08:49:37 UTC, the date of RFC 9110's example. */
static const int64_t example_s = 784111777;

static void test_headers(void **state)
{
    (void)state;
    static const struct {
        const char *ms, *x_ms, *after;
        int64_t wall_s;
        int want;
    } rows[] = {
        {"", "", "", 0, 0},
        {"250", "500", "7", 0, 250},
        {"", "500", "7", 0, 500},
        {"", "", "7", 0, 7000},
        {"", "", " 7\t", 0, 7000},
        {"soon", "-1", "7", 0, 7000},
        {"1.5", "", "", 0, 0},
        {"0", "", "3", 0, 3000},
        {"99999999999999999999", "", "3", 0, 3000},
        {"2147483647", "", "", 0, INT_MAX},
        {"2147483648", "", "", 0, INT_MAX}, /* longer than we count: still not soon */
        {"", "", "0", 0, 0},
        {"", "", "-7", 0, 0},
        {"", "", "+7", 0, 0},
        {"", "", "7s", 0, 0},
        {"", "", "7.5", 0, 0},
        {"", "", "0x10", 0, 0},
        {"", "", "2147483", 0, 2147483000},
        {"", "", "2147484", 0, INT_MAX},
        {"", "", "18446744073709551616", 0, 0},
        {"", "", "Sun, 06 Nov 1994 08:49:37 GMT", 784111767, 10000},
        {"", "", "Sun, 06 Nov 1994 08:49:37 GMT", 784111777, 0},
        {"", "", "Sun, 06 Nov 1994 08:49:37 GMT", 784111778, 0},
        {"", "", "Sun, 06 Nov 1994 08:49:37 GMT", 0,
         784111777 > INT_MAX / 1000 ? 0 : 1},
        {"", "", "Sun, 06 Nov 1994 08:49:37 GMT", -5, 0},
        {"", "", "Thu, 29 Feb 2024 00:00:00 GMT", 1709164799, 1000},
        {"", "", "Wed, 29 Feb 2023 00:00:00 GMT", 1677628799, 0},
        {"", "", "Fri, 29 Feb 2100 00:00:00 GMT", 4107542399, 0},
        {"", "", "Tue, 29 Feb 2000 12:00:00 GMT", 951825599, 1000},
        {"", "", "Fri, 31 Dec 9999 23:59:59 GMT", 253402300798, 1000},
        {"", "", "Thu, 01 Jan 1970 00:00:09 GMT", 0, 9000},
        {"", "", "Wed, 31 Dec 1969 23:59:59 GMT", 0, 0},
        {"", "", "Sun, 06 Nov 1994 08:49:37 UTC", 784111767, 0},
        {"", "", "Sun, 06 nov 1994 08:49:37 GMT", 784111767, 0},
        {"", "", "Xyz, 06 Nov 1994 08:49:37 GMT", 784111767, 0},
        {"", "", "Sun, 00 Nov 1994 08:49:37 GMT", 784111767, 0},
        {"", "", "Sun, 31 Nov 1994 08:49:37 GMT", 784111767, 0},
        {"", "", "Sun, 06 Nov 1994 24:00:00 GMT", 784111767, 0},
        {"", "", "Sun, 06 Nov 1994 08:60:00 GMT", 784111767, 0},
        {"", "", "Sun, 06 Nov 1994 08:49:61 GMT", 784111767, 0},
        {"", "", "Sun, 6 Nov 1994 08:49:37 GMT", 784111767, 0},
        {"", "", "Sun, -6 Nov 1994 08:49:37 GMT", 784111767, 0},
        {"", "", "Sunday, 06-Nov-94 08:49:37 GMT", 784111767, 0},
        {"", "", "Sun Nov  6 08:49:37 1994", 784111767, 0},
        {"", "", "Sun, 06 Nov 1994 08:49:37 GMTx", 784111767, 0},
        {"", "", "Sun, 06 Nov 1994 08:49:37", 784111767, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int got = ml_retry_after_ms(ml_str_of(rows[i].ms), ml_str_of(rows[i].x_ms),
                                    ml_str_of(rows[i].after), rows[i].wall_s);
        if (got != rows[i].want) {
            fail_msg("'%s' '%s' '%s': %d", rows[i].ms, rows[i].x_ms, rows[i].after,
                     got);
        }
    }
    /* empty views need no address */
    assert_int_equal(
        ml_retry_after_ms((ml_str){0}, (ml_str){0}, (ml_str){0}, example_s), 0);
}

/* A length that the header does not have is not read past. */
static void test_date_is_bounded(void **state)
{
    (void)state;
    static const char text[] = "Sun, 06 Nov 1994 08:49:37 GMT";
    for (size_t n = 0; n < sizeof(text) - 1; n++) {
        ml_str cut = {text, n};
        assert_int_equal(ml_retry_after_ms((ml_str){0}, (ml_str){0}, cut, 784111767),
                         0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transient),    cmocka_unit_test(test_backoff_bounds),
        cmocka_unit_test(test_odd_settings), cmocka_unit_test(test_next),
        cmocka_unit_test(test_headers),      cmocka_unit_test(test_date_is_bounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
