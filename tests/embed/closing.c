/* closing.c - ml_close with others inside: everybody leaves, each call ends once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "moonlatch.h"

enum { BLOCKED = 4, CALM_MS = 50 };

#define ENV_POLICY                                                                     \
    "local ml = require 'moonlatch.policy'\n"                                          \
    "return ml.policy { ml.rule '**' { from = ml.environment {} } }\n"

typedef struct host {
    ml_resolver *r;
    int server;
    atomic_int ended, canceled, dones;
    atomic_int n_tids;
    _Atomic pid_t tids[BLOCKED];
} host;

/* A vault that accepts connections and never says a word. */
static void open_host(host *h)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(at);
    char policy[512];
    ml_err e;
    *h = (host){.server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_int_equal(bind(h->server, (struct sockaddr *)&at, n), 0);
    assert_int_equal(listen(h->server, 16), 0);
    assert_int_equal(getsockname(h->server, (struct sockaddr *)&at, &n), 0);
    snprintf(policy, sizeof(policy),
             "local ml = require 'moonlatch.policy'\n"
             "local kv = ml.azure_key_vault { vault_url = 'https://127.0.0.1:%d' }\n"
             "local env = ml.environment {}\n"
             "return ml.policy { ml.rule 'hang/*' { strip = 'hang/', from = kv },\n"
             "  ml.rule '**' { from = env } }\n",
             ntohs(at.sin_port));
    ml_options o = {ML_OPTIONS_INIT, .policy_text = policy, .deadline_ms = 60000};
    if (ml_open(&h->r, &o, &e) < 0) fail_msg("%s", e.text);
}

static void *block(void *arg)
{
    host *h = arg;
    ml_secret *s = NULL;
    ml_err e;
    h->tids[h->n_tids++] = gettid();
    if (ml_get(h->r, "hang/x", NULL, 0, &s, &e) == ML_ECANCELED) h->canceled++;
    h->ended++;
    return NULL;
}

static bool is_asleep(pid_t tid)
{
    char path[64], state = 0;
    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
    FILE *f = tid ? fopen(path, "r") : NULL;
    if (!f) return false;
    int n = fscanf(f, "%*d (%*[^)]) %c", &state);
    fclose(f);
    return n == 1 && state == 'S';
}

/* All of them sleep, and go on sleeping: they wait inside ml_get.  A thread that comes
 * to a handle that was closed before would be the host's mistake. */
static void await_sleepers(const host *h)
{
    for (int calm_ms = 0; calm_ms < CALM_MS; calm_ms++) {
        for (int i = 0; i < BLOCKED; i++) {
            if (!is_asleep(h->tids[i])) calm_ms = 0;
        }
        usleep(1000);
    }
}

static void start_blocked(host *h, pthread_t threads[BLOCKED])
{
    for (int i = 0; i < BLOCKED; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, block, h), 0);
    }
    await_sleepers(h);
}

static void join_blocked(host *h, pthread_t threads[BLOCKED])
{
    for (int i = 0; i < BLOCKED; i++) pthread_join(threads[i], NULL);
    assert_int_equal(h->ended, BLOCKED);
    assert_int_equal(h->canceled, BLOCKED);
    close(h->server);
}

static void test_from_another_thread(void **state)
{
    (void)state;
    host h;
    pthread_t threads[BLOCKED];
    open_host(&h);
    start_blocked(&h, threads);
    ml_close(h.r);
    join_blocked(&h, threads);
}

static void close_it(ml_request *q, const ml_answer *a, const ml_err *e, void *arg)
{
    (void)q;
    (void)a;
    (void)e;
    host *h = arg;
    h->dones++;
    ml_close(h->r);
    ml_close(h->r); /* once more does no harm */
}

/* The done may run on the starter's thread or on that of whoever leads. */
static void test_inside_done_with_others(void **state)
{
    (void)state;
    host h;
    pthread_t threads[BLOCKED];
    ml_call call = {ML_CALL_INIT, .verb = ML_GET, .name = "HOME"};
    open_host(&h);
    start_blocked(&h, threads);
    assert_non_null(ml_start(h.r, &call, close_it, &h, NULL));
    join_blocked(&h, threads);
    assert_int_equal(h.dones, 1);
}

