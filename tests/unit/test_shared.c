/* test_shared.c - one limiter for several handles: what is shared, and what comes
 * back from the dead; the clock is the test's. */
#include "shared_fixture.h"

#include <signal.h>
#include <sys/wait.h>

/* ---- what is shared ---------------------------------------------------------------
 */

static void test_quota(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        assert_int_equal(ask(&a), ML_LIMITER_GO);
        tell(&a, ML_HEARD_GOOD, 0);
        assert_int_equal(ask(&b), ML_LIMITER_GO);
        tell(&b, ML_HEARD_GOOD, 0);
    }
    assert_int_equal(ask(&a), ML_LIMITER_WAIT);
    assert_int_equal(ask(&b), ML_LIMITER_WAIT);
    assert_int_equal(b.until_ms, now_ms + 10500);
    join(&c, 100); /* who comes later finds it used up */
    assert_int_equal(ask(&c), ML_LIMITER_WAIT);
    quit(&c);
    now_ms += 10500;
    assert_int_equal(ask(&b), ML_LIMITER_GO);
    tell(&b, ML_HEARD_GOOD, 0);
}

/* Each counts the requests of all against a limit of its own. */
static void test_own_limits(void **state)
{
    (void)state;
    join(&c, 10);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(ask(&a), ML_LIMITER_GO);
        tell(&a, ML_HEARD_GOOD, 0);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(ask(&c), ML_LIMITER_GO);
        tell(&c, ML_HEARD_GOOD, 0);
    }
    assert_int_equal(ask(&c), ML_LIMITER_WAIT);
    give_up(&c);
    for (int i = 0; i < 90; i++) {
        assert_int_equal(ask(&a), ML_LIMITER_GO);
        tell(&a, ML_HEARD_GOOD, 0);
    }
    assert_int_equal(ask(&a), ML_LIMITER_WAIT);
    give_up(&a);
    now_ms += 20000;
    assert_int_equal(ask(&a), ML_LIMITER_GO);
    tell(&a, ML_HEARD_THROTTLED, 1000);
    look(&c);
    assert_int_equal(c.l.allowed, 5); /* halved for it, too */
    for (int i = 0; i < 2000; i++) {  /* by turns: nothing is lost by rounding */
        now_ms += 10;
        look(&c);
        look(&a);
        ml_shared_enter(a.shared, &a.l);
        uint32_t epoch;
        int64_t until_ms;
        if (ml_limiter_ask(&a.l, now_ms, &epoch, &until_ms) == ML_LIMITER_GO)
            ml_limiter_tell(&a.l, epoch, ML_HEARD_NOTHING, 0, now_ms, 0);
        ml_shared_leave(a.shared, &a.l, 0, 0);
    }
    assert_int_equal(a.l.allowed, 100);
    quit(&c);
}

static void test_pause(void **state)
{
    (void)state;
    assert_int_equal(ask(&a), ML_LIMITER_GO);
    assert_int_equal(ask(&b), ML_LIMITER_GO);
    tell(&a, ML_HEARD_THROTTLED, 4000);
    assert_int_equal(ask(&b), ML_LIMITER_WAIT);
    assert_int_equal(b.until_ms, now_ms + 4000);
    tell(&b, ML_HEARD_THROTTLED, 60000); /* of the same moment: no second strike */
    now_ms += 4000;
    assert_int_equal(ask(&b), ML_LIMITER_GO); /* one looks */
    assert_int_equal(ask(&a), ML_LIMITER_WAIT);
    assert_true(b.l.is_probing);
    tell(&b, ML_HEARD_GOOD, 0);
    assert_int_equal(ask(&a), ML_LIMITER_GO);
    tell(&a, ML_HEARD_GOOD, 0);
}

/* What others sent before the pause is no news: a second look does not wait for it. */
static void test_old_ones_are_no_look(void **state)
{
    (void)state;
    assert_int_equal(go_many(&a, 5), 5);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ask(&b), ML_LIMITER_GO);
        tell(&b, ML_HEARD_THROTTLED, 500);
        now_ms += 500;
    }
    assert_int_equal(ask(&b), ML_LIMITER_GO);
}

