/* hosted.c - what moonlatch.h promises about sources that the host supplies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "moonlatch.h"

#define POLICY                                                                         \
    "local ml = require 'moonlatch.policy'\n"                                          \
    "local mine = ml.host_source { name = 'mine', alias = 'm' }\n"                     \
    "local env = ml.environment {}\n"                                                  \
    "return ml.policy {\n"                                                             \
    "  ml.rule 'both/**' { strip = 'both/', from = { mine, env } },\n"                 \
    "  ml.rule '**' { from = mine } }\n"

enum { MAX_HELD = 512 };

/* A source that answers at once, keeps what it is asked, or hands it to threads. */
typedef struct host {
    ml_resolver *r;
    ml_fetched answer;
    bool keeps, threads, calls_back, starts;
    pthread_mutex_t lock;
    ml_fetch *held[MAX_HELD];
    int n_held, gets, cancels;
    char key[64], version[64];
    int step_code, run_code;
    atomic_int dones;
} host;

static const ml_call get_x = {ML_CALL_INIT, .verb = ML_GET, .name = "x",
                              .flags = ML_REFRESH};

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 200 * 1000}, NULL);
}

static const ml_fetched fine = {ML_FETCHED_INIT, .value = "v\0w", .value_len = 3,
                                .version = "7", .content_type = "text/plain"};

static void *finish_later(void *arg)
{
    nap();
    ml_fetch_done(arg, &fine);
    return NULL;
}

static void ignore(ml_request *q, const ml_answer *a, const ml_err *e, void *arg)
{
    (void)q;
    (void)a;
    (void)e;
    atomic_fetch_add(&((host *)arg)->dones, 1);
}

static void call_back(host *h)
{
    ml_answer *a = NULL;
    ml_err e;
    h->calls_back = false;
    h->step_code = ml_step(h->r, 0);
    h->run_code = ml_run(h->r, &get_x, &a, &e);
    if (h->starts && !ml_start(h->r, &get_x, ignore, h, NULL)) h->run_code = 1;
}

static void answer(ml_fetch *f, host *h)
{
    pthread_t t;
    h->gets++;
    if (h->calls_back) call_back(h);
    if (h->threads) {
        if (pthread_create(&t, NULL, finish_later, f) != 0) abort();
        pthread_detach(t);
    } else if (h->keeps) {
        pthread_mutex_lock(&h->lock);
        h->held[h->n_held++] = f;
        pthread_mutex_unlock(&h->lock);
    } else {
        ml_fetch_done(f, &h->answer);
    }
}

static void get(ml_fetch *f, const char *key, const char *version, void *arg)
{
    host *h = arg;
    snprintf(h->key, sizeof(h->key), "%s", key);
    snprintf(h->version, sizeof(h->version), "%s", version);
    answer(f, h);
}

static void list(ml_fetch *f, void *arg)
{
    answer(f, arg);
}

static void cancel(ml_fetch *f, void *arg)
{
    host *h = arg;
    (void)f;
    h->cancels++;
}

static const ml_source_ops ops = {ML_SOURCE_OPS_INIT, .get = get, .list = list,
                                  .cancel = cancel};

static void open_bare(host *h)
{
    static const ml_pair env[] = {{"x", "lower"}};
    ml_err e;
    ml_options o = {ML_OPTIONS_INIT,    .policy_text = POLICY,
                    .cache_ttl_ms = -1, .deadline_ms = 20000,
                    .env = env,         .n_env = 1};
    *h = (host){.answer = fine};
    pthread_mutex_init(&h->lock, NULL);
    if (ml_open(&h->r, &o, &e) < 0) fail_msg("%s", e.text);
}

static void open_host(host *h)
{
    ml_err e;
    open_bare(h);
    if (ml_add_source(h->r, "mine", &ops, h, &e) < 0) fail_msg("%s", e.text);
}

static void end_held(host *h)
{
    pthread_mutex_lock(&h->lock);
    while (h->n_held > 0) ml_fetch_done(h->held[--h->n_held], &h->answer);
    pthread_mutex_unlock(&h->lock);
}

static int get_code(host *h, const char *name, ml_err *e)
{
    ml_secret *s = NULL;
    int code = ml_get(h->r, name, NULL, 0, &s, e);
    ml_secret_unref(s);
    return code;
}

