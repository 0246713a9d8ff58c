/* allocator.c - memory of the host's own: all of the library's comes from there and
 * goes back, and whatever it refuses, a call ends well or with ML_ENOMEM.  With a
 * sanitizer, secrets and Lua's memory are the host's, too (pool_checked.c): then they
 * can be refused as well. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "counting.h"
#include "moonlatch.h"

static const char policy[] =
    "local ml = require 'moonlatch.policy'\n"
    "local env = ml.environment {}\n"
    "local store = ml.host_source { name = 'store' }\n"
    "local mine = ml.source { alias = 'mine', get = function(key)\n"
    "  local body = ml.secret_text { '{\"v\": [\"', key, '\"]}' }\n"
    "  return ml.json.field(body, '/v/0'), { version = 3, tags = { a = 'b' } }\n"
    "end }\n"
    "return ml.policy {\n"
    "  ml.rule 'store/*' { strip = 'store/', from = store, ttl = 60 },\n"
    "  ml.rule 'json/*' { strip = 'json/', prefix = 'ML_T_', from = env,\n"
    "    field = '/user/password' },\n"
    "  ml.rule 'lua/*' { strip = 'lua/', from = mine },\n"
    "  ml.rule '*' { prefix = 'ML_T_', upper = true, from = env },\n"
    "  tests = { ml.case 'a' { plan = 'environment:ML_T_A' } },\n"
    "}\n";

static const ml_pair env[] = {
    {"ML_T_A", "1"}, {"ML_T_B", "2"}, {"ML_T_J", "{\"user\":{\"password\":\"xx\"}}"}};

static void store_get(ml_fetch *f, const char *key, const char *version, void *arg)
{
    (void)version;
    (void)arg;
    ml_fetched got = {ML_FETCHED_INIT, .value = key, .value_len = strlen(key)};
    ml_fetch_done(f, &got);
}

static void store_list(ml_fetch *f, void *arg)
{
    (void)arg;
    static const char *const keys[] = {"k1", "k2"};
    ml_fetched got = {ML_FETCHED_INIT, .keys = keys, .n_keys = 2};
    ml_fetch_done(f, &got);
}

static int open_it(ml_resolver **out, ml_err *e)
{
    ml_options o = {
        ML_OPTIONS_INIT, .policy_text = policy, .policy_name = "p.lua", .env = env,
        .n_env = 3,      .keep_metrics = true};
    o.deadline_ms = o.lua_deadline_ms = 600 * 1000; /* Lua without memory is slow */
    ml_source_ops ops = {ML_SOURCE_OPS_INIT, .get = store_get, .list = store_list};
    int rc = ml_open(out, &o, e);
    if (rc < 0) return rc;
    rc = ml_add_source(*out, "store", &ops, NULL, e);
    if (rc < 0) ml_close(*out);
    return rc;
}

static void open_well(ml_resolver **r)
{
    ml_err e;
    if (open_it(r, &e) < 0) fail_msg("%s", e.text);
}

/* ---- what a host does with a handle ------------------------------------------------
 */

static int get(ml_resolver *r, const char *name, const char *value, ml_err *e)
{
    ml_secret *s = NULL;
    size_t n = 0;
    int code = ml_get(r, name, NULL, 0, &s, e);
    if (code < 0) return code;
    const void *p = ml_secret_data(s, &n);
    assert_int_equal(n, strlen(value));
    assert_memory_equal(p, value, n);
    ml_secret_unref(s);
    return 0;
}

static int get_plain(ml_resolver *r, ml_err *e)
{
    return get(r, "a", "1", e);
}

static int get_hosted(ml_resolver *r, ml_err *e)
{
    return get(r, "store/x", "x", e);
}

static int get_field(ml_resolver *r, ml_err *e)
{
    return get(r, "json/J", "xx", e);
}

static int get_lua(ml_resolver *r, ml_err *e)
{
    return get(r, "lua/A", "A", e);
}

/* Never a part of it. */
static int list(ml_resolver *r, ml_err *e)
{
    ml_answer *a = NULL;
    int code = ml_list(r, "store/*", NULL, 0, &a, e);
    if (code == 0) assert_int_equal(ml_answer_count(a), 2);
    ml_answer_free(a);
    return code;
}

static int list_all(ml_resolver *r, ml_err *e)
{
    ml_answer *a = NULL;
    int code = ml_list(r, NULL, NULL, 0, &a, e);
    if (code == 0) assert_int_equal(ml_answer_count(a), 8);
    ml_answer_free(a);
    return code;
}

static int explain(ml_resolver *r, ml_err *e)
{
    ml_answer *a = NULL;
    ml_call call = {ML_CALL_INIT, .verb = ML_EXPLAIN, .name = "a", .flags = ML_AS_JSON};
    int code = ml_run(r, &call, &a, e);
    if (code == 0) assert_non_null(strstr(ml_answer_text(a), "ML_T_A"));
    ml_answer_free(a);
    return code;
}

static int metrics(ml_resolver *r, ml_err *e)
{
    ml_answer *a = NULL;
    int code = ml_metrics_text(r, &a, e);
    if (code == 0) assert_non_null(strstr(ml_answer_text(a), "vaults_broken 0\n"));
    ml_answer_free(a);
    return code;
}

