/* test_limiter_state.c - the state of a budget that others have written: what of it is
 * believed, and how it looks with another limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "io/limiter.h"

static ml_limiter l;
static uint32_t epoch;
static int64_t until_ms;

static void test_another_limit(void **state)
{
    (void)state;
    ml_limiter_init(&l, 4000);
    assert_int_equal(ml_limiter_ask(&l, 0, &epoch, &until_ms), ML_LIMITER_GO);
    ml_limiter_tell(&l, epoch, ML_HEARD_THROTTLED, 0, 0, 0);
    ml_limiter_set_limit(&l, 100);
    assert_int_equal(l.allowed, 50);
    ml_limiter_set_limit(&l, 4000);
    assert_int_equal(l.allowed, 2000);
    ml_limiter_set_limit(&l, -1); /* none */
    assert_int_equal(l.limit, 0);
    assert_int_equal(l.allowed, 0);
    ml_limiter_set_limit(&l, INT32_MAX);
    assert_int_equal(l.allowed, INT32_MAX);
    assert_int_equal(l.n_spent, 1);
}

static void test_sanity(void **state)
{
    (void)state;
    assert_true(ml_limiter_is_sane(&l, 100000));
#define WRONG(field, value)                                                            \
    do {                                                                               \
        ml_limiter wrong = l;                                                          \
        wrong.field = (value);                                                         \
        assert_false(ml_limiter_is_sane(&wrong, 100000));                              \
    } while (0)
    ml_limiter_init(&l, 4000);
    WRONG(limit, -1);
    WRONG(allowed, 4001);
    WRONG(allowed, 0);
    WRONG(allowed_ms, INT64_MIN);
    WRONG(spent[3], 1);
    WRONG(n_spent, -1);
    WRONG(slot, -1);
    WRONG(slot, 1000000);
    WRONG(width, 0);
    WRONG(calm_width, ML_LIMITER_MAX_WIDTH + 1);
    WRONG(grown, -1);
    WRONG(strikes, INT32_MAX);
    WRONG(pause_ms, 100000 + 10 * 60 * 1000);
    WRONG(probed_ms, 200000);
    WRONG(probe_ms, 200000);
    WRONG(rounds, -1);
    WRONG(is_broken, true); /* and rests for no time */
#undef WRONG
    memset(&l.is_probing, 2, 1);
    assert_false(ml_limiter_is_sane(&l, 100000));
    memset(&l.is_probing, 0, 1);
}

/* Whatever happens to it, it is never taken for damaged. */
static void test_always_sane(void **state)
{
    (void)state;
    uint32_t seed = 1, epochs[64];
    int n = 0;
    int64_t now_ms = 0;
    for (int i = 0; i < 200000; i++) {
        if (i % 10000 == 0) {
            ml_limiter_init(&l, i % 20000 ? 0 : 50);
            n = 0;
        }
        seed = seed * 1664525 + 1013904223;
        now_ms += (seed >> 8) % 300;
        if ((seed & 64) && n < 64 &&
            ml_limiter_ask(&l, now_ms, &epoch, &until_ms) == ML_LIMITER_GO)
            epochs[n++] = epoch;
        if (!(seed & 64) && n > 0) {
            ml_heard heard = (ml_heard)((seed >> 24) % 4);
            int server_ms = seed & 128 ? (int)(seed >> 4) : 0;
            ml_limiter_tell(&l, epochs[--n], heard, server_ms, now_ms, seed);
        }
        assert_true(ml_limiter_is_sane(&l, now_ms));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_another_limit),
        cmocka_unit_test(test_sanity),
        cmocka_unit_test(test_always_sane),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
