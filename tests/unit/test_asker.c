/* test_asker.c - flights that a coroutine answers for, and cycles among them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "source/flight.h"

static int64_t now_ms;

static int64_t fake_now(void *arg)
{
    (void)arg;
    return now_ms;
}
static const ml_clock fake_clock = {fake_now, fake_now, NULL};
static ml_loop *loop;
static ml_kept *kept;
static const ml_keep keep = {.ttl_ms = 10000, .negative_ttl_ms = -1};

typedef struct caller {
    int done;
    int code;
    const ml_secret *secret; /* to compare, not to use */
} caller;

static void on_done(ml_op *op, void *arg)
{
    caller *c = arg;
    c->done++;
    c->code = op->err.code;
    c->secret = op->secret;
}

static void pass(int ms)
{
    now_ms += ms;
    ml_loop_turn(loop);
}

static int set_up(void **state)
{
    (void)state;
    ml_err e;
    now_ms = 100000;
    loop = ml_loop_new(&fake_clock, NULL, &e);
    kept = ml_kept_new(&(ml_kept_limits){.max_bytes = 1000000,
                                         .max_entries = 1000,
                                         .keep = keep,
                                         .refresh_percent = 75});
    return !loop || !kept;
}

static int tear_down(void **state)
{
    (void)state;
    ml_loop_free(loop);
    ml_kept_free(kept);
    return 0;
}

/* ---- flights that an asker answers for ----------------------------------------------
 */

static ml_flight *flights[4];
static ml_asker askers[3];

static ml_kept_key lua_key(const char *key)
{
    return (ml_kept_key){.source = 77, .key = ml_str_of(key)};
}

static void new_askers(int time_ms)
{
    for (int i = 0; i < 3; i++) askers[i] = (ml_asker){.deadline_ms = now_ms + time_ms};
}

static bool is_under_way(int asker, const char *key)
{
    ml_kept_key k = lua_key(key);
    ml_keep_call how = {.keep = keep, .asker = &askers[asker]};
    return ml_flight_is_under_way(kept, &k, &how, now_ms);
}

static void begin(int flight, int asker, const char *key)
{
    ml_kept_key k = lua_key(key);
    ml_keep_call how = {.keep = keep, .asker = &askers[asker]};
    ml_err e;
    assert_int_equal(ml_flight_begin(kept, loop, &k, "lua", &how, &flights[flight], &e),
                     0);
}

static ml_op *wait_for(caller *c, int asker, const char *key, ml_err *e)
{
    ml_kept_key k = lua_key(key);
    ml_keep_call how = {.keep = keep, .asker = &askers[asker]};
    *c = (caller){0};
    return ml_flight_wait(kept, &k, &how, now_ms + 1000, on_done, c, e);
}

static void test_askers(void **state)
{
    (void)state;
    caller a, b;
    ml_err e = {0};
    new_askers(5000);
    begin(0, 0, "key");
    assert_true(is_under_way(1, "key"));
    assert_non_null(wait_for(&a, 1, "key", &e));
    assert_non_null(wait_for(&b, 2, "key", &e));
    pass(0);
    assert_int_equal(a.done + b.done, 0);
    ml_secret *s = ml_secret_of_bytes(ML_LIT("v"));
    assert_int_equal(ml_flight_end(flights[0], s, &(ml_err){0}), now_ms + 10000);
    assert_null(flights[0]);
    pass(0);
    assert_ptr_equal(a.secret, s);
    assert_ptr_equal(b.secret, s);
    ml_secret_unref(s);
    assert_null(askers[0].owns);
    assert_null(askers[1].waits_for);
    ml_kept_forget(kept, (ml_str){0});
    begin(0, 0, "key");
    assert_non_null(wait_for(&a, 1, "key", &e));
    ml_flight_abandon(flights[0]);
    pass(0);
    assert_int_equal(a.done, 1);
    assert_int_equal(a.code, 0); /* neither: look again */
    assert_null(a.secret);
    assert_false(is_under_way(1, "key"));
    begin(0, 1, "key");
    assert_non_null(wait_for(&a, 0, "key", &e));
    pass(1100);
    assert_int_equal(a.code, ML_EUNAVAILABLE); /* its own time is over */
    ml_flight_abandon(flights[0]);
}

