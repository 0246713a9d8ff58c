/* test_http2.c - the same over HTTP/2: nginx stands before the vault. */
#include "support.h"

#include <pthread.h>
#include <stdatomic.h>

enum { THREADS = 4, ROUNDS = 30, MANY = 200 };

static server *vault, *front;
static ml_resolver *r;
static atomic_int http2_lines, wrong, unsure;

static void on_log(void *arg, ml_log_level level, const char *area, const char *text)
{
    (void)arg;
    (void)level;
    if (strcmp(area, "http") == 0 && strstr(text, "HTTP/2")) http2_lines++;
}

static int start(void **state)
{
    clean_environment(state);
    vault = vault_start("--vault", "main", NULL);
    front = front_start(vault);
    if (!front) {
        print_message("nginx is not installed\n");
        server_stop(vault);
        exit(77); /* ctest: skipped */
    }
    r = open_with(&(setup){.vault = vault, .url = front->url, .log = on_log});
    return 0;
}

static int stop(void **state)
{
    (void)state;
    ml_close(r);
    server_stop(front);
    server_stop(vault);
    return 0;
}

static void test_put_and_get(void **state)
{
    (void)state;
    static char large[25601];
    memset(large, 'x', 25600);
    put_text(r, "small", "value");
    put_text(r, "large", large);
    assert_value(r, "small", "value");
    assert_value(r, "large", large);
    assert_int_equal(requests(vault, "set", 200), 2);
    assert_true(http2_lines > 4);
}

static void test_list(void **state)
{
    (void)state;
    char name[16];
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof(name), "item-%d", i);
        put_text(r, name, name);
    }
    ml_answer *a = NULL;
    assert_int_equal(ml_list(r, "item-*", NULL, 0, &a, &last_error), 0);
    assert_int_equal(ml_answer_count(a), 40);
    ml_answer_free(a);
}

static void count(ml_request *q, const ml_answer *a, const ml_err *e, void *arg)
{
    (void)q;
    (void)a;
    if (e->code != 0) {
        fprintf(stderr, "%s: %s\n", ml_outcome(e->code), e->text);
        wrong++;
    }
    ++*(int *)arg;
}

/* More than a connection may carry before nginx gives it up. */
static void test_many_at_once(void **state)
{
    (void)state;
    int done = 0;
    ml_call call = {ML_CALL_INIT, .verb = ML_GET, .name = "small"};
    put_text(r, "small", "value");
    for (int i = 0; i < MANY; i++) {
        assert_non_null(ml_start(r, &call, count, &done, &last_error));
    }
    int64_t until = now_ms() + 60000;
    while (done < MANY && now_ms() < until) ml_step(r, 1000);
    assert_int_equal(done, MANY);
    assert_int_equal(wrong, 0);
}

static void *put_and_get(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        char name[48], value[64];
        ml_secret *s = NULL;
        ml_err e;
        size_t n = 0;
        snprintf(name, sizeof(name), "thread-%d-%d", (int)(intptr_t)arg, i % 5);
        snprintf(value, sizeof(value), "%s-%d", name, i);
        int code;
        while ((code = ml_put(r, name, value, strlen(value), NULL, 0, &e)) ==
               ML_EUNAVAILABLE) {
            unsure++; /* its connection was given up while it was on its way */
            if (!strstr(e.text, "may have been made")) wrong++;
        }
        if (code == 0) code = ml_get(r, name, NULL, 0, &s, &e);
        const void *p = s ? ml_secret_data(s, &n) : NULL;
        if (code < 0) fprintf(stderr, "%s: %s\n", name, e.text);
        if (!p || n != strlen(value) || memcmp(p, value, n) != 0) wrong++;
        ml_secret_unref(s);
    }
    return NULL;
}

/* A put is one version, or an error that says that nobody knows: never two. */
static void test_puts_from_threads(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    int before = requests(vault, "set", 200);
    for (intptr_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, put_and_get, (void *)i), 0);
    }
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(wrong, 0);
    assert_in_range(requests(vault, "set", 200) - before, THREADS * ROUNDS,
                    THREADS * ROUNDS + unsure);
    assert_in_range(unsure, 0, THREADS * ROUNDS / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_put_and_get),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_puts_from_threads),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
