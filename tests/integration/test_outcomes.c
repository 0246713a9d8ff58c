/* test_outcomes.c - an outage or a refusal of the upper layer never yields the lower
 * layer's value, unless the policy says so; what a rule asks of a found secret. */
#include "support.h"

static const char seed_text[] =
    "{\"main\": {"
    "  \"it\": \"upper\","
    "  \"db\": {\"value\": \"{\\\"user\\\": {\\\"password\\\": \\\"canary-1\\\"}}\","
    "           \"contentType\": \"application/json\", \"tags\": {\"team\": \"blue\"}},"
    "  \"packed\": \"Y2FuYXJ5LTI=\","
    "  \"old\": {\"value\": \"canary-3\", \"attributes\": {\"exp\": 1000000000}},"
    "  \"future\": {\"value\": \"canary-4\", \"attributes\": {\"nbf\": 4000000000}}"
    "}}\n";

static int write_seed(void **state)
{
    clean_environment(state);
    FILE *f = open_seed();
    fputs(seed_text, f);
    return fclose(f);
}

/* ---- two layers --------------------------------------------------------------------
 */

typedef struct layer {
    const char *fault; /* NULL: a host where nobody answers */
    const char *key;
    int code;
    const char *outcome; /* as `on` calls it */
} layer;

static const layer layers[] = {
    {"forbid=rbac", "it", ML_EFORBIDDEN, "forbidden"},
    {"forbid=policy", "it", ML_EFORBIDDEN, "forbidden"},
    {"forbid=firewall", "it", ML_EFORBIDDEN, "forbidden"},
    {"disabled=it", "it", ML_EDISABLED, "disabled"},
    {"401", "it", ML_EUNAUTHENTICATED, "unauthenticated"},
    {"429:retry-after=3600", "it", ML_ETHROTTLED, "throttled"},
    {"garbage", "it", ML_EINVALID, "invalid"},
    {NULL, "it", ML_EUNAVAILABLE, "unavailable"},
    {"delay=1ms", "no-such", ML_EMISSING, "missing"},
};

/* The vault, then a variable, which holds the vault's address. */
static ml_resolver *open_two_layers(const server *v, const layer *l, const char *on)
{
    char policy[700];
    snprintf(policy, sizeof(policy),
             "local ml = require 'moonlatch.policy'\n"
             "local kv = ml.azure_key_vault { vault_url = '%s', alias = 'upper',\n"
             "  audience = 'https://localhost', api_version = '7.5' }\n"
             "local env = ml.environment {}\n"
             "return ml.policy { ml.rule 'it' { default = 'fallback', %s\n"
             "  map = function() return { kv:key '%s', env:key 'VAULT_URL' } end } }\n",
             l->fault ? v->url : "https://localhost:1", on, l->key);
    return open_with(&(setup){.vault = v, .policy = policy, .deadline_ms = 4000});
}

static void test_lower_layer_is_not_asked(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(layers) / sizeof(layers[0]); i++) {
        const layer *l = &layers[i];
        if (l->code == ML_EMISSING) continue;
        server *v = l->fault
                        ? vault_start("--seed", seed_path, "--fault", l->fault, NULL)
                        : vault_start("--seed", seed_path, NULL);
        print_message("    %s\n", l->outcome);
        ml_resolver *r = open_two_layers(v, l, "");
        assert_int_equal(get_code(r, "it"), l->code);
        assert_string_equal(last_error.source, "upper");
        ml_close(r);
        r = open_two_layers(v, l, "on = { missing = 'default' },"); /* says nothing */
        assert_int_equal(get_code(r, "it"), l->code);
        ml_close(r);
        server_stop(v);
    }
}

static void check_policy_decides(const server *v, const layer *l)
{
    char on[100];
    snprintf(on, sizeof(on), "on = { %s = 'next' },", l->outcome);
    ml_resolver *r = open_two_layers(v, l, on);
    assert_value(r, "it", v->url);
    ml_close(r);
    snprintf(on, sizeof(on), "on = { %s = 'default' },", l->outcome);
    r = open_two_layers(v, l, on);
    assert_value(r, "it", "fallback");
    ml_close(r);
    snprintf(on, sizeof(on), "on = { %s = 'stop' },", l->outcome);
    r = open_two_layers(v, l, on);
    assert_int_equal(get_code(r, "it"), l->code);
    ml_close(r);
}

