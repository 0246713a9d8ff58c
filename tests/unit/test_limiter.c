/* test_limiter.c - a service's budget: every transition at its time, and a crowd that
 * meets a vault with limits of its own. */
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

static ml_limiter_word ask(int64_t now_ms)
{
    return ml_limiter_ask(&l, now_ms, &epoch, &until_ms);
}

static void tell(uint32_t of, ml_heard heard, int server_ms, int64_t now_ms)
{
    ml_limiter_tell(&l, of, heard, server_ms, now_ms, 0);
}

static void go(int64_t now_ms)
{
    assert_int_equal(ask(now_ms), ML_LIMITER_GO);
}

/* One that goes and ends at once. */
static void once(ml_heard heard, int64_t now_ms)
{
    go(now_ms);
    tell(epoch, heard, 0, now_ms);
}

static void test_quota(void **state)
{
    (void)state;
    ml_limiter_init(&l, 10);
    for (int i = 0; i < 10; i++) once(ML_HEARD_GOOD, 1000 + 100 * i);
    assert_int_equal(ask(2000), ML_LIMITER_WAIT);
    assert_int_equal(until_ms, 11500); /* the slot that begins at 1000 */
    assert_int_equal(ask(11499), ML_LIMITER_WAIT);
    for (int i = 0; i < 5; i++) once(ML_HEARD_GOOD, 11500);
    assert_int_equal(ask(11500), ML_LIMITER_WAIT);
    assert_int_equal(until_ms, 12000);
    once(ML_HEARD_GOOD, 12000);
    once(ML_HEARD_GOOD, 1000000); /* a long sleep */
    assert_int_equal(l.n_spent, 1);
}

static void test_no_quota(void **state)
{
    (void)state;
    ml_limiter_init(&l, 0);
    for (int i = 0; i < 100000; i++) once(ML_HEARD_GOOD, 0);
    once(ML_HEARD_THROTTLED, 0); /* what the service says counts */
    assert_int_equal(ask(0), ML_LIMITER_WAIT);
}

static void test_width(void **state)
{
    (void)state;
    ml_limiter_init(&l, 0);
    for (int i = 0; i < ML_LIMITER_FIRST_WIDTH; i++) go(0);
    assert_int_equal(ask(0), ML_LIMITER_WAIT);
    assert_int_equal(until_ms, INT64_MAX); /* until an answer comes */
    tell(epoch, ML_HEARD_GOOD, 0, 5);
    go(5); /* two for one: it grows while there is no reason not to */
    go(5);
    assert_int_equal(ask(5), ML_LIMITER_WAIT);
    for (int i = 0; i < 100; i++) tell(l.epoch, ML_HEARD_NOTHING, 0, 5);
    assert_int_equal(l.width, ML_LIMITER_FIRST_WIDTH + 1); /* canceled: says nothing */
}

/* A lone caller never needs more; nothing grows for it. */
static void test_width_of_one(void **state)
{
    (void)state;
    ml_limiter_init(&l, 0);
    for (int i = 0; i < 1000; i++) once(ML_HEARD_GOOD, i);
    assert_int_equal(l.width, ML_LIMITER_FIRST_WIDTH);
}

static void test_throttled(void **state)
{
    (void)state;
    ml_limiter_init(&l, 4000);
    for (int i = 0; i < 64; i++) go(0);
    uint32_t before = epoch;
    tell(before, ML_HEARD_THROTTLED, 5000, 100);
    assert_int_equal(l.allowed, 2000);
    assert_int_equal(l.calm_width, 32);
    assert_int_equal(ml_limiter_paused_until(&l, 100), 5100);
    for (int i = 1; i < 64; i++) tell(before, ML_HEARD_THROTTLED, 9000, 110);
    assert_int_equal(l.allowed, 2000); /* the others of the same moment: one strike */
    assert_int_equal(l.pause_ms, 5100);
    assert_int_equal(ask(5099), ML_LIMITER_WAIT);
    assert_int_equal(until_ms, 5100);
    go(5100); /* one, to see */
    assert_int_equal(ask(5100), ML_LIMITER_WAIT);
    assert_int_equal(ml_limiter_paused_until(&l, 5100), 0);
    tell(epoch, ML_HEARD_THROTTLED, 0, 5110); /* not yet: halved once, and it waits */
    assert_true(l.allowed >= 2000);
    assert_int_equal(l.calm_width, 32);
    assert_in_range(l.pause_ms, 5111, 5110 + 2000);
    go(l.pause_ms);
    tell(epoch, ML_HEARD_GOOD, 0, 7200);
    assert_int_equal(l.strikes, 0);
    go(7200); /* 2, 4, 8 ... */
    go(7200);
    assert_int_equal(ask(7200), ML_LIMITER_WAIT);
    tell(epoch, ML_HEARD_GOOD, 0, 7210);
    tell(epoch, ML_HEARD_GOOD, 0, 7210);
    for (int i = 0; i < 4; i++) go(7210);
    assert_int_equal(ask(7210), ML_LIMITER_WAIT);
}