static const struct {
    const char *what;
    int (*run)(ml_resolver *r, ml_err *e);
    long least; /* allocations, so that a step that tests nothing is seen */
} steps[] = {{"get", get_plain, 5},       {"get hosted", get_hosted, 5},
             {"get field", get_field, 5}, {"get lua", get_lua, 5},
             {"list", list, 5},           {"list all", list_all, 5},
             {"explain", explain, 5},     {"metrics", metrics, 2},
             {"reload", ml_reload, 2}};
enum { N_STEPS = sizeof(steps) / sizeof(*steps) };

/* ---- tests --------------------------------------------------------------------------
 */

static void test_all_comes_back(void **state)
{
    (void)state;
    ml_resolver *r;
    ml_err e;
    ml_secret *kept = NULL;
    assert_int_equal(counted.live, 0);
    open_well(&r);
    assert_true(counted.live > 10);
    for (int i = 0; i < N_STEPS; i++) assert_int_equal(steps[i].run(r, &e), 0);
    assert_int_equal(ml_get(r, "a", NULL, 0, &kept, &e), 0);
    ml_close(r);
    assert_true(counted.live <= 1); /* the secret, unless it is locked in memory */
    ml_secret_unref(kept);
    assert_int_equal(counted.live, 0);
    assert_int_equal(counted.live_bytes, 0);
}

/* Every step, each on one handle that lives through all of it: with one allocation that
 * fails, or with all from one on, it ends well or with ML_ENOMEM; then it ends well. */
static void test_calls(void **state)
{
    bool and_after = **(const bool **)state;
    ml_resolver *r;
    open_well(&r);
    for (int i = 0; i < N_STEPS; i++) {
        bool has_failed = true;
        long nth = 0;
        while (has_failed) {
            ml_err e = {0};
            if (ml_forget(r, NULL, &e) < 0) fail_msg("%s", e.text);
            counting_fail(++nth, and_after);
            int code = steps[i].run(r, &e);
            has_failed = counting_stop();
            if (code != 0 && !(has_failed && code == ML_ENOMEM))
                fail_msg("%s, %ld: %d %s", steps[i].what, nth, code, e.text);
            if (has_failed && steps[i].run(r, &e) < 0)
                fail_msg("after %s, %ld: %s", steps[i].what, nth, e.text);
        }
        if (nth <= steps[i].least) fail_msg("%s: %ld only", steps[i].what, nth);
    }
    ml_close(r);
    assert_int_equal(counted.live, 0);
}

/* Opening reads all of the engine: each of the first and of the last allocations fails,
 * of those between one in some. */
static void test_opening(void **state)
{
    bool and_after = **(const bool **)state;
    enum { FIRST = 100, STRIDE = 61 };
    bool has_failed = true;
    long nth = 0;
    while (has_failed) {
        ml_resolver *r = NULL;
        ml_err e = {0};
        nth += nth < FIRST ? 1 : STRIDE;
        counting_fail(nth, and_after);
        int code = open_it(&r, &e);
        has_failed = counting_stop();
        if (code != 0 && !(has_failed && code == ML_ENOMEM))
            fail_msg("%ld: %d %s", nth, code, e.text);
        if (code == 0) ml_close(r);
        if (counted.live) fail_msg("%ld: %ld blocks leak", nth, (long)counted.live);
    }
    assert_true(nth > 20);
}

static void test_refusals(void **state)
{
    (void)state;
    ml_err e;
    ml_allocator a = {ML_ALLOCATOR_INIT};
    assert_int_equal(ml_use_allocator(NULL, &e), ML_EUSAGE);
    assert_int_equal(ml_use_allocator(&a, &e), ML_EUSAGE);
    assert_non_null(strstr(e.text, "release"));
    a.size++;
    assert_int_equal(ml_use_allocator(&a, &e), ML_EUSAGE);
    assert_non_null(strstr(e.text, "ML_ALLOCATOR_INIT"));
}

static void *no_alloc(void *arg, size_t n)
{
    (void)arg;
    (void)n;
    return NULL;
}

static void no_release(void *arg, void *p)
{
    (void)arg;
    (void)p;
}

static void test_too_late(void **state)
{
    (void)state;
    ml_err e;
    ml_allocator a = {ML_ALLOCATOR_INIT, .alloc = no_alloc, .release = no_release};
    assert_int_equal(ml_use_allocator(&a, &e), ML_EUSAGE);
    assert_non_null(strstr(e.text, "before the first ml_open"));
    assert_int_equal(ml_use_allocator(&a, NULL), ML_EUSAGE);
}

int main(void)
{
    static const bool one = false, all = true;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_comes_back),
        cmocka_unit_test_prestate(test_calls, (void *)(uintptr_t)&one),
        cmocka_unit_test_prestate(test_calls, (void *)(uintptr_t)&all),
        cmocka_unit_test_prestate(test_opening, (void *)(uintptr_t)&one),
        cmocka_unit_test_prestate(test_opening, (void *)(uintptr_t)&all),
        cmocka_unit_test(test_too_late),
    };
    const struct CMUnitTest before[] = {cmocka_unit_test(test_refusals)};
    int failed = cmocka_run_group_tests(before, NULL, NULL);
    counting_use();
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
