/* caching.c - what a host sees of the caches: how long, how often asked, and
 * forgetting.
 *
 * The sources are environment variables, which the test changes behind the handle's
 * back; the clock stands still until it is moved. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hand_clock.h"

static const char policy[] =
    "local ml = require 'moonlatch.policy'\n"
    "local env = ml.environment {}\n"
    "local n = 0\n"
    "local counts = ml.source { get = function() n = n + 1 return tostring(n) end }\n"
    "return ml.policy {\n"
    "  ml.rule 'ladder/*' { strip = 'ladder/', prefix = {'ML_T_UP_', 'ML_T_LOW_'},\n"
    "    from = env },\n"
    "  ml.rule 'brief/*' { strip = 'brief/', prefix = 'ML_T_', from = env, ttl = 2.5 "
    "},\n"
    "  ml.rule 'never/*' { strip = 'never/', prefix = 'ML_T_', from = env, ttl = 0 },\n"
    "  ml.rule 'strict/*' { strip = 'strict/', prefix = {'ML_T_UP_', 'ML_T_LOW_'},\n"
    "    from = env, negative_ttl = 0 },\n"
    "  ml.rule 'patient/*' { strip = 'patient/', prefix = {'ML_T_UP_', 'ML_T_LOW_'},\n"
    "    from = env, negative_ttl = 5 },\n"
    "  ml.rule 'default/*' { strip = 'default/', prefix = 'ML_T_', from = env,\n"
    "    default = 'the default' },\n"
    "  ml.rule 'lua/*/*' { strip = {'lua/a/', 'lua/b/'}, from = counts },\n"
    "  ml.rule '{team}/**' { strip = '{team}/', prefix = 'ML_T_', from = env },\n"
    "}\n";

static ml_resolver *open_it(ml_options more)
{
    ml_resolver *r = NULL;
    ml_err e;
    ml_options o = more;
    o.size = sizeof(o);
    o.policy_text = policy;
    o.clock = &hand_clock;
    if (ml_open(&r, &o, &e) < 0) fail_msg("%s", e.text);
    return r;
}

/* "" for missing. */
static const char *value_of(ml_resolver *r, const char *name)
{
    static char value[64];
    ml_secret *s = NULL;
    size_t n;
    ml_err e;
    int code = ml_get(r, name, NULL, 0, &s, &e);
    if (code == ML_EMISSING) return "";
    if (code < 0) fail_msg("%s: %s", name, e.text);
    const void *p = ml_secret_data(s, &n);
    snprintf(value, sizeof(value), "%.*s", (int)n, (const char *)p);
    assert_string_equal(ml_secret_name(s), name);
    ml_secret_unref(s);
    return value;
}

static void set(const char *key, const char *value)
{
    if (value)
        setenv(key, value, 1);
    else
        unsetenv(key);
}

static void test_a_rule_says_how_long(void **state)
{
    (void)state;
    ml_resolver *r = open_it((ml_options){.refresh_percent = -1});
    set("ML_T_A", "1");
    assert_string_equal(value_of(r, "x/A"), "1");
    assert_string_equal(value_of(r, "brief/A"), "1");
    assert_string_equal(value_of(r, "never/A"), "1");
    set("ML_T_A", "2");
    assert_string_equal(value_of(r, "never/A"), "2");
    now_ms += 2499; /* of the same key: the youngest confirmation counts */
    assert_string_equal(value_of(r, "brief/A"), "1");
    now_ms += 1;
    assert_string_equal(value_of(r, "brief/A"), "2");
    assert_string_equal(value_of(r, "x/A"), "1");
    now_ms += 60000 - 2500;
    assert_string_equal(value_of(r, "x/A"), "2");
    set("ML_T_A", NULL);
    ml_close(r);
}

