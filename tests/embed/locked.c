/* locked.c - what a host is told about the memory of its secrets, where it may lock it
 * and where it may not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "moonlatch.h"

enum { NOBODY = 65534, MUCH = 512 * 1024 };

static const char policy[] =
    "local ml = require 'moonlatch.policy'\n"
    "return ml.policy { ml.rule '*' { from = ml.environment {} } }\n";
static const ml_pair env[] = {{"ML_T_CANARY", "the value of the canary"}};

static int n_lines;
static char last_line[512];

static void on_log(void *arg, ml_log_level level, const char *area, const char *text)
{
    (void)arg;
    if (strcmp(area, "memory") != 0) return;
    n_lines++;
    snprintf(last_line, sizeof(last_line), "%d %s", level, text);
}

static ml_resolver *open_it(void)
{
    ml_resolver *r = NULL;
    ml_err e;
    ml_options o = {ML_OPTIONS_INIT,      .policy_text = policy,
                    .env = env,           .n_env = 1,
                    .log = on_log,        .log_level = ML_LOG_WARN,
                    .cache_ttl_ms = 60000};
    n_lines = 0;
    if (ml_open(&r, &o, &e) < 0) fprintf(stderr, "%s\n", e.text);
    return r;
}

static ml_numbers numbers_of(ml_resolver *r)
{
    ml_numbers n = {ML_NUMBERS_INIT};
    if (ml_stats(r, &n, NULL) < 0) n.locked_bytes = n.unlocked_bytes = UINT64_MAX;
    return n;
}

/* A row of the Prometheus text, or -1. */
static long long row(ml_resolver *r, const char *name)
{
    ml_answer *a = NULL;
    char wanted[64];
    if (ml_metrics_text(r, &a, NULL) < 0) return -1;
    snprintf(wanted, sizeof(wanted), "\n%s ", name);
    const char *at = strstr(ml_answer_text(a), wanted);
    long long value = at ? strtoll(at + strlen(wanted), NULL, 10) : -1;
    ml_answer_free(a);
    return value;
}

/* In a child: what does not hold is its exit code, the line. */
#define DEMAND(what)                                                                   \
    do {                                                                               \
        if (!(what)) _exit(__LINE__);                                                  \
    } while (0)

static void be_somebody_with_limit(rlim_t bytes)
{
    DEMAND(setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){bytes, bytes}) == 0);
    DEMAND(geteuid() != 0 || setresuid(NOBODY, NOBODY, NOBODY) == 0);
}

static void without_locks(void)
{
    struct rlimit after;
    ml_secret *s = NULL, *again = NULL;
    size_t len = 0;
    be_somebody_with_limit(0);
    ml_resolver *r = open_it();
    DEMAND(r && ml_get(r, "ML_T_CANARY", NULL, 0, &s, NULL) == 0);
    DEMAND(ml_get(r, "ML_T_CANARY", NULL, 0, &again, NULL) == 0 && again == s);
    DEMAND(strcmp(ml_secret_data(s, &len), env[0].value) == 0 && len == 23);
    DEMAND(n_lines == 1);
    DEMAND(strstr(last_line, "1 ") == last_line); /* a warning */
    DEMAND(strstr(last_line, "could not be locked") && strstr(last_line, "ulimit -l") &&
           strstr(last_line, "LimitMEMLOCK=") && strstr(last_line, "is 0 bytes;"));
    ml_numbers n = numbers_of(r);
    DEMAND(n.locked_bytes == 0 && n.unlocked_bytes >= 4096);
    DEMAND(row(r, "moonlatch_locked_bytes") == 0);
    DEMAND(row(r, "moonlatch_unlocked_bytes") >= 4096);
    DEMAND(getrlimit(RLIMIT_MEMLOCK, &after) == 0 && after.rlim_cur == 0);
    ml_secret_unref(s);
    ml_secret_unref(again);
    ml_close(r);
}

static void with_locks(void)
{
    ml_secret *s = NULL;
    be_somebody_with_limit(MUCH);
    ml_resolver *r = open_it();
    DEMAND(r && ml_get(r, "ML_T_CANARY", NULL, 0, &s, NULL) == 0);
    ml_numbers n = numbers_of(r);
    DEMAND(n.locked_bytes >= 4096 && n.locked_bytes <= MUCH && n.unlocked_bytes == 0);
    DEMAND(row(r, "moonlatch_locked_bytes") >= 4096);
    DEMAND(row(r, "moonlatch_unlocked_bytes") == 0);
    DEMAND(n_lines == 0);
    ml_close(r); /* what the host still holds stays where it was */
    DEMAND(strcmp(ml_secret_data(s, NULL), env[0].value) == 0);
    ml_secret_unref(s);
}

static int in_child(void (*run)(void))
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        alarm(30);
        run();
        _exit(0);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void test_without_locks(void **state)
{
    (void)state;
    assert_int_equal(in_child(without_locks), 0);
}

static void test_with_locks(void **state)
{
    (void)state;
    struct rlimit l = {0, 0};
    assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &l), 0);
    if (l.rlim_max < MUCH && geteuid() != 0) skip(); /* none here: it says so */
    assert_int_equal(in_child(with_locks), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_locks),
        cmocka_unit_test(test_with_locks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