static void test_at_once(void **state)
{
    (void)state;
    host h;
    ml_err e;
    ml_answer *a = NULL;
    ml_call call = {ML_CALL_INIT, .verb = ML_GET, .name = "a/b", .version = "5"};
    open_host(&h);
    assert_int_equal(ml_run(h.r, &call, &a, &e), 0);
    ml_secret *s = ml_answer_at(a, 0);
    size_t n;
    assert_memory_equal(ml_secret_data(s, &n), "v\0w", 3);
    assert_int_equal(n, 3);
    assert_string_equal(ml_secret_version(s), "7");
    assert_string_equal(ml_secret_content_type(s), "text/plain");
    assert_string_equal(ml_secret_source(s), "m");
    assert_string_equal(ml_secret_key(s), "a/b");
    assert_string_equal(h.key, "a/b");
    assert_string_equal(h.version, "5");
    ml_answer_free(a);
    h.answer = (ml_fetched){ML_FETCHED_INIT};
    assert_int_equal(ml_get(h.r, "empty", NULL, 0, &s, &e), 0);
    assert_non_null(ml_secret_data(s, &n));
    assert_int_equal(n, 0);
    ml_secret_unref(s);
    ml_close(h.r);
    assert_int_equal(h.cancels, 0);
}

/* Each outcome is itself: only missing goes on to the next source. */
static void test_outcomes(void **state)
{
    (void)state;
    static const int codes[] = {ML_EDISABLED,  ML_EFORBIDDEN,   ML_EUNAUTHENTICATED,
                                ML_ETHROTTLED, ML_EUNAVAILABLE, ML_EINVALID,
                                ML_EUSAGE};
    host h;
    ml_err e;
    open_host(&h);
    h.answer = (ml_fetched){ML_FETCHED_INIT, .code = ML_EMISSING};
    assert_int_equal(get_code(&h, "both/x", &e), 0);
    assert_int_equal(get_code(&h, "x", &e), ML_EMISSING);
    h.answer.text = "the\nreason";
    for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
        h.answer.code = codes[i];
        assert_int_equal(get_code(&h, "both/x", &e), codes[i]);
        assert_string_equal(e.text, "source \"mine\": the?reason");
        assert_string_equal(e.source, "m");
        assert_string_equal(e.key, "x");
    }
    static const int strange[] = {1, ML_EPOLICY, ML_ECANCELED, ML_ENOMEM, -99};
    for (size_t i = 0; i < sizeof(strange) / sizeof(*strange); i++) {
        h.answer.code = strange[i];
        assert_int_equal(get_code(&h, "both/x", &e), ML_EINVALID);
    }
    h.answer = (ml_fetched){ML_FETCHED_INIT, .value_len = 4096}; /* of nothing */
    assert_int_equal(get_code(&h, "both/x", &e), ML_EINVALID);
    h.answer = (ml_fetched){0}; /* without ML_FETCHED_INIT */
    assert_int_equal(get_code(&h, "both/x", &e), ML_EINVALID);
    ml_close(h.r);
}

static void test_list(void **state)
{
    (void)state;
    host h;
    ml_err e;
    ml_answer *a = NULL;
    const char *keys[] = {"b", "a", "b"};
    open_host(&h);
    h.answer = (ml_fetched){ML_FETCHED_INIT, .keys = keys, .n_keys = 3};
    assert_int_equal(ml_list(h.r, "?", NULL, 0, &a, &e), 0);
    ml_answer_free(a);
    assert_int_equal(ml_list(h.r, NULL, NULL, 0, &a, &e), 0);
    int found = 0;
    for (size_t i = 0; i < ml_answer_count(a); i++) {
        size_t n;
        ml_secret *s = ml_answer_at(a, i);
        assert_null(ml_secret_data(s, &n));
        found += strcmp(ml_secret_source(s), "m") == 0;
    }
    assert_int_equal(found, 4); /* a and b, each also as both/... */
    ml_answer_free(a);
    h.answer = (ml_fetched){ML_FETCHED_INIT, .n_keys = 3}; /* of nothing */
    assert_int_equal(ml_list(h.r, NULL, NULL, 0, &a, &e), ML_EINVALID);
    keys[1] = NULL;
    h.answer = (ml_fetched){ML_FETCHED_INIT, .keys = keys, .n_keys = 3};
    assert_int_equal(ml_list(h.r, NULL, NULL, 0, &a, &e), ML_EINVALID);
    h.answer = (ml_fetched){ML_FETCHED_INIT, .code = ML_EFORBIDDEN};
    assert_int_equal(ml_list(h.r, NULL, NULL, 0, &a, &e), ML_EFORBIDDEN);
    assert_int_equal(ml_put(h.r, "x", "v", 1, NULL, 0, &e), ML_EUSAGE);
    ml_close(h.r);
}

