/* test_auth.c - tokens: how many are asked for, when again, and who never sees one. */
#include "support.h"

static int write_seed(void **state)
{
    clean_environment(state);
    FILE *f = open_seed();
    fputs("{\"one\": {\"it\": \"value\"}, \"two\": {\"it\": \"other\"}}\n", f);
    return fclose(f);
}

/* ---- again, but once
 * ----------------------------------------------------------------- */

static void test_one_reauthentication(void **state)
{
    (void)state;
    server *v = vault_start("--seed", seed_path, "--fault", "http-401-once", NULL);
    ml_resolver *r = open_on(v);
    assert_value(r, "it", "value");
    assert_int_equal(requests(v, "token", 200), 2);
    assert_int_equal(requests(v, "get", 401), 2); /* without a token, and refused */
    assert_int_equal(requests(v, "get", 200), 1);
    assert_value(r, "it", "value");
    assert_int_equal(requests(v, "token", 200), 2);
    ml_close(r);
    server_stop(v);
}

static void test_always_refused(void **state)
{
    (void)state;
    server *v =
        vault_start("--seed", seed_path, "--fault", "http-401-once:first=1000", NULL);
    ml_resolver *r = open_on(v);
    assert_int_equal(get_code(r, "it"), ML_EUNAUTHENTICATED);
    assert_int_equal(last_error.http_status, 401);
    assert_string_equal(last_error.service_code, "AKV10046");
    assert_int_equal(requests(v, "token", -1), 2);
    assert_int_equal(requests(v, "get", -1), 3);
    ml_close(r);
    server_stop(v);
}

static void test_always_401(void **state)
{
    (void)state;
    server *v = vault_start("--seed", seed_path, "--fault", "401", NULL);
    ml_resolver *r = open_on(v);
    assert_int_equal(get_code(r, "it"), ML_EUNAUTHENTICATED);
    assert_in_range(requests(v, "get", -1), 2, 3);
    assert_in_range(requests(v, "token", -1), 1, 2);
    ml_close(r);
    server_stop(v);
}

static void test_claims(void **state)
{
    (void)state;
    server *v = vault_start("--seed", seed_path, "--fault", "claims-challenge", NULL);
    ml_resolver *r = open_on(v);
    assert_value(r, "it", "value");
    assert_int_equal(requests(v, "token", 200), 2);
    assert_value(r, "it", "value"); /* the token with the claims is kept */
    assert_int_equal(requests(v, "token", 200), 2);
    assert_int_equal(requests(v, "get", 200), 2);
    ml_close(r);
    server_stop(v);
}

/* A put whose token is refused is sent again, and makes one version. */
static void test_put_reauthenticates(void **state)
{
    (void)state;
    server *v =
        vault_start("--seed", seed_path, "--fault", "http-401-once:op=set", NULL);
    ml_resolver *r = open_on(v);
    put_text(r, "fresh", "value");
    assert_int_equal(requests(v, "set", 401), 1);
    assert_int_equal(requests(v, "set", 200), 1);
    assert_value(r, "fresh", "value");
    ml_close(r);
    server_stop(v);
}

/* ---- shared
 * --------------------------------------------------------------------------- */

enum { MANY = 50 };

typedef struct tally {
    int done, good, code;
} tally;

static void count(ml_request *q, const ml_answer *a, const ml_err *e, void *arg)
{
    (void)q;
    tally *t = arg;
    t->done++;
    if (a && ml_answer_count(a) == 1) t->good++;
    t->code = e->code;
}

static void get_many(ml_resolver *r, int n, const char *const names[2], tally *t)
{
    for (int i = 0; i < n; i++) {
        ml_call call = {ML_CALL_INIT, .verb = ML_GET, .name = names[i % 2]};
        assert_non_null(ml_start(r, &call, count, t, &last_error));
    }
    int64_t until = now_ms() + 60000;
    while (t->done < n && now_ms() < until) ml_step(r, 1000);
    assert_int_equal(t->done, n);
}

static const char *const two_names[2] = {"one/it", "two/it"};