/* An answer from further down lives no longer than the missing above it is believed. */
static void test_a_rung_that_appears(void **state)
{
    (void)state;
    ml_resolver *r = open_it((ml_options){.refresh_percent = -1});
    const char *const names[] = {"ladder/B", "strict/B", "patient/B"};
    set("ML_T_LOW_B", "low");
    for (int i = 0; i < 3; i++) assert_string_equal(value_of(r, names[i]), "low");
    set("ML_T_UP_B", "up");
    assert_string_equal(value_of(r, "ladder/B"), "low");
    assert_string_equal(value_of(r, "patient/B"), "low");
    now_ms += 4999;
    assert_string_equal(value_of(r, "patient/B"), "low");
    assert_string_equal(value_of(r, "strict/B"), "up");
    now_ms += 1;
    assert_string_equal(value_of(r, "patient/B"), "up");
    assert_string_equal(value_of(r, "ladder/B"), "low");
    now_ms += 55000;
    assert_string_equal(value_of(r, "ladder/B"), "up");
    set("ML_T_UP_B", NULL);
    set("ML_T_LOW_B", NULL);
    ml_close(r);
}

static void test_a_missing_is_believed_if_asked_to(void **state)
{
    (void)state;
    ml_resolver *r = open_it((ml_options){0});
    assert_string_equal(value_of(r, "x/C"), "");
    assert_string_equal(value_of(r, "patient/C"), "");
    assert_string_equal(value_of(r, "default/C"), "the default");
    set("ML_T_C", "now");
    set("ML_T_UP_C", "now");
    assert_string_equal(value_of(r, "x/C"), "now");
    assert_string_equal(value_of(r, "default/C"), "now");
    assert_string_equal(value_of(r, "patient/C"), "");
    now_ms += 5000;
    assert_string_equal(value_of(r, "patient/C"), "now");
    ml_close(r);
    r = open_it((ml_options){.negative_ttl_ms = 1000});
    set("ML_T_C", NULL);
    assert_string_equal(value_of(r, "x/C"), "");
    assert_string_equal(value_of(r, "default/C"), "the default");
    set("ML_T_C", "again");
    assert_string_equal(value_of(r, "x/C"), "");
    assert_string_equal(value_of(r, "default/C"), "the default");
    now_ms += 1000;
    assert_string_equal(value_of(r, "x/C"), "again");
    assert_string_equal(value_of(r, "default/C"), "again");
    set("ML_T_C", NULL);
    set("ML_T_UP_C", NULL);
    ml_close(r);
}

static void test_no_cache_at_all(void **state)
{
    (void)state;
    ml_resolver *r = open_it((ml_options){.cache_ttl_ms = -1, .negative_ttl_ms = 1000});
    ml_err e;
    set("ML_T_D", "1");
    assert_string_equal(value_of(r, "brief/D"), "1");
    set("ML_T_D", "2");
    assert_string_equal(value_of(r, "brief/D"), "2");
    assert_int_equal(ml_forget(r, "**", &e), 0);
    set("ML_T_D", NULL);
    ml_close(r);
}

static void test_forgetting(void **state)
{
    (void)state;
    ml_resolver *r = open_it((ml_options){0});
    ml_err e;
    set("ML_T_E", "1");
    set("ML_T_F", "1");
    assert_string_equal(value_of(r, "a/E"), "1");
    assert_string_equal(value_of(r, "a/F"), "1");
    assert_string_equal(value_of(r, "b/F"), "1");
    set("ML_T_E", "2");
    set("ML_T_F", "2");
    assert_int_equal(ml_forget(r, "a/F", &e), 0); /* its key too, of which b/F lives */
    assert_string_equal(value_of(r, "a/E"), "1");
    assert_string_equal(value_of(r, "a/F"), "2");
    assert_string_equal(value_of(r, "b/F"), "1");
    assert_int_equal(ml_forget(r, "b/*", NULL), 0);
    assert_string_equal(value_of(r, "b/F"), "2");
    assert_string_equal(value_of(r, "a/E"), "1");
    assert_int_equal(ml_forget(r, NULL, &e), 0);
    assert_string_equal(value_of(r, "a/E"), "2");
    assert_int_equal(ml_forget(r, "a**", &e), ML_EUSAGE);
    assert_non_null(strstr(e.text, "'**'"));
    assert_int_equal(ml_forget(r, "", &e), ML_EUSAGE);
    set("ML_T_E", NULL);
    set("ML_T_F", NULL);
    ml_close(r);
}

