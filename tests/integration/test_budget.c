/* test_budget.c - a crowd before a vault that has had enough, or is dead: everybody is
 * served or told, and the vault is asked as little as can be. */
#include "support.h"

enum { CROWD = 1000 };

static int write_seed(void **state)
{
    clean_environment(state);
    FILE *f = open_seed();
    fputs("{\"main\": {", f);
    for (int i = 0; i < CROWD; i++)
        fprintf(f, "%s\"name-%d\": \"value-%d\"", i ? ", " : "", i, i);
    fputs("}}\n", f);
    return fclose(f);
}

typedef struct told {
    int n, code;
    int64_t at_ms;
    ml_err err;
} told;

static told crowd[CROWD];
static int n_told;

static void on_told(ml_request *q, const ml_answer *a, const ml_err *e, void *arg)
{
    (void)q;
    (void)a;
    told *t = arg;
    t->n++;
    t->code = e->code;
    t->err = *e;
    t->at_ms = now_ms();
    n_told++;
}

static void start(ml_resolver *r, int i, int deadline_ms)
{
    char name[32];
    snprintf(name, sizeof(name), "name-%d", i);
    ml_call call = {ML_CALL_INIT, .verb = ML_GET, .name = name,
                    .deadline_ms = deadline_ms};
    assert_non_null(ml_start(r, &call, on_told, &crowd[i], &last_error));
}

/* Now the vault's challenge and a token are known. */
static void get_acquainted(ml_resolver *r)
{
    ml_call call = {ML_CALL_INIT, .verb = ML_VERSIONS, .name = "name-0"};
    assert_int_equal(run(r, &call, NULL), 0);
}

static void step_until(ml_resolver *r, int wanted)
{
    int64_t until = now_ms() + 120000;
    while (n_told < wanted && now_ms() < until) ml_step(r, 100);
    assert_int_equal(n_told, wanted);
}

static void forget_all(void)
{
    memset(crowd, 0, sizeof(crowd));
    n_told = 0;
}

/* A thousand different names, and five seconds of 429: with and without Retry-After. */
static void test_crowd_against_429(void **state)
{
    (void)state;
    static const char *const faults[] = {"429:op=get,for=5s",
                                         "429:op=get,for=5s,retry-after=1"};
    for (size_t k = 0; k < sizeof(faults) / sizeof(*faults); k++) {
        server *v = vault_start("--seed", seed_path, "--fault", faults[k], NULL);
        ml_resolver *r = open_with(&(setup){.vault = v, .deadline_ms = 100000});
        print_message("    %s\n", faults[k]);
        forget_all();
        get_acquainted(r);
        for (int i = 0; i < CROWD; i++) start(r, i, 0);
        step_until(r, CROWD);
        for (int i = 0; i < CROWD; i++) {
            if (crowd[i].code) fail_msg("%s", crowd[i].err.text);
            assert_int_equal(crowd[i].n, 1);
        }
        int good = requests(v, "get", 200), refused = requests(v, "get", 429);
        print_message("    sent: %d + %d\n", good, refused);
        assert_int_equal(good, CROWD);
        assert_in_range(refused, 1, CROWD / 10);
        ml_close(r);
        server_stop(v);
    }
}

/* One is told to wait; who comes meanwhile waits, too, or is told at once when there is
 * no time for that; who is canceled is gone. */
static void test_a_pause_is_for_all(void **state)
{
    (void)state;
    server *v = vault_start("--seed", seed_path, "--fault",
                            "429:op=get,first=1,retry-after=3", NULL);
    ml_resolver *r = open_on(v);
    forget_all();
    get_acquainted(r);
    start(r, 0, 0);
    int64_t began = now_ms(), until = began + 60000;
    while (requests(v, "get", 429) < 1 && now_ms() < until) ml_step(r, 20);
    int64_t paused = now_ms();
    ml_step(r, 200);
    start(r, 1, 1500); /* its time is up before the pause is */
    start(r, 2, 0);
    ml_call call = {ML_CALL_INIT, .verb = ML_GET, .name = "name-3"};
    ml_request *q = ml_start(r, &call, on_told, &crowd[3], &last_error);
    step_until(r, 1);
    assert_int_equal(crowd[1].code, ML_ETHROTTLED);
    assert_int_equal(crowd[1].err.http_status, 429);
    assert_in_range(crowd[1].err.retry_after_ms, 500, 4000);
    assert_string_equal(crowd[1].err.key, "name-1");
    assert_non_null(strstr(crowd[1].err.text, "asked to slow down"));
    ml_cancel(q);
    step_until(r, 2);
    assert_int_equal(crowd[3].code, ML_ECANCELED);
    assert_int_equal(requests(v, "get", -1), 1);
    step_until(r, 4);
    assert_int_equal(crowd[0].code, 0);
    assert_int_equal(crowd[2].code, 0);
    assert_true(crowd[2].at_ms - paused >= 2500);
    assert_int_equal(requests(v, "get", 200), 2);
    ml_close(r);
    server_stop(v);
}

/* Nobody answers: after a while the vault is left alone, callers are told at once, and
 * it is found again by one request. */
static void test_breaker(void **state)
{
    (void)state;
    server *v = vault_start("--seed", seed_path, NULL);
    ml_resolver *r = open_with(&(setup){.vault = v, .clock = &jumping_clock});
    ahead_ms = 0;
    assert_value(r, "name-0", "value-0");
    server_kill(v);
    for (int i = 0; i < 5; i++) { /* each call tries three times */
        assert_int_equal(get_code(r, "name-1"), ML_EUNAVAILABLE);
        if (strstr(last_error.text, "no usable answer since")) break;
        ahead_ms += 3000;
    }
    int64_t began = now_ms();
    for (int i = 0; i < 100; i++) {
        assert_int_equal(get_code(r, "name-1"), ML_EUNAVAILABLE);
        assert_non_null(
            strstr(last_error.text, "has given no usable answer since 2027-"));
        assert_non_null(strstr(last_error.text, "it is not asked before 2027-"));
        assert_string_equal(last_error.key, "name-1");
    }
    assert_true(now_ms() - began <
                3000); /* a hundred tries would take ten times that */
    vault_again(v, "--seed", seed_path, NULL);
    ahead_ms += 6000;
    assert_value(r, "name-1", "value-1");
    assert_int_equal(requests(v, "get", 200), 1);
    ml_close(r);
    server_stop(v);
}

/* A vault that refuses is there: no number of 403 and 404 is an outage. */
static void test_refusals_break_nothing(void **state)
{
    (void)state;
    server *v =
        vault_start("--seed", seed_path, "--fault", "403:op=get,first=40", NULL);
    ml_resolver *r = open_with(&(setup){.vault = v, .clock = &jumping_clock});
    for (int i = 0; i < 40; i++) {
        assert_int_equal(get_code(r, "name-1"), ML_EFORBIDDEN);
        ahead_ms += 1000;
    }
    for (int i = 0; i < 40; i++) assert_int_equal(get_code(r, "none"), ML_EMISSING);
    assert_value(r, "name-1", "value-1");
    ml_close(r);
    server_stop(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crowd_against_429),
        cmocka_unit_test(test_a_pause_is_for_all),
        cmocka_unit_test(test_breaker),
        cmocka_unit_test(test_refusals_break_nothing),
    };
    return cmocka_run_group_tests(tests, write_seed, remove_seed);
}