static ml_resolver *open_two_vaults(const server *v, const char *client_secret,
                                    const ml_clock *clock)
{
    char policy[1024];
    snprintf(policy, sizeof(policy),
             "local ml = require 'moonlatch.policy'\n"
             "local function vault(name)\n"
             "  return ml.azure_key_vault { vault_url = 'https://' .. name .. "
             "'.localhost:%d' }\n"
             "end\n"
             "return ml.policy {\n"
             "  ml.rule 'one/*' { strip = 'one/', from = { vault 'one' } },\n"
             "  ml.rule 'two/*' { strip = 'two/', from = { vault 'two' } },\n"
             "}\n",
             v->port);
    return open_with(&(setup){
        .vault = v, .policy = policy, .client_secret = client_secret, .clock = clock});
}

static void test_two_vaults_share(void **state)
{
    (void)state;
    server *v = vault_start("--seed", seed_path, "--fault", "token-delay=300ms", NULL);
    ml_resolver *r = open_two_vaults(v, NULL, NULL);
    tally t = {0};
    get_many(r, MANY, two_names, &t);
    assert_int_equal(t.good, MANY);
    assert_int_equal(requests(v, "token", -1), 1);
    assert_int_equal(requests(v, "get", 200), MANY);
    /* one asks a vault for its challenge */
    assert_int_equal(requests(v, "get", 401), 2);
    ml_close(r);
    server_stop(v);
}

/* For five seconds: of a slow clock, so that all the others come within them. */
static void test_wrong_secret_is_remembered(void **state)
{
    (void)state;
    server *v = vault_start("--seed", seed_path, NULL);
    ml_resolver *r = open_two_vaults(v, "canary-wrong", &slow_clock);
    tally t = {0};
    get_many(r, 20, two_names, &t);
    assert_int_equal(t.good, 0);
    assert_int_equal(t.code, ML_EUNAUTHENTICATED);
    assert_int_equal(get_code(r, "one/it"), ML_EUNAUTHENTICATED);
    assert_string_equal(last_error.service_code, "AADSTS7000215");
    assert_null(strstr(last_error.text, "canary"));
    assert_int_equal(requests(v, "token", -1), 1);
    assert_int_equal(requests(v, "get", 200), 0);
    ml_close(r);
    server_stop(v);
}

/* Many at once whose token is refused ask for one new token, not for one each; who is
 * refused when that has come already asks once more. */
static void test_many_refused_share(void **state)
{
    (void)state;
    server *v =
        vault_start("--seed", seed_path, "--fault", "http-401-once:first=50", NULL);
    ml_resolver *r = open_two_vaults(v, NULL, NULL);
    tally t = {0};
    get_many(r, MANY, two_names, &t);
    assert_int_equal(t.done, MANY);
    assert_in_range(requests(v, "token", -1), 2, MANY / 4);
    ml_close(r);
    server_stop(v);
}

static void test_many_with_claims_share(void **state)
{
    (void)state;
    server *v = vault_start("--seed", seed_path, "--fault", "claims-challenge", NULL);
    ml_resolver *r = open_two_vaults(v, NULL, NULL);
    tally t = {0};
    get_many(r, MANY, two_names, &t);
    assert_int_equal(t.good, MANY);
    /* who is told of the claims after the new token has come asks once more */
    assert_in_range(requests(v, "token", -1), 2, MANY / 4);
    ml_close(r);
    server_stop(v);
}

/* ---- time
 * ----------------------------------------------------------------------------- */

static void test_renewal(void **state)
{
    (void)state;
    server *v = vault_start("--seed", seed_path, NULL);
    ml_resolver *r = open_with(&(setup){.vault = v, .clock = &jumping_clock});
    assert_value(r, "it", "value");
    ahead_ms = 57 * 60 * 1000; /* of an hour: time for a new one, still good */
    assert_value(r, "it", "value");
    int64_t until = now_ms() + 60000;
    while (requests(v, "token", 200) < 2 && now_ms() < until) ml_step(r, 50);
    assert_int_equal(requests(v, "token", 200), 2);
    assert_value(r, "it", "value");
    assert_int_equal(requests(v, "token", 200), 2);
    ahead_ms = 3 * 3600 * 1000LL; /* far past the end: never sent any more */
    assert_value(r, "it", "value");
    assert_int_equal(requests(v, "token", 200), 3);
    assert_int_equal(requests(v, "get", 401),
                     1); /* the very first, for the challenge */
    ml_close(r);
    server_stop(v);
}

