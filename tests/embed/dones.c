/* dones.c - what goes on while a thread is inside a function of the host's: the others'
 * hits and deadlines, closing, and a child that is forked there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "moonlatch.h"

/* Whoever waits for a gate goes on after so long all the same: then the test fails. */
enum { PATIENCE_MS = 5000 };

static ml_resolver *resolver;
static atomic_bool is_held, may_go, was_late;
static atomic_int dones;

static int64_t real_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void hold_here(void)
{
    is_held = true;
    for (int ms = 0; !may_go && !was_late; ms++) {
        usleep(1000);
        if (ms == PATIENCE_MS) was_late = true;
    }
}

static void slow_done(ml_request *q, const ml_answer *a, const ml_err *e, void *arg)
{
    (void)q;
    (void)a;
    (void)e;
    (void)arg;
    hold_here();
    dones++;
}

static void quick_done(ml_request *q, const ml_answer *a, const ml_err *e, void *arg)
{
    (void)q;
    (void)a;
    (void)e;
    (void)arg;
    dones++;
}

static void silent_get(ml_fetch *f, const char *key, const char *version, void *arg)
{
    (void)key;
    (void)version;
    *(ml_fetch **)arg = f; /* later, or never */
}

static ml_fetch *fetch;

static void open_it(const ml_clock *clock)
{
    static const ml_pair env[] = {{"ONE", "1"}, {"TWO", "2"}};
    const ml_source_ops ops = {ML_SOURCE_OPS_INIT, .get = silent_get};
    ml_options o = {ML_OPTIONS_INIT, .env = env, .n_env = 2, .clock = clock,
                    .policy_text =
                        "local ml = require 'moonlatch.policy'\n"
                        "local env = ml.environment {}\n"
                        "local mute = ml.host_source { name = 'mute' }\n"
                        "return ml.policy { ml.rule 'mute/*' { from = mute },\n"
                        "  ml.rule '**' { from = env } }\n"};
    ml_err e;
    is_held = may_go = was_late = false;
    dones = 0;
    fetch = NULL;
    if (ml_open(&resolver, &o, &e) < 0) fail_msg("%s", e.text);
    assert_int_equal(ml_add_source(resolver, "mute", &ops, &fetch, &e), 0);
}

static void close_it(void)
{
    ml_close(resolver);
    if (fetch)
        ml_fetch_done(fetch, &(ml_fetched){ML_FETCHED_INIT, .code = ML_EMISSING});
}

static int get(const char *name)
{
    ml_secret *s = NULL;
    ml_err e;
    int code = ml_get(resolver, name, NULL, 0, &s, &e);
    if (code == 0) ml_secret_unref(s);
    return code;
}

static void start(const char *name, ml_done *done)
{
    ml_err e;
    if (!ml_get_start(resolver, name, NULL, 0, done, NULL, &e)) fail_msg("%s", e.text);
}

static void *step_until_done(void *arg)
{
    while (dones < *(int *)arg) ml_step(resolver, 10);
    return NULL;
}

static void await(const atomic_bool *flag)
{
    while (!*flag) usleep(1000);
}

/* A thread whose step is inside a done that takes its time. */
static pthread_t hold_a_done(int *until)
{
    pthread_t stepper;
    start("TWO", slow_done);
    assert_int_equal(pthread_create(&stepper, NULL, step_until_done, until), 0);
    await(&is_held);
    return stepper;
}

/* ---- while another thread is inside a done
 * --------------------------------------------
 */

static void test_hits_and_misses_go_on(void **state)
{
    (void)state;
    int until = 1;
    open_it(NULL);
    assert_int_equal(get("ONE"), 0);
    pthread_t stepper = hold_a_done(&until);
    assert_int_equal(get("ONE"), 0);            /* a hit */
    assert_int_equal(get("NONE"), ML_EMISSING); /* somebody must turn the loop */
    assert_false(was_late);
    may_go = true;
    pthread_join(stepper, NULL);
    close_it();
}