static void test_width(void **state)
{
    (void)state;
    join(&c, 0);
    quit(&a);
    quit(&b);
    join(&a, 0);
    join(&b, 0);
    assert_int_equal(go_many(&a, 40), 40);
    assert_int_equal(go_many(&b, 40), 24);
    assert_int_equal(ask(&c), ML_LIMITER_WAIT);
    tell(&a, ML_HEARD_NOTHING, 0);
    assert_int_equal(ask(&c), ML_LIMITER_GO);
    assert_int_equal(c.l.in_flight, 64);
    assert_int_equal(ml_shared_in_flight(a.shared), 39);
    quit(&c);
}

static void test_breaker(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        member *m = i % 2 ? &a : &b;
        assert_int_equal(ask(m), ML_LIMITER_GO);
        tell(m, ML_HEARD_OUTAGE, 0);
        now_ms += 1000;
    }
    assert_int_equal(ask(&a), ML_LIMITER_BROKEN);
    assert_int_equal(ask(&b), ML_LIMITER_BROKEN);
    now_ms += 5000;
    assert_int_equal(ask(&b), ML_LIMITER_GO);
    assert_int_equal(ask(&a), ML_LIMITER_BROKEN);
    tell(&b, ML_HEARD_GOOD, 0);
    assert_int_equal(ask(&a), ML_LIMITER_GO);
    tell(&a, ML_HEARD_GOOD, 0);
}

/* Five seconds behind when it is read next. */
static int64_t late_ms(void *arg)
{
    int64_t *behind_ms = arg, at_ms = now_ms - *behind_ms;
    *behind_ms = 0;
    return at_ms;
}

/* One is stopped between its look at the clock and the lock: what others have written
 * meanwhile is not from the future, and their seats are not those of the dead. */
static void test_late_for_the_lock(void **state)
{
    (void)state;
    int64_t behind_ms = 0;
    const ml_clock late = {late_ms, wall_s, &behind_ms};
    c = (member){.shared = ml_shared_new(dir, "https://acme.example", "reads", 100,
                                         &late, &fake_log)};
    assert_non_null(c.shared);
    ml_limiter_init(&c.l, 100);
    assert_int_equal(go_many(&a, 10), 10);
    now_ms += 5000;
    assert_int_equal(go_many(&b, 3), 3);
    tell(&b, ML_HEARD_THROTTLED, 60000);
    logged[0] = '\0';
    behind_ms = 5000;
    look(&c);
    assert_string_equal(logged, "");
    assert_int_equal(c.l.pause_ms, b.l.pause_ms);
    assert_int_equal(c.l.n_spent, 13);
    assert_int_equal(c.l.in_flight, 2); /* a has not come for five seconds */
    quit(&c);
}

/* ---- the dead ---------------------------------------------------------------------
 */

static void test_in_flight_of_the_dead(void **state)
{
    (void)state;
    assert_int_equal(go_many(&a, 64), 64);
    quit(&a); /* without a word */
    assert_int_equal(ask(&b), ML_LIMITER_WAIT);
    now_ms += 2900;
    assert_int_equal(ask(&b), ML_LIMITER_WAIT);
    now_ms += 200;
    assert_int_equal(ask(&b), ML_LIMITER_GO);
    assert_int_equal(b.l.in_flight, 1);
    assert_int_equal(b.l.n_of_epoch, 1);
    tell(&b, ML_HEARD_GOOD, 0);
}