static void test_adding(void **state)
{
    (void)state;
    host h;
    ml_err e;
    ml_source_ops bad = ops;
    open_bare(&h);
    assert_int_equal(get_code(&h, "x", &e), ML_EPOLICY);
    assert_non_null(strstr(e.text, "ml_add_source(r, \"mine\""));
    assert_int_equal(ml_add_source(h.r, "", &ops, &h, &e), ML_EUSAGE);
    assert_int_equal(ml_add_source(h.r, "mine", NULL, &h, &e), ML_EUSAGE);
    bad.get = NULL;
    assert_int_equal(ml_add_source(h.r, "mine", &bad, &h, &e), ML_EUSAGE);
    bad = (ml_source_ops){.get = get};
    assert_int_equal(ml_add_source(h.r, "mine", &bad, &h, &e), ML_EUSAGE);
    bad = (ml_source_ops){ML_SOURCE_OPS_INIT, .get = get};
    assert_int_equal(ml_add_source(h.r, "mine", &bad, &h, &e), 0);
    assert_int_equal(ml_add_source(h.r, "mine", &ops, &h, &e), ML_EUSAGE);
    assert_int_equal(get_code(&h, "x", &e), 0);
    ml_answer *a = NULL;
    assert_int_equal(ml_list(h.r, NULL, NULL, 0, &a, &e), 0); /* it cannot list */
    assert_non_null(strstr(ml_answer_text(a), "not listed: m (host) cannot list"));
    ml_answer_free(a);
    ml_close(h.r);
}

/* In the host's functions: starting is allowed, stepping and blocking are not. */
static void test_inside(void **state)
{
    (void)state;
    host h;
    ml_err e;
    open_host(&h);
    h.calls_back = h.starts = true;
    assert_int_equal(get_code(&h, "x", &e), 0);
    assert_int_equal(h.step_code, ML_EBUSY);
    assert_int_equal(h.run_code, ML_EBUSY);
    for (int i = 0; i < 1000 && h.dones == 0; i++) ml_step(h.r, 1000);
    assert_int_equal(h.dones, 1);
    ml_close(h.r);
}

typedef struct seen {
    int calls, code;
} seen;

static void note(ml_request *q, const ml_answer *a, const ml_err *e, void *arg)
{
    (void)q;
    (void)a;
    ((seen *)arg)->calls++;
    ((seen *)arg)->code = e->code;
}

static void step_until(host *h, const int *count, int wanted)
{
    for (int i = 0; i < 1000 && *count < wanted; i++) ml_step(h->r, 1000);
    assert_int_equal(*count, wanted);
}

/* Later, with the host's own lock held. */
static void test_later(void **state)
{
    (void)state;
    host h;
    seen s = {0};
    open_host(&h);
    h.keeps = true;
    assert_non_null(ml_start(h.r, &get_x, note, &s, NULL));
    step_until(&h, &h.gets, 1);
    assert_int_equal(s.calls, 0);
    end_held(&h);
    assert_int_equal(s.calls, 0);
    step_until(&h, &s.calls, 1);
    assert_int_equal(s.code, 0);
    ml_close(h.r);
}

/* Canceled before it was begun, while the host works, and while its answer waits. */
static void test_cancel(void **state)
{
    (void)state;
    host h;
    open_host(&h);
    h.keeps = true;
    for (int turn = 0; turn < 3; turn++) {
        seen s = {0};
        int gets = h.gets, cancels = h.cancels;
        ml_request *q = ml_start(h.r, &get_x, note, &s, NULL);
        if (turn > 0) step_until(&h, &h.gets, gets + 1);
        if (turn == 2) end_held(&h);
        ml_cancel(q);
        step_until(&h, &s.calls, 1);
        assert_int_equal(s.code, ML_ECANCELED);
        assert_int_equal(h.gets, gets + (turn > 0));
        assert_int_equal(h.cancels, cancels + (turn == 1));
        end_held(&h); /* what it brings now is dropped */
        assert_int_equal(ml_step(h.r, 0), 0);
    }
    ml_close(h.r);
}

