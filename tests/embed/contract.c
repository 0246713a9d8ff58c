/* contract.c - what moonlatch.h promises to a host, kept from the outside.
 *
 * The policy reads environment variables, so there is no network; one test asks a
 * listening socket that never answers, to have something to cancel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "moonlatch.h"

#define ENV_POLICY                                                                     \
    "local ml = require 'moonlatch.policy'\n"                                          \
    "local env = ml.environment {}\n"                                                  \
    "return ml.policy { ml.rule '**' { from = { env } } }\n"

static const ml_pair env[] = {{"ONE", "first"}, {"TWO", "second"}, {"EMPTY", ""}};

static ml_resolver *open_text(const char *text, int cache_ttl_ms)
{
    ml_resolver *r = NULL;
    ml_err e;
    ml_options o = {ML_OPTIONS_INIT, .policy_text = text,          .env = env,
                    .n_env = 3,      .cache_ttl_ms = cache_ttl_ms, .deadline_ms = 5000};
    if (ml_open(&r, &o, &e) < 0) fail_msg("%s", e.text);
    return r;
}

typedef struct seen {
    int calls;
    int code;
    char value[32];
    char text[sizeof((ml_err){0}.text)];
    ml_resolver *r;
    ml_request *other;
    int step_code, run_code;
    ml_secret *kept;
} seen;

static void note(ml_request *q, const ml_answer *a, const ml_err *e, void *arg)
{
    (void)q;
    seen *s = arg;
    s->calls++;
    s->code = e->code;
    snprintf(s->text, sizeof(s->text), "%s", e->text);
    if (!a || ml_answer_count(a) == 0) return;
    size_t n;
    const void *p = ml_secret_data(ml_answer_at(a, 0), &n);
    memcpy(s->value, p, n);
    s->value[n] = '\0';
}

static const ml_call get_one = {ML_CALL_INIT, .verb = ML_GET, .name = "ONE"};

static void step_until(ml_resolver *r, const int *calls, int wanted)
{
    for (int i = 0; i < 1000 && *calls < wanted; i++) ml_step(r, 1000);
    assert_int_equal(*calls, wanted);
}

/* However long its name is, a variable that is set is not missing. */
static void test_long_name(void **state)
{
    (void)state;
    char name[1001];
    ml_err e;
    ml_secret *s = NULL;
    ml_resolver *r = open_text(ENV_POLICY, 0);
    memset(name, 'N', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(setenv(name, "found", 1), 0);
    assert_int_equal(ml_get(r, name, NULL, 0, &s, &e), 0);
    ml_secret_unref(s);
    unsetenv(name);
    ml_close(r);
}

static void test_blocking(void **state)
{
    (void)state;
    ml_resolver *r = open_text(ENV_POLICY, 0);
    ml_err e;
    ml_secret *s = NULL;
    assert_int_equal(ml_get(r, "ONE", NULL, 0, &s, &e), 0);
    size_t n;
    assert_memory_equal(ml_secret_data(s, &n), "first", 5);
    assert_int_equal(n, 5);
    assert_string_equal(ml_secret_key(s), "ONE");
    assert_string_equal(ml_secret_name(s), "ONE");
    ml_secret_unref(s);
    assert_int_equal(ml_get(r, "EMPTY", NULL, 0, &s, &e), 0);
    assert_non_null(ml_secret_data(s, &n));
    assert_int_equal(n, 0);
    ml_secret_unref(s);
    s = NULL;
    assert_int_equal(ml_get(r, "NOWHERE", NULL, 0, &s, &e), ML_EMISSING);
    assert_null(s);
    assert_string_equal(e.key, "NOWHERE");
    memset(&e, 'x', sizeof(e)); /* whatever was there before */
    assert_int_equal(ml_get(r, "", NULL, 0, &s, &e), ML_EUSAGE);
    assert_true(e.source[0] == '\0' && e.key[0] == '\0' && e.request_id[0] == '\0');
    assert_int_equal(e.http_status, 0);
    assert_int_equal(ml_get(r, NULL, NULL, 0, &s, &e), ML_EUSAGE);
    assert_int_equal(ml_get(r, "ONE", &(ml_pair){"team", NULL}, 1, &s, &e), ML_EUSAGE);
    assert_int_equal(ml_get(r, "ONE", NULL, 1, &s, &e), ML_EUSAGE);
    assert_int_equal(ml_get(r, "ONE", NULL, 0, &s, &e), 0);
    assert_int_equal(e.code, 0); /* also of a hit, after an error */
    ml_secret_unref(s);
    ml_close(r);
}

/* done comes once, later, from a step: never from inside the start, not even on a hit.
 */
static void test_done_is_never_early(void **state)
{
    (void)state;
    ml_resolver *r = open_text(ENV_POLICY, 0);
    for (int round = 0; round < 2; round++) { /* the second one is a hit of the cache */
        seen s = {0};
        assert_non_null(ml_start(r, &get_one, note, &s, NULL));
        assert_int_equal(s.calls, 0);
        struct pollfd watch = {.fd = ml_fd(r), .events = POLLIN};
        assert_int_equal(poll(&watch, 1, 5000), 1);
        step_until(r, &s.calls, 1);
        assert_int_equal(s.code, 0);
        assert_string_equal(s.value, "first");
        assert_int_equal(ml_step(r, 0), 0);
        assert_int_equal(s.calls, 1);
    }
    assert_int_equal(ml_timeout_ms(r), -1);
    ml_close(r);
}

static void poke(ml_request *q, const ml_answer *a, const ml_err *e, void *arg)
{
    note(q, a, e, arg);
    seen *s = arg;
    ml_answer *answer = NULL;
    ml_err err;
    s->step_code = ml_step(s->r, 0);
    s->run_code = ml_run(s->r, &get_one, &answer, &err);
    s->kept = ml_secret_ref(ml_answer_at(a, 0));
    s->other = ml_start(s->r, &get_one, note, s, NULL);
}

/* Inside done: starting is fine, stepping and blocking are not, and a reference keeps.
 */
static void test_inside_done(void **state)
{
    (void)state;
    ml_resolver *r = open_text(ENV_POLICY, 0);
    seen s = {.r = r};
    assert_non_null(ml_start(r, &get_one, poke, &s, NULL));
    step_until(r, &s.calls, 1);
    assert_int_equal(s.step_code, ML_EBUSY);
    assert_int_equal(s.run_code, ML_EBUSY);
    assert_non_null(s.other);
    step_until(r, &s.calls, 2);
    ml_close(r);
    size_t n;
    assert_memory_equal(ml_secret_data(s.kept, &n), "first", 5);
    ml_secret_unref(s.kept);
}

static void close_it(ml_request *q, const ml_answer *a, const ml_err *e, void *arg)
{
    note(q, a, e, arg);
    ml_close(((seen *)arg)->r);
}

/* A close from inside done takes effect when the step ends; others in flight are told.
 */
static void test_close_inside_done(void **state)
{
    (void)state;
    ml_resolver *r = open_text(ENV_POLICY, -1);
    seen s = {.r = r};
    assert_non_null(ml_start(r, &get_one, close_it, &s, NULL));
    for (int i = 0; i < 100 && s.calls == 0; i++) ml_step(r, 100);
    assert_int_equal(s.calls, 1);
}

/* A listening socket that never accepts: connections hang in TLS. */
static int silent_server(char policy[1024])
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, n), 0);
    assert_int_equal(listen(fd, 5), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
    snprintf(policy, 1024,
             "local ml = require 'moonlatch.policy'\n"
             "local kv = ml.azure_key_vault { vault_url = 'https://127.0.0.1:%d' }\n"
             "return ml.policy { ml.rule '**' { from = { kv } } }\n",
             ntohs(at.sin_port));
    return fd;
}