/* A lifetime of some seconds: the vault may refuse, the caller notices nothing.  A
 * token that takes as long to arrive is refused twice, which the caller does notice: on
 * a busy machine two seconds can be so long. */
static void test_short_lifetime(void **state)
{
    (void)state;
    server *v = vault_start("--seed", seed_path, "--token-lifetime", "6", NULL);
    ml_resolver *r = open_on(v);
    int64_t until = now_ms() + 60000;
    while (requests(v, "token", 200) < 3 && now_ms() < until) {
        assert_value(r, "it", "value");
    }
    assert_true(requests(v, "token", 200) >= 3);
    ml_close(r);
    server_stop(v);
}

/* ---- those who may not see a credential ---------------------------------------------
 */

static const char *const foreign[] = {
    "management", "evil",         "suffix",      "above", "userinfo",   "userinfo-back",
    "relative",   "no-host",      "plain-http",  "query", "fragment",   "backslash",
    "blank",      "scope",        "empty",       "none",  "open-quote", "basic",
    "nothing",    "not-a-scheme", "other-tenant"};

/* One handle, one bad vault after the other; then a good one through the same handle.
 */
static void test_foreign_challenges(void **state)
{
    (void)state;
    server *v = vault_start("--seed", seed_path, NULL);
    server *h = hostile_start(v);
    char policy[1024];
    snprintf(policy, sizeof(policy),
             "local ml = require 'moonlatch.policy'\n"
             "local bad = ml.azure_key_vault { vault_url = '%s' }\n"
             "local good = ml.azure_key_vault { vault_url = '%s' }\n"
             "return ml.policy {\n"
             "  ml.rule 'bad/*' { strip = 'bad/', from = { bad } },\n"
             "  ml.rule '*' { from = { good } },\n"
             "}\n",
             h->url, v->url);
    ml_resolver *r = open_with(&(setup){.vault = v, .policy = policy});
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
        char name[64];
        print_message("    %s\n", foreign[i]);
        snprintf(name, sizeof(name), "bad/%s", foreign[i]);
        int code = get_code(r, name);
        if (code != ML_EUNAUTHENTICATED && code != ML_EINVALID)
            fail_msg("%s: %s: %s", foreign[i], ml_outcome(code), last_error.text);
        code = ml_put(r, name, "canary-value", 12, NULL, 0, &last_error);
        assert_true(code == ML_EUNAUTHENTICATED || code == ML_EINVALID);
        assert_int_equal(requests(v, "token", -1), 0);
    }
    assert_true(record_has(h, "/secrets/management"));
    assert_false(record_has(h, "Bearer"));
    assert_false(record_has(h, "canary-value"));
    assert_false(record_has(h, v->client_secret));
    assert_false(record_has(h, "oauth2"));
    assert_value(r, "it", "value");
    assert_int_equal(requests(v, "token", -1), 1);
    ml_close(r);
    server_stop(h);
    server_stop(v);
}

/* The challenge names its own authority: the credential goes to ours all the same. */
static void test_foreign_authority(void **state)
{
    (void)state;
    server *v = vault_start("--seed", seed_path, NULL);
    server *h = hostile_start(v);
    ml_resolver *r = open_with(&(setup){.vault = v, .authority = v, .url = h->url});
    assert_int_equal(get_code(r, "anything"), ML_EUNAUTHENTICATED);
    assert_int_equal(requests(v, "token", 200), 2);
    assert_true(record_has(h, "Bearer eyJ")); /* its audience fits this vault */
    assert_false(record_has(h, "oauth2"));
    assert_false(record_has(h, v->client_secret));
    ml_close(r);
    server_stop(h);
    server_stop(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_reauthentication),
        cmocka_unit_test(test_always_refused),
        cmocka_unit_test(test_always_401),
        cmocka_unit_test(test_claims),
        cmocka_unit_test(test_put_reauthenticates),
        cmocka_unit_test(test_two_vaults_share),
        cmocka_unit_test(test_wrong_secret_is_remembered),
        cmocka_unit_test(test_many_refused_share),
        cmocka_unit_test(test_many_with_claims_share),
        cmocka_unit_test(test_renewal),
        cmocka_unit_test(test_short_lifetime),
        cmocka_unit_test(test_foreign_challenges),
        cmocka_unit_test(test_foreign_authority),
    };
    return cmocka_run_group_tests(tests, write_seed, remove_seed);
}
