/* test_hooks.c - what a host is told of requests, and what the vault is told of it. */
#include "support.h"

static const char parent[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
static const char seed_text[] = "{\"main\": {\"canary\": \"value of the canary\"}}\n";
static char told[16384];
static char source_id[17]; /* the span of the last source that was asked */

static int write_seed(void **state)
{
    clean_environment(state);
    FILE *f = open_seed();
    fputs(seed_text, f);
    return fclose(f);
}

static void on_metric(void *arg, const ml_metric *m)
{
    (void)arg;
    size_t n = strlen(told);
    n += (size_t)snprintf(told + n, sizeof(told) - n, "%s", m->name);
    for (size_t i = 0; i < m->n_labels; i++)
        n += (size_t)snprintf(told + n, sizeof(told) - n, " %s=%s", m->labels[i].name,
                              m->labels[i].value);
    snprintf(told + n, sizeof(told) - n, "\n");
}

static void on_span(void *arg, const ml_span *s)
{
    (void)arg;
    size_t n = strlen(told);
    snprintf(told + n, sizeof(told) - n, "%s %s %.36s %s %s %d\n",
             s->is_end ? "end" : "begin", s->what, s->traceparent, s->verb, s->outcome,
             s->http_status);
    if (strcmp(s->what, "source") == 0)
        snprintf(source_id, sizeof(source_id), "%.16s", s->traceparent + 36);
    if (strcmp(s->what, "request") == 0) assert_string_equal(s->parent_id, source_id);
}

static void with_metrics(ml_options *o)
{
    o->metric = on_metric;
    o->keep_metrics = true;
}

static void with_spans(ml_options *o)
{
    o->span = on_span;
}

static int count_of(const char *part)
{
    int n = 0;
    for (const char *at = told; (at = strstr(at, part)); at += strlen(part)) n++;
    return n;
}

static void test_requests_are_counted(void **state)
{
    (void)state;
    server *v = vault_start("--seed", seed_path, "--fault", "503:op=get,first=1",
                            "--fault", "429:op=get,first=1,retry-after-ms=50", NULL);
    ml_resolver *r = open_with(&(setup){.vault = v, .adjust = with_metrics});
    told[0] = '\0';
    assert_value(r, "canary", "value of the canary");
    ml_numbers s = {ML_NUMBERS_INIT};
    assert_int_equal(ml_stats(r, &s, NULL), 0);
    int sent = requests(v, "get", -1) + requests(v, "token", -1);
    assert_int_equal(s.requests, sent);
    assert_int_equal(s.retries, 2);
    assert_int_equal(s.throttled, 1);
    assert_int_equal(s.waited, 1);
    assert_int_equal(s.requests_in_flight + s.requests_waiting + s.vaults_broken, 0);
    assert_int_equal(count_of("moonlatch_request_seconds"), sent);
    assert_int_equal(count_of("moonlatch_request_seconds method=GET source=localhost "
                              "status=200"),
                     1);
    assert_int_equal(
        count_of(
            "moonlatch_request_seconds method=POST source= status=200"), /* a login */
        1);
    assert_int_equal(count_of("moonlatch_retries_total source=localhost status=429"),
                     1);
    assert_int_equal(count_of("moonlatch_retries_total source=localhost status=503"),
                     1);
    assert_int_equal(
        count_of("moonlatch_budget_wait_seconds source=localhost outcome=sent"), 1);
    assert_int_equal(
        count_of("moonlatch_source_seconds verb=get source=localhost outcome=found"),
        1);
    put_text(r, "canary", "another value of it");
    assert_int_equal(
        count_of("moonlatch_call_seconds verb=put rule=policy:3 outcome=found"), 1);
    assert_int_equal(count_of("canary"), 0);
    ml_answer *a = NULL;
    assert_int_equal(ml_metrics_text(r, &a, NULL), 0);
    assert_non_null(
        strstr(ml_answer_text(a),
               "moonlatch_retries_total{source=\"localhost\",status=\"429\"} 1"));
    assert_null(strstr(ml_answer_text(a), "canary"));
    ml_answer_free(a);
    ml_close(r);
    server_stop(v);
}

/* A call, and each of its tries, are one trace; a canceled one ends, too. */
static void test_spans(void **state)
{
    (void)state;
    server *v = vault_start("--seed", seed_path, "--fault", "503:op=get,first=1", NULL);
    ml_resolver *r = open_with(&(setup){.vault = v, .adjust = with_spans});
    ml_call call = {ML_CALL_INIT, .verb = ML_GET, .name = "canary",
                    .traceparent = parent};
    told[0] = '\0';
    assert_int_equal(run(r, &call, NULL), 0);
    assert_int_equal(count_of("begin call 00-0af7651916cd43dd8448eb211c80319c-"), 1);
    assert_int_equal(count_of("begin request 00-0af7651916cd43dd8448eb211c80319c-"),
                     requests(v, "get", -1));
    assert_int_equal(count_of("end request"), requests(v, "get", -1));
    assert_int_equal(count_of("GET  200"), 1);
    assert_int_equal(count_of("GET  503"), 1);
    assert_int_equal(count_of("begin source 00-0af7651916cd43dd8448eb211c80319c-"), 1);
    assert_int_equal(count_of("get found 0"), 2); /* the source, and the call */
    assert_int_equal(count_of("canary"), 0);
    ml_close(r);
    server_stop(v);
}

/* The vault sees whose child the request is, each time another one; nobody else does.
 */
static void test_the_vault_is_told(void **state)
{
    (void)state;
    server *v = vault_start("--seed", seed_path, NULL);
    server *h = hostile_start(v);
    ml_resolver *r = open_with(&(setup){.vault = v, .authority = v, .url = h->url});
    ml_call call = {ML_CALL_INIT, .verb = ML_GET, .name = "anything"};
    run(r, &call, NULL);
    assert_false(record_has(h, "\"00-")); /* it was not asked for */
    call.traceparent = parent;
    run(r, &call, NULL);
    assert_true(record_has(h, "\"00-0af7651916cd43dd8448eb211c80319c-"));
    assert_false(record_has(h, "b7ad6b7169203331")); /* but a child of that */
    call.traceparent =
        "00-0af7651916cd43dd8448eb211c80319d-b7ad6b7169203331-01\r\nX: y";
    run(r, &call, NULL);
    assert_false(record_has(h, "80319d"));
    ml_close(r);
    server_stop(h);
    server_stop(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_are_counted),
        cmocka_unit_test(test_spans),
        cmocka_unit_test(test_the_vault_is_told),
    };
    return cmocka_run_group_tests(tests, write_seed, remove_seed);
}