static void test_cancel_and_deadline(void **state)
{
    (void)state;
    char policy[1024];
    int server = silent_server(policy);
    ml_resolver *r = open_text(policy, 0);
    seen canceled = {0}, late = {0}, closed = {0};
    ml_call slow = {ML_CALL_INIT, .verb = ML_GET, .name = "hangs",
                    .deadline_ms = 60000};
    ml_call brief = {ML_CALL_INIT, .verb = ML_GET, .name = "hangs", .deadline_ms = 50};
    ml_request *q = ml_start(r, &slow, note, &canceled, NULL);
    assert_non_null(q);
    assert_non_null(ml_start(r, &brief, note, &late, NULL));
    assert_non_null(ml_start(r, &slow, note, &closed, NULL));
    ml_step(r, 10);
    ml_cancel(q);
    assert_int_equal(canceled.calls, 0);
    step_until(r, &canceled.calls, 1);
    assert_int_equal(canceled.code, ML_ECANCELED);
    step_until(r, &late.calls, 1);
    assert_int_equal(late.code, ML_EUNAVAILABLE);
    assert_non_null(strstr(late.text, "127.0.0.1"));
    assert_int_equal(closed.calls, 0);
    ml_close(r); /* what is in flight ends exactly once */
    assert_int_equal(closed.calls, 1);
    assert_int_equal(closed.code, ML_ECANCELED);
    close(server);
}