static void test_deadlines_are_kept(void **state)
{
    (void)state;
    int until = 1;
    ml_answer *a = NULL;
    ml_err e;
    open_it(NULL);
    pthread_t stepper = hold_a_done(&until);
    ml_call call = {ML_CALL_INIT, .name = "mute/x", .deadline_ms = 20};
    assert_int_equal(ml_run(resolver, &call, &a, &e), ML_EUNAVAILABLE);
    assert_false(was_late);
    may_go = true;
    pthread_join(stepper, NULL);
    close_it();
}

/* Dones are called one at a time: the second waits, and its event loop has nothing to
 * do meanwhile. */
static void test_an_event_loop_does_not_spin(void **state)
{
    (void)state;
    int until = 2, rounds = 0;
    open_it(NULL);
    pthread_t stepper = hold_a_done(&until);
    start("ONE", quick_done);
    for (int64_t end_ms = real_ms() + 200; real_ms() < end_ms; rounds++) {
        poll(&(struct pollfd){ml_fd(resolver), POLLIN, 0}, 1, 50);
        assert_true(ml_step(resolver, 0) >= 0);
    }
    assert_int_equal(dones, 0);
    assert_in_range(rounds, 1, 50);
    may_go = true;
    pthread_join(stepper, NULL);
    assert_int_equal(dones, 2);
    assert_false(was_late);
    close_it();
}

enum { A_ROUND = 64 };
static atomic_bool is_over;
static _Thread_local int mine; /* dones that this thread's call has called */

static void start_again(ml_request *q, const ml_answer *a, const ml_err *e, void *arg)
{
    (void)q;
    (void)a;
    (void)e;
    (void)arg;
    ml_call call = {ML_CALL_INIT, .name = "TWO", .flags = ML_REFRESH};
    usleep(1000); /* the others turn the loop meanwhile */
    dones++;
    mine++;
    if (!is_over && !ml_start(resolver, &call, start_again, NULL, NULL))
        was_late = true;
}

static void *get_until_over(void *arg)
{
    (void)arg;
    while (!is_over) {
        ml_answer *a = NULL;
        ml_err e;
        ml_call call = {ML_CALL_INIT, .name = "ONE", .flags = ML_REFRESH};
        mine = 0;
        if (ml_run(resolver, &call, &a, &e) < 0 || mine > A_ROUND) was_late = true;
        ml_answer_free(a);
    }
    return NULL;
}

/* Others bring more while one thread tells of it: that one is let go all the same. */
static void test_who_reports_is_let_go(void **state)
{
    (void)state;
    enum { MANY = 8, OTHERS = 2 };
    pthread_t others[OTHERS];
    open_it(NULL);
    is_over = false;
    for (int i = 0; i < MANY; i++) start("TWO", start_again);
    for (int i = 0; i < OTHERS; i++)
        assert_int_equal(pthread_create(&others[i], NULL, get_until_over, NULL), 0);
    for (int64_t end_ms = real_ms() + 500; real_ms() < end_ms || dones <= A_ROUND;) {
        poll(&(struct pollfd){ml_fd(resolver), POLLIN, 0}, 1, 10);
        assert_in_range(ml_step(resolver, 0), 0, A_ROUND);
    }
    is_over = true;
    for (int i = 0; i < OTHERS; i++) pthread_join(others[i], NULL);
    assert_true(dones > A_ROUND && !was_late);
    close_it();
}

/* ---- closing
 * --------------------------------------------------------------------------
 */

static pthread_t reader;
static atomic_bool is_armed;

/* Holds up the reader where it looks at the clock: in the middle of a hit. */
static int64_t slow_mono_ms(void *arg)
{
    (void)arg;
    if (is_armed && pthread_equal(pthread_self(), reader)) hold_here();
    return real_ms();
}

static int64_t wall_s(void *arg)
{
    (void)arg;
    return 1700000000;
}

static void *hit_once(void *arg)
{
    await(&is_armed);
    *(int *)arg = get("ONE");
    return NULL;
}

static void *close_handle(void *arg)
{
    close_it();
    *(atomic_bool *)arg = true;
    return NULL;
}

