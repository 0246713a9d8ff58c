/* test_lua_calls.c - many calls at once on a source that is written in Lua: one login
 * for all of them, whoever is canceled on the way, and nothing left over at the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "moonlatch.h"

enum { N_CALLS = 20 };

/* Each login adds a byte to $LOG; the script decides how it ends. */
static const char policy[] =
    "local ml = require 'moonlatch.policy'\n"
    "local log = ml.env 'LOG'\n"
    "local s = ml.source { alias = 'mine', exec = true, get = function(key, ctx)\n"
    "  local token, outcome, text = ctx.memo:once('token', function()\n"
    "    local r, o, t = ml.exec { argv = {'/bin/sh', '-c', ml.env 'SCRIPT'},\n"
    "                              env = { LOG = log } }\n"
    "    if not r then return nil, o, t end\n"
    "    if r.status ~= 0 then return nil, 'unauthenticated', 'no login' end\n"
    "    return ml.chomp(r.output), 60\n"
    "  end)\n"
    "  if not token then return nil, outcome, text end\n"
    "  return ml.join { key, '=', token }\n"
    "end }\n"
    "return ml.policy { ml.rule '**' { from = s } }\n";

typedef struct world {
    char log[64];
    ml_resolver *r;
    int n_done;
    int codes[N_CALLS];
    ml_request *requests[N_CALLS];
} world;

typedef struct call {
    world *w;
    int i;
} call;

static call calls[N_CALLS];

static void open_world(world *w, const char *script)
{
    *w = (world){.log = "/tmp/moonlatch-lua-calls-XXXXXX"};
    int fd = mkstemp(w->log);
    assert_true(fd >= 0);
    close(fd);
    const ml_pair env[] = {{"LOG", w->log}, {"SCRIPT", script}};
    ml_err e;
    ml_options o = {ML_OPTIONS_INIT,   .policy_text = policy, .env = env,
                    .n_env = 2,        .deadline_ms = 20000,  .cache_ttl_ms = -1,
                    .allow_exec = true};
    if (ml_open(&w->r, &o, &e) < 0) fail_msg("%s", e.text);
}

static int logins(const world *w)
{
    struct stat st;
    assert_int_equal(stat(w->log, &st), 0);
    return (int)st.st_size;
}

static void close_world(world *w)
{
    ml_close(w->r);
    unlink(w->log);
}

static void on_done(ml_request *q, const ml_answer *answer, const ml_err *e, void *arg)
{
    (void)q;
    const call *c = arg;
    c->w->n_done++;
    c->w->codes[c->i] = e->code;
    if (e->code != 0) return;
    char wanted[32];
    size_t n;
    const void *p = ml_secret_data(ml_answer_at(answer, 0), &n);
    snprintf(wanted, sizeof(wanted), "k%d=token", c->i);
    assert_int_equal(n, strlen(wanted));
    assert_memory_equal(p, wanted, n);
}

static void start(world *w, int i)
{
    char name[16];
    ml_err e;
    snprintf(name, sizeof(name), "k%d", i);
    calls[i] = (call){w, i};
    ml_call c = {ML_CALL_INIT, .verb = ML_GET, .name = name};
    w->requests[i] = ml_start(w->r, &c, on_done, &calls[i], &e);
    assert_non_null(w->requests[i]);
}

static void finish(world *w, int n)
{
    while (w->n_done < n) assert_true(ml_step(w->r, 20000) >= 0);
}

static void test_one_login(void **state)
{
    (void)state;
    world w;
    open_world(&w, "printf x >> $LOG; sleep 0.2; echo token");
    for (int i = 0; i < N_CALLS; i++) start(&w, i);
    finish(&w, N_CALLS);
    for (int i = 0; i < N_CALLS; i++) assert_int_equal(w.codes[i], 0);
    assert_int_equal(logins(&w), 1);
    start(&w, 3); /* and it is kept */
    finish(&w, N_CALLS + 1);
    assert_int_equal(logins(&w), 1);
    close_world(&w);
}

/* All that waited get the one refusal; later calls try again. */
static void test_refused(void **state)
{
    (void)state;
    world w;
    open_world(&w, "printf x >> $LOG; sleep 0.2; exit 1");
    for (int i = 0; i < N_CALLS; i++) start(&w, i);
    finish(&w, N_CALLS);
    for (int i = 0; i < N_CALLS; i++) assert_int_equal(w.codes[i], ML_EUNAUTHENTICATED);
    assert_int_equal(logins(&w), 1);
    start(&w, 0);
    finish(&w, N_CALLS + 1);
    assert_int_equal(logins(&w), 2);
    close_world(&w);
}

/* The one that logs in is canceled: the others do not suffer for it. */
static void test_canceled(void **state)
{
    (void)state;
    world w;
    open_world(&w, "printf x >> $LOG; sleep 0.3; echo token");
    for (int i = 0; i < N_CALLS; i++) start(&w, i);
    while (logins(&w) == 0) assert_true(ml_step(w.r, 10) >= 0);
    ml_cancel(w.requests[0]);
    ml_cancel(w.requests[7]);
    finish(&w, N_CALLS);
    for (int i = 0; i < N_CALLS; i++) {
        assert_int_equal(w.codes[i], i == 0 || i == 7 ? ML_ECANCELED : 0);
    }
    assert_int_equal(logins(&w), 2);
    close_world(&w);
}

/* Closing ends them all, with the program under way. */
static void test_closed(void **state)
{
    (void)state;
    world w;
    open_world(&w, "printf x >> $LOG; sleep 60");
    for (int i = 0; i < N_CALLS; i++) start(&w, i);
    while (logins(&w) == 0) assert_true(ml_step(w.r, 10) >= 0);
    close_world(&w);
    assert_int_equal(w.n_done, N_CALLS);
    for (int i = 0; i < N_CALLS; i++) assert_int_equal(w.codes[i], ML_ECANCELED);
}

/* At once, not when the deadline comes. */
static void test_a_login_inside_of_itself(void **state)
{
    (void)state;
    static const char text[] =
        "local ml = require 'moonlatch.policy'\n"
        "local s = ml.source { alias = 'mine', get = function(key, ctx)\n"
        "  return ctx.memo:once('token', function()\n"
        "    return ctx.memo:once('other', function() return ctx.memo:once('token', "
        "print) end)\n"
        "  end)\n"
        "end }\n"
        "return ml.policy { ml.rule '**' { from = s } }\n";
    ml_err e;
    ml_resolver *r;
    ml_secret *s;
    ml_options o = {ML_OPTIONS_INIT, .policy_text = text, .deadline_ms = 5000};
    if (ml_open(&r, &o, &e) < 0) fail_msg("%s", e.text);
    assert_int_equal(ml_get(r, "x", NULL, 0, &s, &e), ML_EPOLICY);
    assert_non_null(strstr(e.text, "memo:once(\"token\") waits for itself"));
    ml_close(r);
}

static void test_not_allowed(void **state)
{
    (void)state;
    ml_resolver *r = NULL;
    ml_err e;
    const ml_pair env[] = {{"LOG", "x"}, {"SCRIPT", "x"}};
    ml_options o = {ML_OPTIONS_INIT, .policy_text = policy, .env = env, .n_env = 2};
    assert_int_equal(ml_open(&r, &o, &e), ML_EPOLICY);
    assert_non_null(strstr(e.text, "policy:3: the source mine runs programs"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_login),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_canceled),
        cmocka_unit_test(test_closed),
        cmocka_unit_test(test_not_allowed),
        cmocka_unit_test(test_a_login_inside_of_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