/* Nobody turned the loop until the asker's time was over: another one asks. */
static void test_a_lost_flight_is_not_joined(void **state)
{
    (void)state;
    caller a;
    ml_err e = {0};
    new_askers(500);
    begin(0, 0, "key");
    assert_non_null(wait_for(&a, 2, "key", &e));
    now_ms += 500;
    assert_true(is_under_way(0, "key")); /* for itself it is, however late: a cycle */
    assert_false(is_under_way(1, "key"));
    askers[1].deadline_ms += 500;
    begin(1, 1, "key");
    ml_secret *s = ml_secret_of_bytes(ML_LIT("late"));
    ml_flight_end(flights[0], s, &(ml_err){0}); /* is told, and not kept */
    pass(0);
    assert_ptr_equal(a.secret, s);
    ml_secret_unref(s);
    assert_true(is_under_way(2, "key"));
    s = ml_secret_of_bytes(ML_LIT("new"));
    ml_flight_end(flights[1], s, &(ml_err){0});
    ml_secret_unref(s);
    pass(0);
}

/* Whose time is over, when the asker's is, takes its failure; the others look again. */
static void test_deadlines_are_each_ones_own(void **state)
{
    (void)state;
    static const int codes[] = {ML_EUNAVAILABLE, ML_ETHROTTLED, ML_EFORBIDDEN};
    caller patient;
    ml_err e = {0};
    for (int i = 0; i < 3; i++) {
        new_askers(100);
        begin(0, 0, "key");
        assert_non_null(wait_for(&patient, 1, "key", &e)); /* for a second */
        now_ms += 100;
        assert_int_equal(ml_flight_end(flights[0], NULL, &(ml_err){.code = codes[i]}),
                         1);
        pass(0);
        assert_int_equal(patient.done, 1);
        assert_int_equal(patient.code, codes[i] == ML_EFORBIDDEN ? codes[i] : 0);
        assert_null(patient.secret);
        new_askers(2000); /* in time: it speaks for all */
        begin(0, 0, "key");
        assert_non_null(wait_for(&patient, 1, "key", &e));
        ml_flight_end(flights[0], NULL, &(ml_err){.code = codes[i]});
        pass(0);
        assert_int_equal(patient.code, codes[i]);
    }
    new_askers(990);
    begin(0, 0, "key");
    assert_non_null(wait_for(&patient, 1, "key", &e));
    now_ms += 990; /* as good as over for this one, too */
    ml_flight_end(flights[0], NULL, &(ml_err){.code = ML_EUNAVAILABLE});
    pass(0);
    assert_int_equal(patient.code, ML_EUNAVAILABLE);
}

static void assert_cycle(int asker, const char *key, const char *text)
{
    caller c;
    ml_err e = {0};
    assert_null(wait_for(&c, asker, key, &e));
    assert_int_equal(e.code, ML_EPOLICY);
    assert_string_equal(e.text, text);
}

static void test_cycles_are_found(void **state)
{
    (void)state;
    caller c;
    ml_err e = {0};
    new_askers(5000);
    begin(0, 0, "a");
    assert_cycle(0, "a", "a source waits for itself: lua:a -> lua:a");
    begin(1, 0, "b"); /* a needs b */
    assert_cycle(0, "a", "a source waits for itself: lua:a -> lua:b -> lua:a");
    assert_cycle(0, "b", "a source waits for itself: lua:b -> lua:b");
    begin(2, 1, "c");
    begin(3, 2, "d");
    assert_non_null(wait_for(&c, 1, "d", &e)); /* c waits for d */
    caller d;
    assert_non_null(wait_for(&d, 0, "c", &e)); /* b waits for c: no cycle */
    assert_cycle(
        2, "a", "a source waits for itself: lua:a -> lua:b -> lua:c -> lua:d -> lua:a");
    for (int i = 3; i >= 0; i--) ml_flight_abandon(flights[i]);
    pass(0);
    assert_int_equal(c.done + d.done, 2);
    ml_kept_forget(kept, (ml_str){0});
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_askers),
        TEST(test_a_lost_flight_is_not_joined),
        TEST(test_deadlines_are_each_ones_own),
        TEST(test_cycles_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