static void test_policy_decides(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(layers) / sizeof(layers[0]); i++) {
        const layer *l = &layers[i];
        server *v = l->fault
                        ? vault_start("--seed", seed_path, "--fault", l->fault, NULL)
                        : vault_start("--seed", seed_path, NULL);
        print_message("    %s\n", l->outcome);
        check_policy_decides(v, l);
        server_stop(v);
    }
}

/* ---- one found secret --------------------------------------------------------------
 */

static ml_resolver *open_rule(const server *v, const char *options)
{
    char policy[500];
    snprintf(policy, sizeof(policy),
             "local ml = require 'moonlatch.policy'\n"
             "local kv = ml.azure_key_vault { vault_url = ml.env 'VAULT_URL' }\n"
             "return ml.policy { ml.rule '*' { from = kv, %s } }\n",
             options);
    return open_with(&(setup){.vault = v, .policy = policy});
}

static void test_found(void **state)
{
    (void)state;
    static const struct {
        const char *options, *name, *value;
    } rows[] = {
        {"field = '/user/password'", "db", "canary-1"},
        {"field = { '/no', '/user/password' }", "db", "canary-1"},
        {"require = { content_type = 'application/json', tag = { team = 'blue' },"
         " json = true, like = '{*}', valid_now = true }, field = '/user/password'",
         "db", "canary-1"},
        {"decode = 'base64'", "packed", "canary-2"},
        {"decode = 'base64', transform = function(s) return s:upper() end", "packed",
         "CANARY-2"},
        {"require = { valid_now = true }", "it", "upper"},
        {"require = { not_expired = true }", "future", "canary-4"},
    };
    server *v = vault_start("--seed", seed_path, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ml_resolver *r = open_rule(v, rows[i].options);
        assert_value(r, rows[i].name, rows[i].value);
        ml_close(r);
    }
    server_stop(v);
}

static void test_found_but_invalid(void **state)
{
    (void)state;
    static const struct {
        const char *options, *name, *text;
    } rows[] = {
        {"field = '/user/token'", "db", "no such field"},
        {"field = '/user'", "it", "not JSON"},
        {"decode = 'base64'", "old", "not base64"},
        {"require = { not_expired = true }", "old", "expired on 2001-09-09"},
        {"require = { valid_now = true }", "future", "not valid before 2096-10-02"},
        {"require = { tag = { team = 'red' } }", "db", "its tag 'team' is not 'red'"},
        {"require = { min_bytes = 100 }", "db", "shorter than min_bytes"},
        {"transform = function(s) error(s, 0) end", "old", "transform failed"},
    };
    server *v = vault_start("--seed", seed_path, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ml_resolver *r = open_rule(v, rows[i].options);
        assert_int_equal(get_code(r, rows[i].name), ML_EINVALID);
        assert_non_null(strstr(last_error.text, rows[i].text));
        assert_null(strstr(last_error.text, "canary"));
        assert_string_equal(last_error.key, rows[i].name);
        ml_close(r);
    }
    server_stop(v);
}

/* Code of a rule runs under the policy's budget here too, and its error shows no value.
 */
static void test_endless_code(void **state)
{
    (void)state;
    static const char *const options[] = {
        "transform = function() while true do end end",
        "transform = function(s) while true do pcall(error, s) end end",
        "transform = function(s) return s:rep(1e6) end",
        "require = { check = function() while true do end end }"};
    server *v = vault_start("--seed", seed_path, NULL);
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        ml_resolver *r = open_rule(v, options[i]);
        int64_t began = now_ms();
        int code = get_code(r, "old");
        bool is_bomb = strstr(options[i], "rep") != NULL; /* refused, not endless */
        assert_int_equal(code, is_bomb ? ML_EINVALID : ML_EPOLICY);
        assert_true(now_ms() - began < 10000);
        assert_null(strstr(last_error.text, "canary"));
        ml_close(r);
    }
    server_stop(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lower_layer_is_not_asked),
        cmocka_unit_test(test_policy_decides),
        cmocka_unit_test(test_found),
        cmocka_unit_test(test_found_but_invalid),
        cmocka_unit_test(test_endless_code),
    };
    return cmocka_run_group_tests(tests, write_seed, remove_seed);
}