static void test_close_waits_for_a_hit(void **state)
{
    (void)state;
    static const ml_clock clock = {slow_mono_ms, wall_s, NULL};
    pthread_t closer;
    atomic_bool is_closed = false;
    int code = -1;
    is_armed = false;
    open_it(&clock);
    assert_int_equal(get("ONE"), 0);
    assert_int_equal(pthread_create(&reader, NULL, hit_once, &code), 0);
    is_armed = true;
    await(&is_held);
    assert_int_equal(pthread_create(&closer, NULL, close_handle, &is_closed), 0);
    usleep(20 * 1000);
    assert_false(is_closed);
    may_go = true;
    pthread_join(reader, NULL);
    pthread_join(closer, NULL);
    assert_int_equal(code, 0); /* it had the answer in its hand */
}

static int64_t now_ms;

static int64_t moved_ms(void *arg)
{
    (void)arg;
    return now_ms;
}

static void closing_done(ml_request *q, const ml_answer *a, const ml_err *e, void *arg)
{
    (void)q;
    (void)a;
    (void)e;
    (void)arg;
    dones++;
    ml_close(resolver);
}

/* A hit that is late in its time turns the loop, which calls a done, which closes. */
static void test_close_inside_a_hit(void **state)
{
    (void)state;
    static const ml_clock clock = {moved_ms, wall_s, NULL};
    now_ms = 1000;
    open_it(&clock);
    assert_int_equal(get("ONE"), 0);
    now_ms += 50L * 1000; /* of 60 */
    start("TWO", closing_done);
    alarm(20);
    while (dones == 0) assert_int_equal(get("ONE"), 0);
    alarm(0);
    assert_int_equal(dones, 1);
}

/* ---- forking in there
 * -----------------------------------------------------------------
 */

static pid_t parent;
static pid_t child;

static void fork_done(ml_request *q, const ml_answer *a, const ml_err *e, void *arg)
{
    (void)q;
    (void)a;
    (void)e;
    (void)arg;
    dones++;
    if (getpid() == parent && child == 0) child = fork();
}

static void forking_get(ml_fetch *f, const char *key, const char *version, void *arg)
{
    (void)key;
    (void)version;
    (void)arg;
    if (getpid() == parent) child = fork();
    ml_fetch_done(f, &(ml_fetched){ML_FETCHED_INIT, .value = "v", .value_len = 1});
}

static void assert_child_was_clean(void)
{
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* The child has no part in what is left of the step. */
static void test_a_child_of_a_done_leaves_at_once(void **state)
{
    (void)state;
    open_it(NULL);
    parent = getpid();
    child = 0;
    start("ONE", fork_done);
    start("TWO", fork_done);
    int n = ml_step(resolver, 1000);
    while (getpid() == parent && n >= 0 && dones < 2) n = ml_step(resolver, 1000);
    if (getpid() != parent) _exit(n == ML_EFORKED && dones == 1 ? 0 : 1);
    assert_int_equal(dones, 2);
    assert_child_was_clean();
    close_it();
}

static void test_a_child_of_a_source_leaves_at_once(void **state)
{
    (void)state;
    const ml_source_ops ops = {ML_SOURCE_OPS_INIT, .get = forking_get};
    ml_options o = {ML_OPTIONS_INIT,
                    .policy_text =
                        "local ml = require 'moonlatch.policy'\n"
                        "return ml.policy { ml.rule '**' {\n"
                        "  from = ml.host_source { name = 'forking' } } }\n"};
    ml_err e;
    ml_secret *s = NULL;
    parent = getpid();
    child = 0;
    assert_int_equal(ml_open(&resolver, &o, &e), 0);
    assert_int_equal(ml_add_source(resolver, "forking", &ops, NULL, &e), 0);
    int code = ml_get(resolver, "x", NULL, 0, &s, &e);
    if (getpid() != parent) _exit(code == ML_EFORKED && !s ? 0 : 1);
    assert_int_equal(code, 0);
    ml_secret_unref(s);
    assert_child_was_clean();
    ml_close(resolver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hits_and_misses_go_on),
        cmocka_unit_test(test_deadlines_are_kept),
        cmocka_unit_test(test_an_event_loop_does_not_spin),
        cmocka_unit_test(test_who_reports_is_let_go),
        cmocka_unit_test(test_close_waits_for_a_hit),
        cmocka_unit_test(test_close_inside_a_hit),
        cmocka_unit_test(test_a_child_of_a_done_leaves_at_once),
        cmocka_unit_test(test_a_child_of_a_source_leaves_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
