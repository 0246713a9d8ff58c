/* test_retry.c - what is tried again, how often, and when to give up; counted by the
 * vault, not by a clock. */
#include "support.h"

static const char seed_text[] = "{\"main\": {\"it\": \"value\"}}\n";

static int write_seed(void **state)
{
    clean_environment(state);
    FILE *f = open_seed();
    fputs(seed_text, f);
    return fclose(f);
}

typedef struct expected {
    const char *fault;
    int gets;   /* with a token; -1: do not count */
    int tokens; /* token requests */
    const char *op;
    int status; /* what the failed ones were counted as */
    int failed;
} expected;

static void test_recovers(void **state)
{
    (void)state;
    static const expected cases[] = {
        {"429:first=2", 1, 1, "get", 429, 2},
        {"429:first=1,retry-after=1", 1, 1, "get", 429, 1},
        {"429:first=1,retry-after-ms=20", 1, 1, "get", 429, 1},
        {"429:first=1,retry-after-date=1", 1, 1, "get", 429, 1},
        {"503:first=3", 1, 1, "get", 503, 3},
        {"500:first=1", 1, 1, "get", 500, 1},
        {"408:first=1", 1, 1, "get", 408, 1},
        {"html=502:first=2", 1, 1, "get", 502, 2},
        {"reset:first=1", 1, 1, "get", 0, 1},
        {"truncate:first=1", 2, 1, NULL, 0, 0},
        {"token-500:first=2", 1, 3, "token", 500, 2},
        {"token-429:first=1", 1, 2, "token", 429, 1},
        {"token-reset:first=1", 1, 2, "token", 0, 1},
        {"token-truncate:first=1", 1, 2, NULL, 0, 0},
        {"chunked", 1, 1, NULL, 0, 0},
        {"ints-as-strings", 1, 1, NULL, 0, 0},
        {"token-expires-in-string", 1, 1, NULL, 0, 0},
        {"challenge=scope", 1, 1, NULL, 0, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const expected *c = &cases[i];
        server *v = vault_start("--seed", seed_path, "--fault", c->fault, NULL);
        ml_resolver *r = open_on(v);
        print_message("    %s\n", c->fault);
        assert_value(r, "it", "value");
        assert_int_equal(requests(v, "get", 200), c->gets);
        assert_int_equal(requests(v, "token", -1), c->tokens);
        if (c->op) assert_int_equal(requests(v, c->op, c->status), c->failed);
        ml_close(r);
        server_stop(v);
    }
}

/* For ever: an end in time, of the right kind, after a bounded number of requests. */
static void test_gives_up(void **state)
{
    (void)state;
    static const struct {
        const char *fault;
        int code;
        const char *op;
        int at_least;
    } cases[] = {
        {"429", ML_ETHROTTLED, "get", 2},
        {"503", ML_EUNAVAILABLE, "get", 2},
        {"reset", ML_EUNAVAILABLE, "get", 2},
        {"truncate", ML_EINVALID, "get", 2},
        {"token-503", ML_EUNAVAILABLE, "token", 2},
        {"token-429", ML_ETHROTTLED, "token", 2},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        server *v = vault_start("--seed", seed_path, "--fault", cases[i].fault, NULL);
        ml_resolver *r = open_with(&(setup){.vault = v, .deadline_ms = 5000});
        print_message("    %s\n", cases[i].fault);
        int64_t began = now_ms();
        int code = get_code(r, "it");
        assert_true(now_ms() - began < 5000 + 15000);
        assert_int_equal(code, cases[i].code);
        int n = requests(v, cases[i].op, -1);
        assert_in_range(n, cases[i].at_least, 8);
        ml_close(r);
        server_stop(v);
    }
}

/* A wait that would not end before the deadline is not begun. */
static void test_retry_after_beyond_deadline(void **state)
{
    (void)state;
    server *v =
        vault_start("--seed", seed_path, "--fault", "429:retry-after=3600", NULL);
    ml_resolver *r = open_on(v);
    int64_t began = now_ms();
    assert_int_equal(get_code(r, "it"), ML_ETHROTTLED);
    assert_true(now_ms() - began < 50000); /* of the minute that it had */
    assert_int_equal(last_error.retry_after_ms, 3600 * 1000);
    assert_int_equal(last_error.http_status, 429);
    assert_string_equal(last_error.key, "it");
    assert_int_equal(requests(v, "get", -1), 1);
    ml_close(r);
    server_stop(v);
}

/* Starts a call, lets it go on until the vault has answered `op` with `status` so many
 * times, and then lets time run out: no sooner, no later, however busy the machine is.
 * The handle has the jumping clock. */
static int out_of_time(ml_resolver *r, ml_verb verb, const server *v, const char *op,
                       int status, int times)
{
    ending end = {0};
    ml_call call = {ML_CALL_INIT, .verb = verb, .name = "it"};
    int64_t until = now_ms() + 60000;
    assert_non_null(ml_start(r, &call, note_end, &end, &last_error));
    while (!end.is_over && requests(v, op, status) < times && now_ms() < until) {
        ml_step(r, 50);
    }
    if (!end.is_over) ahead_ms += 60000;
    while (!end.is_over && now_ms() < until) ml_step(r, 50);
    assert_true(end.is_over);
    return end.code;
}

/* Out of time: the text says what was heard last, from whom.  Who asks a second time
 * has heard the first answer. */
static void test_deadline_names_the_cause(void **state)
{
    (void)state;
    static const struct {
        const char *fault, *op;
        int status, code;
    } cases[] = {
        {"token-502", "token", 502, ML_EUNAVAILABLE},
        {"token-html=502", "token", 502, ML_EUNAVAILABLE},
        {"502", "get", 502, ML_EUNAVAILABLE},
        {"429", "get", 429, ML_ETHROTTLED},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        server *v = vault_start("--seed", seed_path, "--fault", cases[i].fault, NULL);
        ml_resolver *r = open_with(&(setup){.vault = v, .clock = &jumping_clock});
        print_message("    %s\n", cases[i].fault);
        int code = out_of_time(r, ML_GET, v, cases[i].op, cases[i].status, 2);
        assert_int_equal(code, cases[i].code);
        assert_int_equal(last_error.http_status, cases[i].status);
        if (code == ML_EUNAVAILABLE && !strstr(last_error.text, "HTTP 502"))
            fail_msg("%s", last_error.text);
        ml_close(r);
        server_stop(v);
    }
}

static void test_token_retry_after_beyond_deadline(void **state)
{
    (void)state;
    server *v =
        vault_start("--seed", seed_path, "--fault", "token-429:retry-after=3600", NULL);
    ml_resolver *r = open_on(v);
    assert_int_equal(get_code(r, "it"), ML_ETHROTTLED);
    assert_int_equal(requests(v, "token", -1), 1);
    ml_close(r);
    server_stop(v);
}

/* The one request for a token may wait longer than one of its callers: that one is told
 * why there is none. */
static void test_token_throttled_past_deadline(void **state)
{
    (void)state;
    server *v =
        vault_start("--seed", seed_path, "--fault", "token-429:retry-after=20", NULL);
    ml_resolver *r = open_with(&(setup){.vault = v, .deadline_ms = 6000});
    assert_int_equal(get_code(r, "it"), ML_ETHROTTLED);
    assert_int_equal(last_error.http_status, 429);
    assert_int_equal(last_error.retry_after_ms, 20000);
    assert_non_null(strstr(last_error.text, "429"));
    assert_non_null(strstr(last_error.text, "localhost"));
    assert_int_equal(requests(v, "token", -1), 1);
    ml_close(r);
    server_stop(v);
}

static size_t count_versions(ml_resolver *r, const char *name)
{
    ml_answer *a = NULL;
    int code = run(r, &(ml_call){ML_CALL_INIT, .verb = ML_VERSIONS, .name = name}, &a);
    assert_true(code == 0 || code == ML_EMISSING);
    size_t n = a ? ml_answer_count(a) : 0;
    ml_answer_free(a);
    return n;
}

/* The service said that it did not do it: do it again. */
static void test_put_after_503(void **state)
{
    (void)state;
    server *v = vault_start("--vault", "main", "--fault", "503:first=2,op=set", NULL);
    ml_resolver *r = open_on(v);
    put_text(r, "new", "value");
    assert_int_equal(requests(v, "set", 503), 2);
    assert_int_equal(requests(v, "set", 200), 1);
    assert_int_equal(count_versions(r, "new"), 1);
    ml_close(r);
    server_stop(v);
}

/* Nobody knows whether it was done: a second try could make a second version.  The
 * connection is a used one, which libcurl by itself would replace and send again on. */
static void test_put_without_answer(void **state)
{
    (void)state;
    static const char *const faults[] = {"lost:first=1,op=set", "reset:first=1,op=set",
                                         "truncate:first=1,op=set"};
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        server *v = vault_start("--vault", "main", "--fault", faults[i], NULL);
        ml_resolver *r = open_on(v);
        print_message("    %s\n", faults[i]);
        assert_int_equal(get_code(r, "new"), ML_EMISSING); /* connected now */
        int code = ml_put(r, "new", "value", 5, NULL, 0, &last_error);
        assert_true(code == ML_EUNAVAILABLE || code == ML_EINVALID);
        assert_true(last_error.text[0]);
        assert_int_equal(requests(v, "set", -1), 1);
        assert_in_range(count_versions(r, "new"), 0, 1);
        put_text(r, "new", "again"); /* and the handle goes on */
        assert_value(r, "new", "again");
        ml_close(r);
        server_stop(v);
    }
}