/* A crowd at the door: one call is inside and holds it shut (in its log function),
 * ml_close waits behind it, and behind that a call that had begun all the same. */
typedef struct door {
    ml_resolver *r;
    atomic_bool is_held, may_open;
    _Atomic pid_t closer, late;
} door;

/* It waits for a lock and goes on waiting.  That a thread sleeps does not say so: on a
 * busy machine, or under valgrind, it may not have begun. */
static void await_locked_out(const _Atomic pid_t *tid)
{
    for (int calm_ms = 0; calm_ms < CALM_MS; calm_ms++) {
        char path[64], line[200] = "";
        snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", (int)*tid);
        FILE *f = *tid ? fopen(path, "r") : NULL;
        bool is_read = f && fgets(line, sizeof(line), f);
        if (!is_read || strtol(line, NULL, 10) != SYS_futex) calm_ms = 0;
        if (f) fclose(f);
        usleep(1000);
    }
}

static void hold(void *arg, ml_log_level level, const char *area, const char *text)
{
    door *d = arg;
    (void)level;
    (void)area;
    (void)text;
    d->is_held = true;
    while (!d->may_open) usleep(1000);
}

static void *get_home(void *arg)
{
    ml_secret *s = NULL;
    if (ml_get(((door *)arg)->r, "HOME", NULL, 0, &s, NULL) == 0) ml_secret_unref(s);
    return NULL;
}

static void *come_late(void *arg)
{
    ((door *)arg)->late = gettid();
    return get_home(arg);
}

static void *close_door(void *arg)
{
    ((door *)arg)->closer = gettid();
    ml_close(((door *)arg)->r);
    return NULL;
}

static void test_while_others_come_in(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        door d = {0};
        pthread_t inside, closer, late;
        ml_err e;
        ml_options o = {ML_OPTIONS_INIT,
                        .log = hold,
                        .log_arg = &d,
                        .log_level = ML_LOG_INFO,
                        .policy_text = ENV_POLICY,
                        .cache_ttl_ms = -1};
        if (ml_open(&d.r, &o, &e) < 0) fail_msg("%s", e.text);
        assert_int_equal(pthread_create(&inside, NULL, get_home, &d), 0);
        while (!d.is_held) usleep(1000);
        assert_int_equal(pthread_create(&closer, NULL, close_door, &d), 0);
        await_locked_out(&d.closer);
        assert_int_equal(pthread_create(&late, NULL, come_late, &d), 0);
        await_locked_out(&d.late);
        d.may_open = true;
        pthread_join(inside, NULL);
        pthread_join(late, NULL);
        pthread_join(closer, NULL);
    }
}

static void *hit_for_a_while(void *arg)
{
    ml_resolver *r = arg;
    for (int i = 0; i < 20000; i++) {
        ml_secret *s = NULL;
        if (ml_get(r, "HOME", NULL, 0, &s, NULL) == 0) ml_secret_unref(s);
    }
    return NULL;
}

/* A child may close its copy, whatever the parent's threads were doing. */
static void test_child_closes(void **state)
{
    (void)state;
    host h;
    pthread_t threads[BLOCKED];
    open_host(&h);
    for (int i = 0; i < BLOCKED; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, hit_for_a_while, h.r), 0);
    }
    for (int i = 0; i < 10; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(10);
            ml_close(h.r);
            _exit(0);
        }
        int status = -1;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    for (int i = 0; i < BLOCKED; i++) pthread_join(threads[i], NULL);
    ml_close(h.r);
    close(h.server);
}

int main(void)
{
    setenv("HOME", "/nowhere", 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_from_another_thread),
        cmocka_unit_test(test_inside_done_with_others),
        cmocka_unit_test(test_while_others_come_in),
        cmocka_unit_test(test_child_closes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