/* Slow start ends at what was calm; from there, one more a round. */
static void test_grows_slowly_beyond(void **state)
{
    (void)state;
    ml_limiter_init(&l, 0);
    l.width = l.calm_width = 8;
    for (int round = 0; round < 3; round++) {
        int width = l.width;
        for (int i = 0; i < width; i++) go(0);
        for (int i = 0; i < width; i++) tell(epoch, ML_HEARD_GOOD, 0, 0);
        assert_in_range(l.width, width, width + 1);
    }
    assert_in_range(l.width, 9, 11);
}

static void test_quota_recovers(void **state)
{
    (void)state;
    ml_limiter_init(&l, 4000);
    once(ML_HEARD_THROTTLED, 0);
    assert_int_equal(l.allowed, 2000);
    once(ML_HEARD_GOOD, 2000);
    assert_int_equal(l.allowed, 2400); /* a tenth in two seconds */
    once(ML_HEARD_GOOD, 10000);
    assert_int_equal(l.allowed, 4000);
    ml_limiter_init(&l, 3); /* fractions add up */
    once(ML_HEARD_THROTTLED, 0);
    assert_int_equal(l.allowed, 1);
    for (int64_t now = 1001; now < 20000; now += 7) ask(now);
    assert_int_equal(l.allowed, 3);
}

static void test_never_nothing(void **state)
{
    (void)state;
    ml_limiter_init(&l, 300);
    int64_t now_ms = 0;
    for (int i = 0; i < 200; i++) { /* good and throttled by turns */
        while (ask(now_ms) != ML_LIMITER_GO) now_ms = until_ms;
        tell(epoch, i % 2 ? ML_HEARD_GOOD : ML_HEARD_THROTTLED, 1, now_ms);
        assert_in_range(l.allowed, 3, 300);
        assert_in_range(l.width, 1, 64);
        now_ms += 1;
    }
    assert_in_range(now_ms, 0, 200 * 2000);
}

/* Nothing believes a Retry-After of days. */
static void test_pause_is_bounded(void **state)
{
    (void)state;
    ml_limiter_init(&l, 0);
    go(0);
    ml_limiter_tell(&l, epoch, ML_HEARD_THROTTLED, INT32_MAX, 0, UINT32_MAX);
    assert_in_range(l.pause_ms, 300000, 300000 * 9 / 8);
    ml_limiter_init(&l, 0);
    for (int i = 0; i < 40; i++) { /* without one: longer and longer, up to 16 s */
        int64_t now_ms = l.pause_ms;
        go(now_ms);
        ml_limiter_tell(&l, epoch, ML_HEARD_THROTTLED, 0, now_ms, 999);
        assert_in_range(l.pause_ms - now_ms, 1000, 1000);
    }
}

/* ---- the breaker ------------------------------------------------------------------
 */

static void test_breaks(void **state)
{
    (void)state;
    ml_limiter_init(&l, 0);
    for (int i = 0; i < 9; i++) once(ML_HEARD_OUTAGE, 1000 + 800 * i);
    assert_false(l.is_broken); /* six seconds, but nine rounds */
    once(ML_HEARD_OUTAGE, 8000);
    assert_true(l.is_broken);
    assert_int_equal(l.failing_ms, 1000);
    assert_in_range(l.probe_ms, 8000 + 3750, 8000 + 5000);
    int64_t probe_ms = l.probe_ms;
    assert_int_equal(ask(probe_ms - 1), ML_LIMITER_BROKEN);
    go(probe_ms);
    assert_int_equal(ask(probe_ms), ML_LIMITER_BROKEN); /* one at a time */
    tell(epoch, ML_HEARD_NOTHING, 0, probe_ms);         /* canceled: the next one */
    go(probe_ms);
    tell(epoch, ML_HEARD_OUTAGE, 0, probe_ms + 10);
    assert_in_range(l.probe_ms, probe_ms + 10 + 7500, probe_ms + 10 + 10000);
    for (int i = 0; i < 10; i++) once(ML_HEARD_OUTAGE, l.probe_ms);
    assert_int_equal(l.rest_ms, 60000);
    assert_int_equal(l.failing_ms, 1000);
    go(l.probe_ms);
    tell(epoch, ML_HEARD_GOOD, 0, l.probe_ms);
    assert_false(l.is_broken);
    go(l.probe_ms);
    go(l.probe_ms);
    assert_int_equal(ask(l.probe_ms), ML_LIMITER_WAIT); /* no stampede */
}

