/* threads.c - one handle, many threads: blocking gets, hits, cancels and steps at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>

#include "moonlatch.h"

enum { THREADS = 8, ROUNDS = 200, NAMES = 16 };

static ml_resolver *resolver;
static atomic_int wrong;
static atomic_int dones;

static void *get_many(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    for (int i = 0; i < ROUNDS; i++) {
        char name[16], value[16];
        int which = rand_r(&seed) % NAMES;
        snprintf(name, sizeof(name), "NAME_%d", which);
        snprintf(value, sizeof(value), "value-%d", which);
        ml_secret *s = NULL;
        size_t n = 0;
        ml_err e;
        if (ml_get(resolver, name, NULL, 0, &s, &e) < 0) {
            wrong++;
            continue;
        }
        const void *p = ml_secret_data(s, &n);
        if (n != strlen(value) || memcmp(p, value, n) != 0) wrong++;
        ml_secret_unref(s);
    }
    return NULL;
}

static void count(ml_request *q, const ml_answer *a, const ml_err *e, void *arg)
{
    (void)q;
    (void)arg;
    if (e->code == 0 && ml_answer_count(a) != 1) wrong++;
    dones++;
}

static void *start_many(void *arg)
{
    (void)arg;
    ml_call call = {ML_CALL_INIT, .verb = ML_GET, .name = "NAME_1",
                    .flags = ML_REFRESH};
    for (int i = 0; i < ROUNDS; i++) {
        if (!ml_start(resolver, &call, count, NULL, NULL)) wrong++;
        if (i % 10 == 0) ml_wake(resolver);
        ml_step(resolver, 0);
    }
    return NULL;
}

static void *forget_many(void *arg)
{
    (void)arg;
    static const char *const patterns[] = {"NAME_1", "NAME_*", NULL, "**"};
    for (int i = 0; i < ROUNDS; i++) {
        ml_err e;
        if (ml_forget(resolver, patterns[i % 4], &e) < 0) wrong++;
        ml_step(resolver, 1);
    }
    return NULL;
}

static void run_with_cache(int cache_ttl_ms, void *(*other)(void *))
{
    static char names[NAMES][16], values[NAMES][16];
    ml_pair env[NAMES];
    for (int i = 0; i < NAMES; i++) {
        snprintf(names[i], sizeof(names[i]), "NAME_%d", i);
        snprintf(values[i], sizeof(values[i]), "value-%d", i);
        env[i] = (ml_pair){names[i], values[i]};
    }
    ml_options o = {ML_OPTIONS_INIT, .env = env, .n_env = NAMES,
                    .cache_ttl_ms = cache_ttl_ms,
                    .policy_text =
                        "local ml = require 'moonlatch.policy'\n"
                        "local env = ml.environment {}\n"
                        "return ml.policy { ml.rule '**' { from = { env } } }\n"};
    ml_err e;
    if (ml_open(&resolver, &o, &e) < 0) fail_msg("%s", e.text);
    pthread_t threads[THREADS];
    dones = 0;
    for (int i = 0; i < THREADS; i++) {
        void *(*run)(void *) = i % 4 == 3 ? start_many : get_many;
        if (i % 4 == 2) run = other;
        assert_int_equal(
            pthread_create(&threads[i], NULL, run, (void *)(uintptr_t)(i + 1)), 0);
    }
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    while (dones < ROUNDS * (THREADS / 4)) assert_true(ml_step(resolver, 1000) >= 0);
    ml_close(resolver);
    assert_int_equal(dones, ROUNDS * (THREADS / 4));
    assert_int_equal(wrong, 0);
}

static void test_misses(void **state)
{
    (void)state;
    run_with_cache(-1, get_many);
}

static void test_hits(void **state)
{
    (void)state;
    run_with_cache(0, get_many);
}

/* Answers that are late, made anew and forgotten while they are hit. */
static void test_refreshes(void **state)
{
    (void)state;
    for (int ttl_ms = 1; ttl_ms <= 16; ttl_ms *= 2) {
        run_with_cache(ttl_ms, get_many);
        run_with_cache(ttl_ms, forget_many);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_misses),
        cmocka_unit_test(test_hits),
        cmocka_unit_test(test_refreshes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
