/* test_crowd.c - one handle, many threads, a vault that misbehaves: every call ends
 * once, and none gets another's answer. */
#include "support.h"

#include <pthread.h>
#include <stdatomic.h>

enum { THREADS = 8, GETS = 25, NAMES = 20 }; /* 200 gets */

static ml_resolver *resolver;
static atomic_int good, failed, wrong, started, done;

static int write_seed(void **state)
{
    clean_environment(state);
    FILE *f = open_seed();
    fputs("{\"main\": {", f);
    for (int i = 0; i < NAMES; i++) {
        fprintf(f, "%s\"name-%d\": \"value-%d\"", i ? ", " : "", i, i);
    }
    fputs("}}\n", f);
    return fclose(f);
}

static bool is_value_of(const ml_secret *s, int which)
{
    char value[32];
    size_t n = 0;
    snprintf(value, sizeof(value), "value-%d", which);
    const void *p = ml_secret_data(s, &n);
    return n == strlen(value) && memcmp(p, value, n) == 0;
}

static void *get_blocking(void *arg)
{
    int first = (int)(intptr_t)arg;
    for (int i = 0; i < GETS; i++) {
        char name[32];
        int which = (first * 7 + i) % NAMES;
        snprintf(name, sizeof(name), "name-%d", which);
        ml_secret *s = NULL;
        ml_err e;
        int code = ml_get(resolver, name, NULL, 0, &s, &e);
        if (code == 0) {
            good++;
            if (!is_value_of(s, which)) wrong++;
            ml_secret_unref(s);
        } else {
            failed++;
            bool fits =
                code == ML_EUNAVAILABLE || code == ML_ETHROTTLED || code == ML_EINVALID;
            if (!fits || code != e.code || s) {
                fprintf(stderr, "%s: %s\n", ml_outcome(code), e.text);
                wrong++;
            }
        }
    }
    return NULL;
}

static void in_threads(void *(*fn)(void *))
{
    pthread_t threads[THREADS];
    for (intptr_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, fn, (void *)i), 0);
    }
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
}

static void reset_counts(void)
{
    good = failed = wrong = started = done = 0;
}

static void test_healthy(void **state)
{
    (void)state;
    server *v = vault_start("--seed", seed_path, NULL);
    reset_counts();
    resolver = open_on(v);
    in_threads(get_blocking);
    ml_close(resolver);
    assert_int_equal(wrong, 0);
    assert_int_equal(good, THREADS * GETS);
    assert_int_equal(requests(v, "get", 200), THREADS * GETS);
    assert_int_equal(requests(v, "token", -1), 1);
    server_stop(v);
}

/* With a cache: the same answers, fewer requests. */
static void test_cached(void **state)
{
    (void)state;
    server *v = vault_start("--seed", seed_path, NULL);
    reset_counts();
    resolver = open_with(&(setup){.vault = v, .has_cache = true});
    in_threads(get_blocking);
    in_threads(get_blocking);
    ml_close(resolver);
    assert_int_equal(wrong, 0);
    assert_int_equal(good, 2 * THREADS * GETS);
    assert_int_equal(requests(v, "get", 200), NAMES);
    server_stop(v);
}

/* A thousand callers who want one name that is not there, or one that is: the vault is
 * asked once. */
enum { CROWD = 1000 };

typedef struct told {
    int calls, code;
    const ml_secret *secret;
} told;

static void on_told(ml_request *q, const ml_answer *a, const ml_err *e, void *arg)
{
    (void)q;
    told *t = arg;
    t->calls++;
    t->code = e->code;
    t->secret = ml_answer_at(a, 0);
    done++;
}

static void crowd_asks(const char *name, int code, told crowd[CROWD])
{
    memset(crowd, 0, CROWD * sizeof(*crowd));
    done = 0;
    for (int i = 0; i < CROWD; i++) {
        ml_call call = {ML_CALL_INIT, .verb = ML_GET, .name = name};
        assert_non_null(ml_start(resolver, &call, on_told, &crowd[i], NULL));
    }
    while (done < CROWD) assert_true(ml_step(resolver, 1000) >= 0);
    for (int i = 0; i < CROWD; i++) {
        assert_int_equal(crowd[i].calls, 1);
        assert_int_equal(crowd[i].code, code);
        assert_ptr_equal(crowd[i].secret, crowd[0].secret);
    }
}

static void test_one_request_for_a_crowd(void **state)
{
    (void)state;
    static told crowd[CROWD];
    server *v = vault_start("--seed", seed_path, NULL);
    resolver = open_with(&(setup){.vault = v, .has_cache = true});
    crowd_asks("not-there", ML_EMISSING, crowd);
    assert_int_equal(requests(v, "get", 404), 1);
    assert_int_equal(requests(v, "get", -1), 2); /* and the challenge, once */
    crowd_asks("name-1", 0, crowd);
    assert_int_equal(requests(v, "get", 200), 1);
    assert_int_equal(requests(v, "get", -1), 3);
    assert_int_equal(requests(v, "token", -1), 1);
    ml_close(resolver);
    server_stop(v);
}