/* Whatever name led to the key first: it is forgotten under each. */
static void test_forgetting_by_another_name(void **state)
{
    (void)state;
    ml_resolver *r = open_it((ml_options){0});
    set("ML_T_O", "1");
    assert_string_equal(value_of(r, "a/O"), "1");
    assert_string_equal(value_of(r, "b/O"), "1");
    set("ML_T_O", "2");
    assert_int_equal(ml_forget(r, "b/O", NULL), 0);
    assert_string_equal(value_of(r, "b/O"), "2");
    assert_int_equal(ml_forget(r, NULL, NULL), 0);
    assert_string_equal(value_of(r, "lua/a/O"), "1");
    assert_string_equal(value_of(r, "lua/b/O"), "1");
    assert_int_equal(ml_forget(r, "lua/b/**", NULL), 0);
    assert_string_equal(value_of(r, "lua/a/O"), "1");
    assert_string_equal(value_of(r, "lua/b/O"), "2");
    set("ML_T_O", NULL);
    ml_close(r);
}

typedef struct seen {
    ml_resolver *r;
    int calls;
    char value[16];
} seen;

static void forget_inside(ml_request *q, const ml_answer *a, const ml_err *e, void *arg)
{
    (void)q;
    seen *s = arg;
    size_t n = 0;
    s->calls++;
    assert_int_equal(e->code, 0);
    const void *p = ml_secret_data(ml_answer_at(a, 0), &n);
    snprintf(s->value, sizeof(s->value), "%.*s", (int)n, (const char *)p);
    assert_int_equal(ml_forget(s->r, "a/*", NULL), 0);
}

/* Allowed inside a done; a call that is under way meanwhile is not kept. */
static void test_forgetting_meanwhile(void **state)
{
    (void)state;
    ml_resolver *r = open_it((ml_options){0});
    seen s = {.r = r};
    ml_call call = {ML_CALL_INIT, .verb = ML_GET, .name = "a/G"};
    set("ML_T_G", "1");
    assert_non_null(ml_start(r, &call, forget_inside, &s, NULL));
    assert_int_equal(ml_forget(r, NULL, NULL), 0);
    while (s.calls == 0) assert_true(ml_step(r, 1000) >= 0);
    assert_string_equal(s.value, "1");
    set("ML_T_G", "2");
    assert_string_equal(value_of(r, "a/G"), "2");
    set("ML_T_G", NULL);
    ml_close(r);
}

static void test_refresh_asks_and_keeps(void **state)
{
    (void)state;
    ml_resolver *r = open_it((ml_options){0});
    ml_answer *a = NULL;
    ml_err e;
    ml_call call = {ML_CALL_INIT, .verb = ML_GET, .name = "a/H", .flags = ML_REFRESH};
    set("ML_T_H", "1");
    assert_string_equal(value_of(r, "a/H"), "1");
    set("ML_T_H", "2");
    assert_string_equal(value_of(r, "a/H"), "1");
    assert_int_equal(ml_run(r, &call, &a, &e), 0);
    ml_answer_free(a);
    assert_string_equal(value_of(r, "a/H"), "2");
    assert_string_equal(value_of(r, "other/H"), "2"); /* what the source said, too */
    set("ML_T_H", NULL);
    assert_int_equal(ml_run(r, &call, &a, &e), ML_EMISSING);
    assert_string_equal(value_of(r, "a/H"), ""); /* the truth is known now */
    ml_close(r);
}

/* Late in its time a hit has the answer made anew.  It goes on whenever somebody is
 * inside; a host that does nothing but hit drives it with its hits. */
static void test_refresh_ahead(void **state)
{
    (void)state;
    ml_resolver *r = open_it((ml_options){0});
    set("ML_T_I", "1");
    assert_string_equal(value_of(r, "a/I"), "1");
    set("ML_T_I", "2");
    now_ms += 44999;
    assert_string_equal(value_of(r, "a/I"), "1");
    now_ms += 1; /* three quarters of a minute */
    int hits = 0;
    while (strcmp(value_of(r, "a/I"), "1") == 0 && hits++ < 20) now_ms++;
    assert_in_range(hits, 1, 10);
    assert_string_equal(value_of(r, "a/I"), "2");
    now_ms += 30000; /* it has a whole new time: the old one would be over */
    set("ML_T_I", "3");
    assert_string_equal(value_of(r, "a/I"), "2");
    now_ms += 15000;
    assert_string_equal(value_of(r, "a/I"), "2"); /* begins it */
    for (int i = 0; i < 5; i++) assert_true(ml_step(r, 0) >= 0);
    assert_string_equal(value_of(r, "a/I"), "3");
    set("ML_T_I", NULL); /* and what it learns counts at once */
    now_ms += 46000;
    hits = 0;
    while (*value_of(r, "a/I") && hits++ < 20) now_ms++;
    assert_in_range(hits, 1, 10);
    ml_close(r);
}