/* A hundred at once are one; and many within a moment are a moment. */
static void test_does_not_break_at_once(void **state)
{
    (void)state;
    ml_limiter_init(&l, 0);
    for (int i = 0; i < 60; i++) go(0);
    for (int i = 0; i < 60; i++) tell(0, ML_HEARD_OUTAGE, 0, 6000);
    assert_int_equal(l.rounds, 1);
    ml_limiter_init(&l, 0);
    for (int i = 0; i < 100; i++) once(ML_HEARD_OUTAGE, 40 * i);
    assert_false(l.is_broken);
    assert_int_equal(l.width, 4);
}

/* One good answer is proof of life; so is every 4xx, which gate and http report so. */
static void test_good_answers_keep_it_whole(void **state)
{
    (void)state;
    ml_limiter_init(&l, 0);
    for (int i = 0; i < 100; i++)
        once(i % 9 == 8 ? ML_HEARD_GOOD : ML_HEARD_OUTAGE, 10000 * i);
    assert_false(l.is_broken);
    for (int i = 0; i < 100; i++) {
        int64_t now_ms = 1000000 + 20000 * i;
        once(i % 9 == 8 ? ML_HEARD_THROTTLED : ML_HEARD_OUTAGE, now_ms);
        assert_false(l.is_broken);
    }
}

static void test_throttled_mends(void **state)
{
    (void)state;
    ml_limiter_init(&l, 0);
    for (int i = 0; i < 10; i++) once(ML_HEARD_OUTAGE, 2000 * i);
    assert_true(l.is_broken);
    once(ML_HEARD_THROTTLED, l.probe_ms); /* it lives */
    assert_false(l.is_broken);
    assert_int_equal(ask(l.pause_ms - 1), ML_LIMITER_WAIT);
    go(l.pause_ms);
}

/* The one that looks hangs: after ten seconds another one does. */
static void test_a_probe_that_hangs(void **state)
{
    (void)state;
    ml_limiter_init(&l, 0);
    go(0);
    tell(epoch, ML_HEARD_THROTTLED, 1000, 0);
    go(1000);
    assert_int_equal(ask(1001), ML_LIMITER_WAIT);
    assert_int_equal(until_ms, 11000);
    go(11000);
    assert_int_equal(ask(11001), ML_LIMITER_WAIT);
    tell(epoch, ML_HEARD_GOOD, 0, 11010);
    assert_false(l.is_probing);
    ml_limiter_init(&l, 0);
    for (int i = 0; i < 10; i++) once(ML_HEARD_OUTAGE, 2000 * i);
    int64_t probe_ms = l.probe_ms;
    go(probe_ms);
    assert_int_equal(ask(probe_ms + 9999), ML_LIMITER_BROKEN);
    go(probe_ms + 10000);
}

static void test_503_with_retry_after(void **state)
{
    (void)state;
    ml_limiter_init(&l, 0);
    go(0);
    tell(epoch, ML_HEARD_OUTAGE, 3000, 0);
    assert_int_equal(l.pause_status, 503);
    assert_int_equal(ask(2999), ML_LIMITER_WAIT);
    once(ML_HEARD_GOOD, 3000);
}

/* ---- a vault, and a crowd before it, in time that we make --------------------------
 */

enum { CROWD = 1000, RTT_MS = 20, END_MS = 200000 };

typedef struct world {
    int limit; /* of the vault itself, in 10 s; 0: none */
    int64_t throttles_until_ms;
    int retry_after_ms;
    int recent[END_MS / 10]; /* what it answered 200 to, per 10 ms */
    int sent, refused, most_in_window;
} world;

typedef struct flight {
    int64_t ends_ms;
    uint32_t epoch;
    ml_heard heard;
    bool is_on;
} flight;

static world w;
static flight flights[CROWD];