/* What does no harm twice is repeated, also when it was lost after it was done. */
static void test_delete_without_answer(void **state)
{
    (void)state;
    server *v =
        vault_start("--seed", seed_path, "--fault", "reset:first=1,op=delete", NULL);
    ml_resolver *r = open_on(v);
    assert_int_equal(ml_delete(r, "it", NULL, 0, &last_error), 0);
    ml_close(r);
    server_stop(v);
}

/* ---- limbo -------------------------------------------------------------------------
 */

static int simple(ml_resolver *r, ml_verb verb, const char *name)
{
    return run(r, &(ml_call){ML_CALL_INIT, .verb = verb, .name = name}, NULL);
}

/* A delete or a recover has ended when its end can be seen. */
static void test_waits_until_settled(void **state)
{
    (void)state;
    server *v = vault_start("--seed", seed_path, "--fault", "limbo=2s", NULL);
    ml_resolver *r = open_on(v);
    assert_int_equal(simple(r, ML_DELETE, "it"), 0);
    assert_true(requests(v, "get-deleted", 404) >= 1);
    assert_int_equal(requests(v, "get-deleted", 200), 1);
    assert_int_equal(simple(r, ML_RECOVER, "it"), 0);
    assert_value(r, "it", "value");
    assert_int_equal(simple(r, ML_DELETE, "it"), 0);
    assert_int_equal(simple(r, ML_PURGE, "it"), 0);
    put_text(r, "it", "fresh");
    assert_value(r, "it", "fresh");
    assert_int_equal(requests(v, "purge", 409), 0);
    ml_close(r);
    server_stop(v);
}