static void test_no_refresh_ahead(void **state)
{
    (void)state;
    ml_resolver *r = open_it((ml_options){.refresh_percent = -1});
    set("ML_T_J", "1");
    assert_string_equal(value_of(r, "a/J"), "1");
    set("ML_T_J", "2");
    for (int i = 0; i < 599; i++) {
        now_ms += 100;
        assert_string_equal(value_of(r, "a/J"), "1");
        assert_true(ml_step(r, 0) >= 0);
    }
    now_ms += 100;
    assert_string_equal(value_of(r, "a/J"), "2");
    set("ML_T_J", NULL);
    ml_close(r);
}

/* Closing while an answer is made anew. */
static void test_close_while_refreshing(void **state)
{
    (void)state;
    ml_resolver *r = open_it((ml_options){0});
    ml_call call = {ML_CALL_INIT, .verb = ML_GET, .name = "a/K"};
    seen s = {.r = r};
    set("ML_T_K", "1");
    assert_string_equal(value_of(r, "a/K"), "1");
    now_ms += 50000;
    assert_non_null(ml_start(r, &call, forget_inside, &s, NULL));
    ml_close(r);
    assert_int_equal(s.calls, 1);
    set("ML_T_K", NULL);
}

/* A hit hands out the same secret, not a copy. */
static void test_zero_copy(void **state)
{
    (void)state;
    ml_resolver *r = open_it((ml_options){0});
    ml_secret *first = NULL, *second = NULL;
    ml_err e;
    set("ML_T_L", "1");
    assert_int_equal(ml_get(r, "a/L", NULL, 0, &first, &e), 0);
    assert_int_equal(ml_get(r, "a/L", NULL, 0, &second, &e), 0);
    assert_ptr_equal(first, second);
    ml_pair context[] = {{"x", "y"}}; /* another answer, made of the same */
    ml_secret_unref(second);
    assert_int_equal(ml_get(r, "a/L", context, 1, &second, &e), 0);
    assert_ptr_equal(first, second);
    ml_secret_unref(second);
    ml_close(r);
    ml_secret_unref(first);
    set("ML_T_L", NULL);
}

static void test_limits(void **state)
{
    (void)state;
    ml_resolver *r = open_it((ml_options){.cache_max_entries = 16});
    char name[32], key[32];
    int kept = 0;
    for (int i = 0; i < 200; i++) {
        snprintf(key, sizeof(key), "ML_T_N%d", i);
        snprintf(name, sizeof(name), "a/N%d", i);
        set(key, "1");
        assert_string_equal(value_of(r, name), "1");
        set(key, "2");
    }
    for (int i = 199; i >= 0; i--) {
        snprintf(key, sizeof(key), "ML_T_N%d", i);
        snprintf(name, sizeof(name), "a/N%d", i);
        kept += strcmp(value_of(r, name), "1") == 0;
        set(key, NULL);
    }
    assert_in_range(kept, 1, 2 * 16);
    ml_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_rule_says_how_long),
        cmocka_unit_test(test_a_rung_that_appears),
        cmocka_unit_test(test_a_missing_is_believed_if_asked_to),
        cmocka_unit_test(test_no_cache_at_all),
        cmocka_unit_test(test_forgetting),
        cmocka_unit_test(test_forgetting_by_another_name),
        cmocka_unit_test(test_forgetting_meanwhile),
        cmocka_unit_test(test_refresh_asks_and_keeps),
        cmocka_unit_test(test_refresh_ahead),
        cmocka_unit_test(test_no_refresh_ahead),
        cmocka_unit_test(test_close_while_refreshing),
        cmocka_unit_test(test_zero_copy),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
