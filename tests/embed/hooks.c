/* hooks.c - what a host is told: numbers, metrics, spans; and what it is never told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "moonlatch.h"

static const char policy[] =
    "local ml = require 'moonlatch.policy'\n"
    "local env = ml.environment { alias = 'surroundings' }\n"
    "return ml.policy {\n"
    "  ml.rule 'hidden/*' { strip = 'hidden/', prefix = 'ML_T_', from = env },\n"
    "  ml.deny 'denied/**',\n"
    "}\n";

static const ml_pair env[] = {{"ML_T_CANARY", "the value of the canary"}};
static const char parent[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/* Everything that came, as text: one line each. */
static char told[8192];

static void add(const char *fmt, ...)
{
    size_t n = strlen(told);
    va_list args;
    va_start(args, fmt);
    vsnprintf(told + n, sizeof(told) - n, fmt, args);
    va_end(args);
}

static void on_metric(void *arg, const ml_metric *m)
{
    assert_string_equal(arg, "metrics");
    assert_int_equal(m->size, sizeof(*m));
    assert_true(m->value >= 0 && m->value < 60);
    add("%s %s", m->kind == ML_COUNTER ? "counter" : "histogram", m->name);
    for (size_t i = 0; i < m->n_labels; i++)
        add(" %s=%s", m->labels[i].name, m->labels[i].value);
    add("\n");
}

static char last_call[56]; /* the traceparent of the last span that began */

static void on_span(void *arg, const ml_span *s)
{
    assert_string_equal(arg, "spans");
    assert_int_equal(strlen(s->traceparent), 55);
    if (!s->is_end) snprintf(last_call, sizeof(last_call), "%s", s->traceparent);
    add("%s %s %s parent=%s rule=%s outcome=%s source=%s\n",
        s->is_end ? "end" : "begin", s->what, s->verb, s->parent_id, s->rule,
        s->outcome, s->source);
}

static const char *current;

static const char *on_traceparent(void *arg)
{
    assert_string_equal(arg, "spans");
    return current;
}

static ml_resolver *open_it(ml_options o)
{
    ml_resolver *r = NULL;
    ml_err e;
    o.size = sizeof(o);
    o.policy_text = policy;
    o.policy_name = "p.lua";
    o.env = env;
    o.n_env = sizeof(env) / sizeof(env[0]);
    if (ml_open(&r, &o, &e) < 0) fail_msg("%s", e.text);
    told[0] = '\0';
    current = NULL;
    return r;
}

static int get(ml_resolver *r, const char *name)
{
    ml_secret *s = NULL;
    int code = ml_get(r, name, NULL, 0, &s, NULL);
    ml_secret_unref(s);
    return code;
}

static ml_numbers stats_of(ml_resolver *r)
{
    ml_numbers s = {ML_NUMBERS_INIT};
    assert_int_equal(ml_stats(r, &s, NULL), 0);
    return s;
}

static void test_stats(void **state)
{
    (void)state;
    ml_resolver *r = open_it((ml_options){0});
    ml_numbers s = stats_of(r);
    assert_int_equal(s.calls + s.hits + s.misses + s.cache_entries, 0);
    assert_true(s.lua_bytes > 1000);
    assert_int_equal(get(r, "hidden/CANARY"), 0);
    for (int i = 0; i < 5; i++) assert_int_equal(get(r, "hidden/CANARY"), 0);
    assert_int_equal(get(r, "hidden/NONE"), ML_EMISSING);
    s = stats_of(r);
    assert_int_equal(s.hits, 5);
    assert_int_equal(s.calls, 2);
    assert_int_equal(s.failures, 1);
    assert_int_equal(s.cache_entries, 1);
    assert_int_equal(s.misses, 2);
    assert_true(s.cache_bytes > 0 && s.kept_entries >= 1);
    assert_int_equal(s.requests, 0);
    assert_int_equal(ml_reload(r, NULL), 0);
    assert_int_equal(stats_of(r).reloads, 1);
    ml_close(r);
}

/* Of an older host, whose struct is shorter: nothing behind it is touched. */
static void test_stats_of_another_size(void **state)
{
    (void)state;
    ml_resolver *r = open_it((ml_options){0});
    ml_err e;
    ml_numbers s;
    memset(&s, 0x55, sizeof(s));
    s.size = offsetof(ml_numbers, misses);
    assert_int_equal(ml_stats(r, &s, &e), 0);
    assert_int_equal(s.hits, 0);
    assert_int_equal(s.misses, 0x5555555555555555);
    s.size = sizeof(s) + 1;
    assert_int_equal(ml_stats(r, &s, &e), ML_EUSAGE);
    s.size = 0;
    assert_int_equal(ml_stats(r, &s, &e), ML_EUSAGE);
    assert_int_equal(ml_stats(r, NULL, &e), ML_EUSAGE);
    ml_close(r);
}