/* An end may be brought forward, never put off, and only while there is one to come. */
static void test_deadline_of_a_request(void **state)
{
    (void)state;
    char policy[1024];
    int server = silent_server(policy);
    ml_resolver *r = open_text(policy, 0);
    seen soon = {0}, now = {0}, later = {0}, canceled = {0};
    ml_call slow = {ML_CALL_INIT, .verb = ML_GET, .name = "hangs",
                    .deadline_ms = 60000};
    ml_request *q = ml_get_start(r, "hangs", NULL, 0, note, &soon, NULL);
    ml_request *at_once = ml_start(r, &slow, note, &now, NULL);
    ml_request *tried = ml_start(r, &slow, note, &later, NULL);
    ml_request *both = ml_start(r, &slow, note, &canceled, NULL);
    ml_step(r, 10);
    ml_request_deadline(tried, 100 * 1000); /* it had less */
    ml_request_deadline(q, 10 * 1000);
    ml_request_deadline(q, 50);
    ml_request_deadline(q, 20 * 1000);
    ml_request_deadline(at_once, -1);
    ml_cancel(both);
    ml_request_deadline(both, 0);
    step_until(r, &now.calls, 1);
    step_until(r, &canceled.calls, 1);
    step_until(r, &soon.calls, 1);
    assert_int_equal(now.code, ML_EUNAVAILABLE);
    assert_int_equal(soon.code, ML_EUNAVAILABLE);
    assert_int_equal(canceled.code, ML_ECANCELED);
    assert_non_null(strstr(soon.text, "time"));
    assert_int_equal(later.calls, 0);
    ml_close(r);
    assert_int_equal(later.code, ML_ECANCELED);
    close(server);
}

static void hurry(ml_request *q, const ml_answer *a, const ml_err *e, void *arg)
{
    note(q, a, e, arg);
    ml_request_deadline(((seen *)arg)->other, 0);
}

/* From inside another's done, and of a hit that is about to be told. */
static void test_deadline_inside_done(void **state)
{
    (void)state;
    char policy[1024];
    int server = silent_server(policy);
    ml_resolver *r = open_text(ENV_POLICY, 0), *hangs = open_text(policy, 0);
    seen s = {0}, other = {0}, hit = {0};
    s.other = ml_get_start(hangs, "x", NULL, 0, note, &other, NULL);
    assert_non_null(ml_get_start(r, "ONE", NULL, 0, hurry, &s, NULL));
    step_until(r, &s.calls, 1);
    step_until(hangs, &other.calls, 1);
    assert_int_equal(other.code, ML_EUNAVAILABLE);
    ml_request_deadline(ml_get_start(r, "ONE", NULL, 0, note, &hit, NULL), 0);
    step_until(r, &hit.calls, 1);
    assert_true(hit.code == 0 || hit.code == ML_EUNAVAILABLE);
    assert_string_equal(ml_version(), ML_VERSION);
    ml_close(hangs);
    ml_close(r);
    close(server);
}