/* The same story for the same seed. */
static uint32_t random_state;

static uint32_t next_random(void)
{
    random_state = random_state * 1664525u + 1013904223u;
    return random_state >> 4;
}

static int in_window(int64_t now_ms)
{
    int n = 0;
    for (int64_t i = now_ms / 10 - 999; i <= now_ms / 10; i++)
        n += i < 0 ? 0 : w.recent[i];
    return n;
}

static ml_heard answer(int64_t now_ms)
{
    w.sent++;
    bool is_over = w.limit > 0 && in_window(now_ms) >= w.limit;
    if (now_ms < w.throttles_until_ms || is_over) {
        w.refused++;
        return ML_HEARD_THROTTLED;
    }
    w.recent[now_ms / 10]++;
    return ML_HEARD_GOOD;
}

/* Lets go who may, lands who is due; the milliseconds until all were served. */
static int64_t serve_crowd(int limit, int others_every_ms)
{
    int left = CROWD, waiting = CROWD;
    ml_limiter_init(&l, limit);
    memset(flights, 0, sizeof(flights));
    for (int64_t now_ms = 0; now_ms < END_MS; now_ms++) {
        if (others_every_ms && now_ms % others_every_ms == 0) answer(now_ms);
        for (int i = 0; i < CROWD; i++) {
            flight *f = &flights[i];
            if (!f->is_on || f->ends_ms > now_ms) continue;
            f->is_on = false;
            ml_limiter_tell(&l, f->epoch, f->heard, w.retry_after_ms, now_ms,
                            next_random());
            if (f->heard == ML_HEARD_GOOD && --left == 0) return now_ms;
            if (f->heard != ML_HEARD_GOOD) waiting++;
        }
        for (int i = 0; i < CROWD && waiting > 0; i++) {
            if (flights[i].is_on) continue;
            if (ask(now_ms) != ML_LIMITER_GO) break;
            flights[i] = (flight){now_ms + RTT_MS, epoch, answer(now_ms), true};
            waiting--;
        }
    }
    return -1;
}

/* The vault says 429 for five seconds: nobody is lost, next to nothing is sent twice.
 */
static void test_crowd_against_429(void **state)
{
    (void)state;
    static const int retry_after_ms[] = {0, 1000, 5000};
    for (unsigned seed = 1; seed <= 10; seed++) {
        for (size_t i = 0; i < 3; i++) {
            random_state = seed;
            w = (world){.throttles_until_ms = 5000,
                        .retry_after_ms = retry_after_ms[i]};
            int64_t took_ms = serve_crowd(4000, 0);
            assert_in_range(took_ms, 5000, 5000 + 16000);
            assert_in_range(w.sent, CROWD, CROWD + CROWD / 10);
        }
    }
}

/* Its limit is lower than documented, and others use it too: we come down to it, are
 * served, and few requests are for nothing. */
static void test_crowd_against_a_low_limit(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 5; seed++) {
        random_state = seed;
        w = (world){.limit = 400};
        int64_t took_ms = serve_crowd(4000, 100); /* 100 of the 400 are not ours */
        assert_in_range(took_ms, 20000, 150000);
        assert_in_range(w.refused, 1, (CROWD + took_ms / 100) / 4);
    }
}

/* Within the documented limit the service never has to say no. */
static void test_crowd_within_the_limit(void **state)
{
    (void)state;
    random_state = 1;
    w = (world){.limit = 300};
    assert_in_range(serve_crowd(300, 0), 30000, 40000);
    assert_int_equal(w.refused, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quota),
        cmocka_unit_test(test_no_quota),
        cmocka_unit_test(test_width),
        cmocka_unit_test(test_width_of_one),
        cmocka_unit_test(test_throttled),
        cmocka_unit_test(test_grows_slowly_beyond),
        cmocka_unit_test(test_quota_recovers),
        cmocka_unit_test(test_never_nothing),
        cmocka_unit_test(test_pause_is_bounded),
        cmocka_unit_test(test_breaks),
        cmocka_unit_test(test_does_not_break_at_once),
        cmocka_unit_test(test_good_answers_keep_it_whole),
        cmocka_unit_test(test_throttled_mends),
        cmocka_unit_test(test_a_probe_that_hangs),
        cmocka_unit_test(test_503_with_retry_after),
        cmocka_unit_test(test_crowd_against_429),
        cmocka_unit_test(test_crowd_against_a_low_limit),
        cmocka_unit_test(test_crowd_within_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
