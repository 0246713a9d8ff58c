/* reload.c - threads ask while another one reloads: every answer is whole, one policy's
 * or the other's, and after the last reload only the last one's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <unistd.h>

#include "moonlatch.h"

enum { ASKING = 4, RELOADS = 60 };

static char path[64];
static ml_resolver *resolver;
static atomic_bool is_over;
static atomic_int n_wrong, n_asked;

/* Whole or not at all: a reload may come at any time. */
static void write_policy(const char *key)
{
    char next[80];
    snprintf(next, sizeof(next), "%s.next", path);
    FILE *f = fopen(next, "we");
    assert_non_null(f);
    fprintf(f,
            "local ml = require 'moonlatch.policy'\n"
            "return ml.policy { ml.rule { names = { x = '%s' },"
            " from = ml.environment {} } }\n",
            key);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(rename(next, path), 0);
}

static int asked_value(unsigned flags)
{
    ml_call call = {ML_CALL_INIT, .verb = ML_GET, .name = "x", .flags = flags};
    ml_answer *a = NULL;
    int value = -1;
    if (ml_run(resolver, &call, &a, NULL) == 0) {
        size_t n = 0;
        const char *p = ml_secret_data(ml_answer_at(a, 0), &n);
        if (n == 1) value = p[0] - '0';
    }
    ml_answer_free(a);
    return value;
}

static void *ask(void *arg)
{
    (void)arg;
    for (unsigned i = 0; !atomic_load(&is_over); i++) {
        int value = asked_value(i % 2 ? ML_REFRESH : 0);
        if (value != 1 && value != 2) atomic_fetch_add(&n_wrong, 1);
        atomic_fetch_add(&n_asked, 1);
    }
    return NULL;
}

static void test_reload_among_threads(void **state)
{
    (void)state;
    static const ml_pair env[] = {{"ONE", "1"}, {"TWO", "2"}};
    snprintf(path, sizeof(path), "/tmp/moonlatch-reload-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    write_policy("ONE");
    ml_err e;
    ml_options o = {ML_OPTIONS_INIT, .policy_file = path, .env = env, .n_env = 2,
                    .lua_deadline_ms = 60000};
    if (ml_open(&resolver, &o, &e) < 0) fail_msg("%s", e.text);
    pthread_t threads[ASKING];
    for (int i = 0; i < ASKING; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask, NULL), 0);
    for (int i = 0; i < RELOADS; i++) {
        const char *const now = i % 2 ? "ONE" : "TWO";
        write_policy(now);
        if (ml_reload(resolver, &e) != 0) fail_msg("%s", e.text);
        assert_int_equal(asked_value(0), i % 2 ? 1 : 2);
    }
    atomic_store(&is_over, true);
    for (int i = 0; i < ASKING; i++) pthread_join(threads[i], NULL);
    assert_int_equal(n_wrong, 0);
    assert_true(n_asked > 0);
    ml_close(resolver);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_reload_among_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