/* The host's own variables name the proxy, and an exception to it. */
static void test_proxy_from_the_hosts_variables(void **state)
{
    (void)state;
    char policy[1024];
    int server = silent_server(policy);
    for (int direct = 0; direct < 2; direct++) {
        const ml_pair vars[] = {{"HTTPS_PROXY", "http://user:canary@127.0.0.1:1"},
                                {"NO_PROXY", direct ? "127.0.0.1" : ""}};
        ml_options o = {ML_OPTIONS_INIT, .policy_text = policy, .env = vars, .n_env = 2,
                        .deadline_ms = 300};
        ml_resolver *r = NULL;
        ml_secret *s = NULL;
        ml_err e;
        assert_int_equal(ml_open(&r, &o, &e), 0);
        assert_int_equal(ml_get(r, "x", NULL, 0, &s, &e), ML_EUNAVAILABLE);
        bool is_refused = strstr(e.text, "cannot connect") != NULL;
        /* else the silent server keeps us waiting */
        assert_int_equal(is_refused, !direct);
        assert_null(strstr(e.text, "canary"));
        ml_close(r);
    }
    close(server);
}

/* After fork the child's calls fail clean, and the parent's go on. */
static void test_fork(void **state)
{
    (void)state;
    ml_resolver *r = open_text(ENV_POLICY, 0);
    ml_err e;
    ml_secret *s = NULL;
    assert_int_equal(ml_get(r, "ONE", NULL, 0, &s, &e), 0);
    ml_secret_unref(s);
    pid_t child = fork();
    if (child == 0) {
        bool clean = ml_get(r, "ONE", NULL, 0, &s, &e) == ML_EFORKED &&
                     ml_step(r, 0) == ML_EFORKED &&
                     ml_start(r, &get_one, note, NULL, &e) == NULL &&
                     e.code == ML_EFORKED;
        ml_close(r);
        _exit(clean ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(ml_get(r, "TWO", NULL, 0, &s, &e), 0);
    ml_secret_unref(s);
    ml_close(r);
}

/* explain tells that the answer is kept, and asks the sources all the same. */
static void test_explain_tells_of_the_cache(void **state)
{
    (void)state;
    ml_resolver *r = open_text(ENV_POLICY, 0);
    ml_err e;
    for (int round = 0; round < 2; round++) {
        ml_answer *a = NULL;
        ml_secret *s = NULL;
        assert_int_equal(ml_explain(r, "ONE", NULL, 0, &a, &e), 0);
        bool is_kept = strstr(ml_answer_text(a), "answered from memory") != NULL;
        assert_int_equal(is_kept, round == 1);
        assert_non_null(strstr(ml_answer_text(a), "found"));
        assert_null(strstr(ml_answer_text(a), "first"));
        ml_answer_free(a);
        assert_int_equal(ml_get(r, "ONE", NULL, 0, &s, &e), 0);
        ml_secret_unref(s);
    }
    ml_close(r);
}

static void test_bad_options(void **state)
{
    (void)state;
    ml_resolver *r = NULL;
    ml_err e;
    assert_int_equal(ml_open(&r, &(ml_options){ML_OPTIONS_INIT}, &e), ML_EUSAGE);
    assert_int_equal(ml_open(&r, &(ml_options){.policy_text = ENV_POLICY}, &e),
                     ML_EUSAGE);
    assert_int_equal(ml_open(&r,
                             &(ml_options){ML_OPTIONS_INIT, .policy_text = "return 1",
                                           .policy_name = "one.lua"},
                             &e),
                     ML_EPOLICY);
    assert_non_null(strstr(e.text, "one.lua"));
    assert_int_equal(ml_open(&r,
                             &(ml_options){ML_OPTIONS_INIT, .policy_text = "x = = 1",
                                           .policy_name = "two.lua"},
                             &e),
                     ML_EPOLICY);
    assert_non_null(strstr(e.text, "two.lua:1"));
    assert_int_equal(
        ml_open(&r, &(ml_options){ML_OPTIONS_INIT, .policy_file = "/nonexistent.lua"},
                &e),
        ML_EPOLICY);
    assert_non_null(strstr(e.text, "/nonexistent.lua"));
    assert_int_equal(ml_open(&r,
                             &(ml_options){ML_OPTIONS_INIT, .policy_text = ENV_POLICY,
                                           .ca_file = "/nonexistent.pem"},
                             &e),
                     ML_EUSAGE);
    assert_null(r);
    ml_close(NULL);
}

/* A program of an older header knows less of the structs; what it does not know is as
 * if it were zero. */
static void test_older_structs(void **state)
{
    (void)state;
    ml_err e;
    ml_resolver *r = NULL;
    ml_answer *a = NULL;
    ml_options o = {.size = offsetof(ml_options, negative_ttl_ms),
                    .policy_text = ENV_POLICY,
                    .env = env,
                    .n_env = 3,
                    .refresh_percent = -1000,
                    .cache_max_entries = SIZE_MAX};
    ml_call call = {.size = offsetof(ml_call, deadline_ms),
                    .verb = ML_GET,
                    .name = "ONE",
                    .flags = ~0u};
    assert_int_equal(ml_open(&r, &o, &e), 0);
    assert_int_equal(ml_run(r, &call, &a, &e), 0);
    assert_int_equal(ml_answer_count(a), 1);
    ml_answer_free(a);
    call.size = sizeof(call) + 1;
    assert_int_equal(ml_run(r, &call, &a, &e), ML_EUSAGE);
    assert_null(ml_start(r, &call, note, NULL, &e));
    ml_close(r);
    o.size = sizeof(o) + 1;
    assert_int_equal(ml_open(&r, &o, &e), ML_EUSAGE);
}

/* The context takes part in names, and a hit belongs to its context. */
static void test_context(void **state)
{
    (void)state;
    ml_resolver *r =
        open_text("local ml = require 'moonlatch.policy'\n"
                  "local env = ml.environment {}\n"
                  "return ml.policy { ml.rule '**' { prefix = { '{which}' },"
                  " from = { env } } }\n",
                  0);
    ml_err e;
    ml_secret *s = NULL;
    for (int round = 0; round < 2; round++) {
        ml_pair on[] = {{"which", "ON"}}, tw[] = {{"which", "TW"}};
        size_t n;
        assert_int_equal(ml_get(r, "E", on, 1, &s, &e), 0);
        assert_memory_equal(ml_secret_data(s, &n), "first", 5);
        ml_secret_unref(s);
        assert_int_equal(ml_get(r, "O", tw, 1, &s, &e), 0);
        assert_memory_equal(ml_secret_data(s, &n), "second", 6);
        ml_secret_unref(s);
        assert_int_equal(ml_get(r, "E", tw, 1, &s, &e), ML_EMISSING);
        assert_int_equal(ml_get(r, "E", NULL, 0, &s, &e), ML_EUSAGE);
        assert_non_null(strstr(e.text, "which"));
    }
    ml_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocking),
        cmocka_unit_test(test_long_name),
        cmocka_unit_test(test_done_is_never_early),
        cmocka_unit_test(test_inside_done),
        cmocka_unit_test(test_close_inside_done),
        cmocka_unit_test(test_cancel_and_deadline),
        cmocka_unit_test(test_deadline_of_a_request),
        cmocka_unit_test(test_deadline_inside_done),
        cmocka_unit_test(test_proxy_from_the_hosts_variables),
        cmocka_unit_test(test_fork),
        cmocka_unit_test(test_explain_tells_of_the_cache),
        cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_older_structs),
        cmocka_unit_test(test_context),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