/* A host that never answers costs the deadline, not more. */
static void test_late(void **state)
{
    (void)state;
    host h;
    seen s = {0};
    ml_call brief = get_x;
    brief.deadline_ms = 30;
    open_host(&h);
    h.keeps = true;
    assert_non_null(ml_start(h.r, &brief, note, &s, NULL));
    step_until(&h, &s.calls, 1);
    assert_int_equal(s.code, ML_EUNAVAILABLE);
    assert_int_equal(h.cancels, 1);
    end_held(&h);
    ml_close(h.r);
}

/* Closing with fetches in flight: each is told, and done may come before or after. */
static void test_close(void **state)
{
    (void)state;
    for (int before = 0; before < 2; before++) {
        host h;
        seen s = {0};
        open_host(&h);
        h.keeps = true;
        for (int i = 0; i < 3; i++)
            assert_non_null(ml_start(h.r, &get_x, note, &s, NULL));
        step_until(&h, &h.gets, 3);
        if (before) end_held(&h);
        ml_close(h.r);
        assert_int_equal(s.calls, 3);
        assert_int_equal(s.code, ML_ECANCELED);
        assert_int_equal(h.cancels, before ? 0 : 3);
        end_held(&h);
    }
}

static void test_fork(void **state)
{
    (void)state;
    host h;
    seen s = {0};
    ml_err e;
    open_host(&h);
    h.keeps = true;
    assert_non_null(ml_start(h.r, &get_x, note, &s, NULL));
    step_until(&h, &h.gets, 1);
    pid_t child = fork();
    if (child == 0) {
        end_held(&h); /* does nothing */
        _exit(ml_add_source(h.r, "other", &ops, &h, &e) == ML_EFORKED ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(ml_step(h.r, 0), 0);
    end_held(&h);
    step_until(&h, &s.calls, 1);
    assert_int_equal(s.code, 0);
    ml_close(h.r);
}

enum { CALLERS = 6, ROUNDS = 40 };

static void *get_many(void *arg)
{
    host *h = arg;
    ml_err e;
    for (int i = 0; i < ROUNDS; i++) {
        if (get_code(h, "x", &e) == 0) atomic_fetch_add(&h->dones, 1);
    }
    return NULL;
}

/* Blocking callers on many threads, answers from as many others. */
static void test_threads(void **state)
{
    (void)state;
    host h;
    pthread_t callers[CALLERS];
    open_host(&h);
    h.threads = true;
    for (int i = 0; i < CALLERS; i++) pthread_create(&callers[i], NULL, get_many, &h);
    for (int i = 0; i < CALLERS; i++) pthread_join(callers[i], NULL);
    assert_int_equal(h.dones, CALLERS * ROUNDS);
    assert_int_equal(h.gets, CALLERS * ROUNDS);
    ml_close(h.r);
}

/* Cancels, answers and a close that race each other. */
static void *end_some(void *arg)
{
    host *h = arg;
    for (int i = 0; i < 200; i++) {
        pthread_mutex_lock(&h->lock);
        ml_fetch *f = h->n_held > 0 ? h->held[--h->n_held] : NULL;
        pthread_mutex_unlock(&h->lock);
        if (f) ml_fetch_done(f, &fine);
        if (!f) nap();
    }
    return NULL;
}

static void test_races(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        host h;
        pthread_t ender;
        int calls = 0;
        ml_request *open_requests[20];
        seen s[20] = {{0}};
        open_host(&h);
        h.keeps = true;
        pthread_create(&ender, NULL, end_some, &h);
        for (int i = 0; i < 20; i++) {
            open_requests[i] = ml_start(h.r, &get_x, note, &s[i], NULL);
            ml_step(h.r, 0);
        }
        for (int i = 0; i < 20; i += 2) {
            if (s[i].calls == 0) ml_cancel(open_requests[i]);
        }
        for (int i = 0; i < 5; i++) ml_step(h.r, 1);
        ml_close(h.r);
        pthread_join(ender, NULL);
        end_held(&h);
        for (int i = 0; i < 20; i++) calls += s[i].calls;
        assert_int_equal(calls, 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_at_once), cmocka_unit_test(test_outcomes),
        cmocka_unit_test(test_list),    cmocka_unit_test(test_adding),
        cmocka_unit_test(test_inside),  cmocka_unit_test(test_later),
        cmocka_unit_test(test_cancel),  cmocka_unit_test(test_late),
        cmocka_unit_test(test_close),   cmocka_unit_test(test_fork),
        cmocka_unit_test(test_threads), cmocka_unit_test(test_races),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