/* The same from threads that block. */
static void *get_missing(void *arg)
{
    (void)arg;
    ml_secret *s = NULL;
    ml_err e;
    if (ml_get(resolver, "not-there", NULL, 0, &s, &e) != ML_EMISSING) wrong++;
    return NULL;
}

static void test_one_request_for_threads(void **state)
{
    (void)state;
    server *v = vault_start("--seed", seed_path, "--fault", "delay=300ms", NULL);
    reset_counts();
    resolver = open_with(&(setup){.vault = v, .has_cache = true});
    in_threads(get_missing);
    ml_close(resolver);
    assert_int_equal(wrong, 0);
    assert_int_equal(requests(v, "get", 404), 1);
    server_stop(v);
}

static server *start_moody(void)
{
    return vault_start("--seed", seed_path, "--fault-seed", "7", "--fault",
                       "delay=20ms:0.2", "--fault", "429:0.1,retry-after-ms=10",
                       "--fault", "reset:0.1", "--fault", "truncate:0.05", "--fault",
                       "503:0.05", "--fault", "http-401-once:0.02,first=1", "--fault",
                       "token-500:first=1", NULL);
}

static void test_moody(void **state)
{
    (void)state;
    server *v = start_moody();
    reset_counts();
    resolver = open_on(v);
    in_threads(get_blocking);
    ml_close(resolver);
    assert_int_equal(wrong, 0);
    assert_int_equal(good + failed, THREADS * GETS);
    assert_true(good > THREADS * GETS * 9 / 10);
    server_stop(v);
}

/* ---- started, stepped and taken back from all sides
 * ------------------------------------ */

typedef struct one {
    atomic_int calls;
    int which;
} one;

static one all[THREADS * GETS];

static void on_done(ml_request *q, const ml_answer *a, const ml_err *e, void *arg)
{
    (void)q;
    one *o = arg;
    if (o->calls++) wrong++;
    if (e->code == 0 && !is_value_of(ml_answer_at(a, 0), o->which)) wrong++;
    if (e->code != 0 && a) wrong++;
    if (e->code == 0) good++;
    done++;
}

static void *start_and_step(void *arg)
{
    int first = (int)(intptr_t)arg;
    for (int i = 0; i < GETS; i++) {
        one *o = &all[first * GETS + i];
        char name[32];
        o->which = (first + i) % NAMES;
        snprintf(name, sizeof(name), "name-%d", o->which);
        ml_call call = {ML_CALL_INIT, .verb = ML_GET, .name = name,
                        .deadline_ms = i % 5 == 4 ? 30 : 0};
        if (!ml_start(resolver, &call, on_done, o, NULL)) wrong++;
        started++;
        if (i % 3 == 0) ml_step(resolver, 5);
        if (i % 7 == 0) ml_wake(resolver);
    }
    while (done < started) ml_step(resolver, 50);
    return NULL;
}

static void *mixed(void *arg)
{
    return (intptr_t)arg % 2 ? get_blocking(arg) : start_and_step(arg);
}

static void forget_all(void)
{
    for (int i = 0; i < THREADS * GETS; i++) all[i].calls = 0;
}

static void test_started(void **state)
{
    (void)state;
    server *v = start_moody();
    reset_counts();
    forget_all();
    resolver = open_on(v);
    in_threads(mixed);
    while (done < started) ml_step(resolver, 100);
    ml_close(resolver);
    assert_int_equal(wrong, 0);
    assert_int_equal(started, THREADS / 2 * GETS);
    assert_int_equal(done, started);
    server_stop(v);
}

/* Closed with everything under way: each is told, once. */
static void test_close_in_flight(void **state)
{
    (void)state;
    server *v = start_moody();
    for (int wait_ms = 0; wait_ms <= 60; wait_ms += 20) {
        reset_counts();
        forget_all();
        resolver = open_on(v);
        for (int i = 0; i < THREADS * GETS; i++) {
            char name[32];
            all[i].which = i % NAMES;
            snprintf(name, sizeof(name), "name-%d", i % NAMES);
            ml_call call = {ML_CALL_INIT, .verb = ML_GET, .name = name};
            assert_non_null(ml_start(resolver, &call, on_done, &all[i], NULL));
        }
        int64_t until = now_ms() + wait_ms;
        while (now_ms() < until) ml_step(resolver, 5);
        ml_close(resolver);
        assert_int_equal(wrong, 0);
        assert_int_equal(done, THREADS * GETS);
    }
    server_stop(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_healthy),
        cmocka_unit_test(test_cached),
        cmocka_unit_test(test_one_request_for_a_crowd),
        cmocka_unit_test(test_one_request_for_threads),
        cmocka_unit_test(test_moody),
        cmocka_unit_test(test_started),
        cmocka_unit_test(test_close_in_flight),
    };
    return cmocka_run_group_tests(tests, write_seed, remove_seed);
}
