/* test_lost.c - requests that outlive their caller: a host that turns the loop for its
 * own calls only leaves them alone, and the next caller must not fail with them.
 *
 * The clock is the system's, and jumps over the silences. */
#include "support.h"

#include <time.h>

static int write_seed(void **state)
{
    clean_environment(state);
    FILE *f = open_seed();
    fputs("{\"main\": {\"it\": \"value\"}}\n", f);
    return fclose(f);
}

static int get_within(ml_resolver *r, int deadline_ms)
{
    ml_call call = {ML_CALL_INIT, .verb = ML_GET, .name = "it",
                    .deadline_ms = deadline_ms};
    return run(r, &call, NULL);
}

/* Half a minute later nobody waits for the request for a token any more. */
static void test_a_token_request_left_alone(void **state)
{
    (void)state;
    server *v =
        vault_start("--seed", seed_path, "--fault", "token-delay=300s:first=1", NULL);
    ml_resolver *r = open_with(&(setup){.vault = v, .clock = &jumping_clock});
    ahead_ms = 0;
    assert_int_equal(get_within(r, 1000), ML_EUNAVAILABLE);
    ahead_ms = 31000;
    if (get_within(r, 20000)) fail_msg("%s", last_error.text);
    assert_int_equal(requests(v, "token", 200), 2);
    ml_close(r);
    server_stop(v);
}

/* The request has half a minute for all; who has more asks again. */
static void test_who_has_more_time_than_the_token_request(void **state)
{
    (void)state;
    server *v = vault_start("--seed", seed_path, "--fault",
                            "token-503:first=1,retry-after=5", NULL);
    ml_resolver *r = open_with(&(setup){.vault = v, .clock = &jumping_clock});
    ml_call call = {ML_CALL_INIT, .verb = ML_GET, .name = "it", .deadline_ms = 100000};
    ending end = {0};
    ahead_ms = 0;
    assert_non_null(ml_start(r, &call, note_end, &end, &last_error));
    int64_t until_ms = now_ms() + 60000;
    while (requests(v, "token", 503) == 0 && now_ms() < until_ms) ml_step(r, 20);
    for (int i = 0; i < 10; i++) ml_step(r, 20); /* it has read the answer */
    ahead_ms = 31000;
    while (!end.is_over && now_ms() < until_ms) ml_step(r, 20);
    assert_true(end.is_over);
    assert_int_equal(end.code, 0);
    assert_int_equal(requests(v, "token", 200), 1);
    ml_close(r);
    server_stop(v);
}

static uint64_t broken_vaults(ml_resolver *r)
{
    ml_numbers n = {ML_NUMBERS_INIT};
    assert_int_equal(ml_stats(r, &n, &last_error), 0);
    return n.vaults_broken;
}

/* A request that times out while nobody turns the loop. */
static void lose_one(ml_resolver *r)
{
    ml_call call = {ML_CALL_INIT, .verb = ML_GET, .name = "it", .deadline_ms = 200};
    ending end = {0};
    assert_non_null(ml_start(r, &call, note_end, &end, &last_error));
    for (int i = 0; i < 4; i++) ml_step(r, 5);
    nanosleep(&(struct timespec){.tv_nsec = 220 * 1000000}, NULL);
    ahead_ms += 2000;
    while (!end.is_over) ml_step(r, 20);
    assert_int_equal(end.code, ML_EUNAVAILABLE);
}

/* The vault is not left alone for what is the host's doing. */
static void test_silences_say_nothing_about_the_vault(void **state)
{
    (void)state;
    server *v = vault_start("--seed", seed_path, "--fault", "delay=300s:op=get", NULL);
    ml_resolver *r = open_with(&(setup){.vault = v, .clock = &jumping_clock});
    ml_call call = {ML_CALL_INIT, .verb = ML_VERSIONS, .name = "it"};
    ahead_ms = 0;
    assert_int_equal(run(r, &call, NULL), 0); /* the token is known */
    for (int i = 0; i < 12; i++) lose_one(r);
    assert_int_equal(broken_vaults(r), 0);
    assert_int_equal(run(r, &call, NULL), 0);
    ml_close(r);
    server_stop(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_token_request_left_alone),
        cmocka_unit_test(test_who_has_more_time_than_the_token_request),
        cmocka_unit_test(test_silences_say_nothing_about_the_vault),
    };
    return cmocka_run_group_tests(tests, write_seed, remove_seed);
}
