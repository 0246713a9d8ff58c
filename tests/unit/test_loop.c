/* test_loop.c - timers, ops and wake-ups: done exactly once, never from inside start.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <poll.h>

#include "base/clock.h"
#include "io/loop.h"
#include "io/timers.h"

static int64_t now_ms;

static int64_t fake_now(void *arg)
{
    (void)arg;
    return now_ms;
}

static const ml_clock fake_clock = {fake_now, fake_now, NULL};

static ml_loop *new_loop(void)
{
    now_ms = 1000;
    ml_err e = {0};
    ml_loop *l = ml_loop_new(&fake_clock, NULL, &e);
    assert_non_null(l);
    return l;
}

static void note_time(ml_timer *t, void *arg)
{
    int64_t *last = arg;
    assert_true(t->at_ms >= *last);
    *last = t->at_ms;
}

/* The heap gives timers in order of time, whatever the order of coming and going. */
static void test_timers_are_ordered(void **state)
{
    (void)state;
    enum { N = 500 };
    static ml_timer timers[N];
    ml_timers h = {0};
    uint32_t seed = 7;
    for (int i = 0; i < N; i++) {
        seed = seed * 1664525u + 1013904223u;
        timers[i].at_ms = seed % 1000;
        ml_timers_add(&h, &timers[i]);
    }
    for (int i = 0; i < N; i += 3) ml_timers_remove(&h, &timers[i]);
    int64_t last = -1;
    int seen = 0;
    for (ml_timer *t; (t = ml_timers_first(&h)); seen++) {
        assert_true(t->at_ms >= last);
        last = t->at_ms;
        ml_timers_remove(&h, t);
    }
    assert_int_equal(seen, N - (N + 2) / 3);
}

static void test_due_timers_run(void **state)
{
    (void)state;
    ml_loop *l = new_loop();
    int64_t last = 0;
    ml_timer a = {0}, b = {0}, c = {0};
    ml_timer_start(l, &a, 1030, note_time, &last);
    ml_timer_start(l, &b, 1010, note_time, &last);
    ml_timer_start(l, &c, 1020, note_time, &last);
    assert_int_equal(ml_loop_next_ms(l), 10);
    ml_timer_stop(l, &c);
    now_ms = 1029;
    ml_loop_turn(l);
    assert_int_equal(last, 1010);
    now_ms = 1031;
    ml_loop_turn(l);
    assert_int_equal(last, 1030);
    assert_int_equal(ml_loop_next_ms(l), -1);
    ml_loop_free(l);
}

/* Starting one that runs moves it, whatever stands below it. */
static void test_a_timer_starts_again(void **state)
{
    (void)state;
    ml_loop *l = new_loop();
    int64_t last = 0;
    ml_timer a = {0}, b = {0};
    ml_timer_start(l, &a, 1010, note_time, &last);
    ml_timer_start(l, &b, 1020, note_time, &last);
    ml_timer_start(l, &a, 1030, note_time, &last);
    now_ms = 1015;
    ml_loop_turn(l);
    assert_int_equal(last, 0);
    now_ms = 1030;
    ml_loop_turn(l);
    assert_int_equal(last, 1030);
    assert_int_equal(ml_loop_next_ms(l), -1);
    ml_loop_free(l);
}

/* A turn that comes late is noted; one that has nothing to be late for is not. */
static void test_lag(void **state)
{
    (void)state;
    ml_loop *l = new_loop();
    int64_t last = 0;
    ml_timer a = {0};
    now_ms = 90000;
    ml_loop_turn(l);
    ml_timer_start(l, &a, 100000, note_time, &last);
    now_ms = 100499;
    ml_loop_turn(l);
    assert_int_equal(last, 100000);
    assert_int_equal(ml_loop_lagged_ms(l), 0);
    ml_timer_start(l, &a, 110000, note_time, &last);
    now_ms = 110500;
    ml_loop_turn(l);
    now_ms = 120000;
    ml_loop_turn(l);
    assert_int_equal(ml_loop_lagged_ms(l), 110500);
    ml_loop_free(l);
}

typedef struct probe {
    ml_op op;
    int *destroyed;
} probe;

static void probe_cancel(ml_op *op)
{
    ml_op_fail(op, ML_ECANCELED, "canceled");
}

static void probe_destroy(ml_op *op)
{
    ++*((probe *)op)->destroyed;
    ml_op_fini(op);
    free(op);
}

static void count_done(ml_op *op, void *arg)
{
    (void)op;
    ++*(int *)arg;
}

static probe *new_probe(ml_loop *l, int *done, int *destroyed)
{
    probe *p = calloc(1, sizeof(*p));
    ml_op_init(&p->op, l, probe_cancel, probe_destroy);
    p->op.done = count_done;
    p->op.arg = done;
    p->destroyed = destroyed;
    return p;
}

/* Finishing only queues; the turn reports, once, and destroys. */
static void test_done_comes_from_the_turn(void **state)
{
    (void)state;
    ml_loop *l = new_loop();
    int done = 0, destroyed = 0;
    probe *p = new_probe(l, &done, &destroyed);
    ml_op_finish(&p->op);
    ml_op_cancel(&p->op); /* too late, does nothing */
    assert_int_equal(done, 0);
    struct pollfd watch = {.fd = ml_loop_fd(l), .events = POLLIN};
    assert_int_equal(poll(&watch, 1, 0), 1);
    ml_loop_turn(l);
    assert_int_equal(done, 1);
    assert_int_equal(destroyed, 1);
    assert_int_equal(poll(&watch, 1, 0), 0);
    ml_loop_free(l);
}

/* Freeing the loop ends what is under way, each op once. */
static void test_free_cancels(void **state)
{
    (void)state;
    ml_loop *l = new_loop();
    int done = 0, destroyed = 0;
    for (int i = 0; i < 10; i++) new_probe(l, &done, &destroyed);
    ml_loop_free(l);
    assert_int_equal(done, 10);
    assert_int_equal(destroyed, 10);
}

static void test_wake_makes_readable(void **state)
{
    (void)state;
    ml_loop *l = new_loop();
    struct pollfd watch = {.fd = ml_loop_fd(l), .events = POLLIN};
    assert_int_equal(poll(&watch, 1, 0), 0);
    ml_loop_wake(l);
    assert_int_equal(poll(&watch, 1, 0), 1);
    ml_loop_turn(l);
    assert_int_equal(poll(&watch, 1, 0), 0);
    ml_loop_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timers_are_ordered),
        cmocka_unit_test(test_due_timers_run),
        cmocka_unit_test(test_a_timer_starts_again),
        cmocka_unit_test(test_lag),
        cmocka_unit_test(test_done_comes_from_the_turn),
        cmocka_unit_test(test_free_cancels),
        cmocka_unit_test(test_wake_makes_readable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