static void test_metrics(void **state)
{
    (void)state;
    ml_resolver *r =
        open_it((ml_options){.metric = on_metric, .metric_arg = "metrics"});
    assert_int_equal(get(r, "hidden/CANARY"), 0);
    assert_string_equal(told, "histogram moonlatch_source_seconds verb=get "
                              "source=surroundings outcome=found\n"
                              "histogram moonlatch_call_seconds verb=get rule=p.lua:4 "
                              "outcome=found\n");
    told[0] = '\0';
    assert_int_equal(get(r, "hidden/CANARY"), 0); /* a hit: nothing */
    assert_string_equal(told, "");
    assert_int_equal(get(r, "denied/a"), ML_EPOLICY);
    assert_int_equal(get(r, "hidden/NONE"), ML_EMISSING);
    assert_non_null(strstr(told, "rule=p.lua:5 outcome=policy"));
    assert_non_null(strstr(told, "rule=p.lua:4 outcome=missing"));
    assert_null(strstr(told, "CANARY"));
    assert_null(strstr(told, "canary"));
    assert_null(strstr(told, "hidden"));
    ml_close(r);
}

static void test_spans(void **state)
{
    (void)state;
    ml_resolver *r = open_it((ml_options){
        .span = on_span, .traceparent = on_traceparent, .span_arg = "spans"});
    assert_int_equal(get(r, "hidden/CANARY"), 0); /* a root */
    assert_string_equal(told,
                        "begin call get parent= rule= outcome= source=\n"
                        "end call get parent= rule=p.lua:4 outcome=found source=\n");
    assert_memory_equal(last_call, "00-", 3);
    assert_string_equal(last_call + 52, "-01");
    told[0] = '\0';
    current = parent; /* a child of what the thread does */
    assert_int_equal(get(r, "hidden/NONE"), ML_EMISSING);
    assert_string_equal(told, "begin call get parent=b7ad6b7169203331 rule= outcome= "
                              "source=\n"
                              "end call get parent=b7ad6b7169203331 rule=p.lua:4 "
                              "outcome=missing source=surroundings\n");
    assert_memory_equal(last_call, parent, 36); /* of the same trace */
    assert_memory_not_equal(last_call, parent, 52);
    told[0] = '\0';
    current = "00-nonsense";
    ml_answer *a = NULL;
    ml_call call = {ML_CALL_INIT, .verb = ML_LIST, .traceparent = parent};
    assert_int_equal(ml_run(r, &call, &a, NULL), 0);
    ml_answer_free(a);
    assert_non_null(strstr(told, "begin call list parent=b7ad6b7169203331"));
    told[0] = '\0';
    get(r, "hidden/NONE"); /* what is no traceparent is none */
    assert_non_null(strstr(told, "begin call get parent= "));
    ml_close(r);
}

static void test_text(void **state)
{
    (void)state;
    ml_resolver *r = open_it((ml_options){.keep_metrics = true});
    for (int i = 0; i < 3; i++) assert_int_equal(get(r, "hidden/CANARY"), 0);
    for (int i = 0; i < 3; i++) assert_int_equal(get(r, "hidden/NONE"), ML_EMISSING);
    ml_answer *a = NULL;
    assert_int_equal(ml_metrics_text(r, &a, NULL), 0);
    const char *text = ml_answer_text(a);
    static const char *const parts[] = {
        "# TYPE moonlatch_cache_hits_total counter\nmoonlatch_cache_hits_total 2\n",
        "# TYPE moonlatch_call_seconds histogram\n",
        "moonlatch_call_seconds_bucket{verb=\"get\",rule=\"p.lua:4\",outcome="
        "\"missing\","
        "le=\"+Inf\"} 3\n",
        "moonlatch_call_seconds_count{verb=\"get\",rule=\"p.lua:4\",outcome=\"found\"} "
        "1\n",
        "moonlatch_source_seconds_sum{verb=\"get\",source=\"surroundings\",",
        "moonlatch_vaults_broken 0\n",
    };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (!strstr(text, parts[i])) fail_msg("no %s in\n%s", parts[i], text);
    assert_null(strstr(text, "CANARY"));
    assert_null(strstr(text, "canary"));
    assert_null(strstr(text, "hidden"));
    ml_answer_free(a);
    ml_close(r);
    r = open_it((ml_options){0}); /* nothing is kept for whom it was not asked */
    get(r, "hidden/CANARY");
    assert_int_equal(ml_metrics_text(r, &a, NULL), 0);
    assert_null(strstr(ml_answer_text(a), "seconds"));
    ml_answer_free(a);
    ml_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stats),   cmocka_unit_test(test_stats_of_another_size),
        cmocka_unit_test(test_metrics), cmocka_unit_test(test_spans),
        cmocka_unit_test(test_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