/* One that was only stopped has its own again, and nothing is counted twice. */
static void test_back_from_a_stop(void **state)
{
    (void)state;
    assert_int_equal(go_many(&a, 30), 30);
    now_ms += 10000;
    assert_int_equal(go_many(&b, 10), 10);
    assert_int_equal(b.l.in_flight, 10);
    tell(&a, ML_HEARD_GOOD, 0);
    look(&b);
    assert_int_equal(b.l.in_flight, 39);
    assert_int_equal(b.l.n_of_epoch, 39);
    for (int i = 0; i < 29; i++) tell(&a, ML_HEARD_GOOD, 0);
    for (int i = 0; i < 10; i++) tell(&b, ML_HEARD_GOOD, 0);
    look(&a);
    assert_int_equal(a.l.in_flight, 0);
    assert_int_equal(a.l.n_of_epoch, 0);
}

/* The one that looks dies: another looks. */
static void test_the_probe_dies(void **state)
{
    (void)state;
    assert_int_equal(ask(&a), ML_LIMITER_GO);
    tell(&a, ML_HEARD_THROTTLED, 1000);
    now_ms += 1000;
    assert_int_equal(ask(&a), ML_LIMITER_GO);
    quit(&a);
    assert_int_equal(ask(&b), ML_LIMITER_WAIT);
    now_ms += 3100;
    assert_int_equal(ask(&b), ML_LIMITER_GO);
}

/* Runs fn in a child that ends by this signal. */
static void in_child(void (*fn)(void), int how)
{
    pid_t pid = fork();
    if (pid == 0) {
        fn();
        kill(getpid(), how);
        _exit(1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, how == SIGSTOP ? WUNTRACED : 0), pid);
    assert_true(how == SIGSTOP ? WIFSTOPPED(status) : WIFSIGNALED(status));
    if (how != SIGSTOP) return;
    c.until_ms = pid;
}

/* A child with a handle of its own; 30 in flight, and the lock. */
static void hold(void)
{
    join(&c, 100);
    if (go_many(&c, 30) != 30) _exit(2);
    ml_shared_enter(c.shared, &c.l);
    c.l.width = 7; /* a change that it never hands in */
}

static void test_killed_with_the_lock(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        in_child(hold, SIGKILL);
        look(&b);
        assert_false(ml_shared_is_alone(b.shared));
        assert_int_equal(b.l.width, ML_LIMITER_FIRST_WIDTH);
        assert_int_equal(b.l.in_flight, 30);
        assert_int_equal(b.l.n_spent, 30 * (i + 1));
        now_ms += 3100;
        look(&b);
        assert_int_equal(b.l.in_flight, 0);
    }
}

static void test_stopped_with_the_lock(void **state)
{
    (void)state;
    assert_int_equal(ask(&b), ML_LIMITER_GO);
    in_child(hold, SIGSTOP);
    pid_t child = (pid_t)c.until_ms;
    assert_int_equal(ask(&b), ML_LIMITER_GO); /* after a quarter of a second */
    assert_true(ml_shared_is_alone(b.shared));
    assert_non_null(strstr(logged, "not shared with other processes for now: the "
                                   "process that holds the lock does not go on"));
    assert_int_equal(b.l.in_flight, 2);
    logged[0] = '\0';
    now_ms += 2000;
    tell(&b, ML_HEARD_GOOD, 0); /* it tries, and is still alone */
    assert_true(ml_shared_is_alone(b.shared));
    assert_int_equal(b.l.in_flight, 1);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    now_ms += 2000;
    look(&b);
    assert_false(ml_shared_is_alone(b.shared));
    assert_non_null(strstr(logged, "shared with other processes again"));
    assert_int_equal(b.l.in_flight, 1); /* the child's seat is too old already */
    tell(&b, ML_HEARD_GOOD, 0);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_quota),
        TEST(test_own_limits),
        TEST(test_pause),
        TEST(test_old_ones_are_no_look),
        TEST(test_width),
        TEST(test_breaker),
        TEST(test_late_for_the_lock),
        TEST(test_in_flight_of_the_dead),
        TEST(test_back_from_a_stop),
        TEST(test_the_probe_dies),
        TEST(test_killed_with_the_lock),
        TEST(test_stopped_with_the_lock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