/* The deadline ends the looking, not the delete; the next one waits for the vault. */
static void test_busy_is_tried_again(void **state)
{
    (void)state;
    server *v = vault_start("--seed", seed_path, "--fault", "limbo=8s", NULL);
    ml_resolver *hasty = open_with(&(setup){.vault = v, .clock = &jumping_clock});
    ml_resolver *r = open_on(v);
    assert_int_equal(out_of_time(hasty, ML_DELETE, v, "get-deleted", 404, 1), 0);
    assert_int_equal(out_of_time(hasty, ML_PURGE, v, "purge", 409, 2), ML_ECONFLICT);
    assert_string_equal(last_error.service_code, "ObjectIsBeingDeleted");
    assert_int_equal(simple(r, ML_PURGE, "it"), 0);
    assert_int_equal(requests(v, "purge", 204), 1);
    ml_close(hasty);
    ml_close(r);
    server_stop(v);
}

/* Who may not look takes the vault's word. */
static void test_settles_without_looking(void **state)
{
    (void)state;
    server *v = vault_start("--seed", seed_path, "--fault", "limbo=20s", "--fault",
                            "403:op=get-deleted", NULL);
    ml_resolver *r = open_on(v);
    assert_int_equal(simple(r, ML_DELETE, "it"), 0);
    assert_int_equal(requests(v, "get-deleted", 403), 1);
    ml_close(r);
    server_stop(v);
}

static void test_redirect(void **state)
{
    (void)state;
    server *other = vault_start("--seed", seed_path, NULL);
    char fault[160];
    snprintf(fault, sizeof(fault), "redirect=%s/secrets/it", other->url);
    server *v = vault_start("--seed", seed_path, "--fault", fault, NULL);
    ml_resolver *r = open_on(v);
    assert_int_equal(get_code(r, "it"), ML_EINVALID);
    assert_int_equal(last_error.http_status, 302);
    assert_int_equal(requests(v, "get", -1), 1);
    assert_int_equal(requests(other, "get", -1), 0);
    ml_close(r);
    server_stop(v);
    snprintf(fault, sizeof(fault), "token-redirect=%s/t/oauth2/v2.0/token", other->url);
    v = vault_start("--seed", seed_path, "--fault", fault, NULL);
    r = open_on(v);
    assert_true(get_code(r, "it") < 0);
    assert_int_equal(requests(v, "token", 302), 1);
    assert_int_equal(requests(other, "token", -1), 0);
    ml_close(r);
    server_stop(v);
    server_stop(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recovers),
        cmocka_unit_test(test_gives_up),
        cmocka_unit_test(test_retry_after_beyond_deadline),
        cmocka_unit_test(test_deadline_names_the_cause),
        cmocka_unit_test(test_token_retry_after_beyond_deadline),
        cmocka_unit_test(test_token_throttled_past_deadline),
        cmocka_unit_test(test_put_after_503),
        cmocka_unit_test(test_put_without_answer),
        cmocka_unit_test(test_delete_without_answer),
        cmocka_unit_test(test_waits_until_settled),
        cmocka_unit_test(test_busy_is_tried_again),
        cmocka_unit_test(test_settles_without_looking),
        cmocka_unit_test(test_redirect),
    };
    return cmocka_run_group_tests(tests, write_seed, remove_seed);
}
