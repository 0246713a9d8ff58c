/* test_stale.c - a vault that answered once and then does not: the old value answers
 * for an outage only, only within its bound, and never for what the vault says itself.
 */
#include "support.h"

#include <time.h>
#include <unistd.h>

static const char policy[] =
    "local ml = require 'moonlatch.policy'\n"
    "local kv = ml.azure_key_vault { vault_url = ml.env 'VAULT_URL', alias = 'kv' }\n"
    "local too = ml.azure_key_vault { vault_url = ml.env 'VAULT_URL', alias = 'too' }\n"
    "return ml.policy {\n"
    "  ml.rule 'strict' { from = kv, names = { strict = 'name' }, ttl = 10 },\n"
    "  ml.rule 'busy' { from = kv, names = { busy = 'name' }, ttl = 10,\n"
    "    on = { throttled = 'stale' } },\n"
    "  ml.rule 'too/*' { from = too, strip = 'too/', ttl = 10 },\n"
    "  ml.rule '*' { from = kv, ttl = 10, stale_ttl = 100,\n"
    "    on = { throttled = 'stale', unavailable = 'stale' } },\n"
    "}\n";

/* The real clock, and what a test adds. */
static int64_t added_ms;

static int64_t mono_ms(void *arg)
{
    (void)arg;
    return now_ms() + added_ms;
}

static int64_t wall_s(void *arg)
{
    (void)arg;
    return (int64_t)time(NULL) + added_ms / 1000;
}

static const ml_clock moved_clock = {mono_ms, wall_s, NULL};
static char logged[400];

static void on_log(void *arg, ml_log_level level, const char *area, const char *text)
{
    (void)arg;
    if (level == ML_LOG_WARN && strcmp(area, "resolve") == 0)
        snprintf(logged, sizeof(logged), "%s", text);
}

static char seed[] = "/tmp/moonlatch-seed-XXXXXX";
static char nothing[] = "/tmp/moonlatch-seed-XXXXXX";
static server *vault;
static ml_resolver *resolver;

static void write_file(char *path, const char *text)
{
    int fd = mkstemp(path);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int set_up_all(void **state)
{
    clean_environment(state);
    write_file(seed, "{\"main\": {\"name\": \"value\", \"name2\": \"value2\"}}\n");
    write_file(nothing, "{\"main\": {}}\n");
    vault = vault_start("--seed", seed, NULL);
    return 0;
}

static int tear_down_all(void **state)
{
    (void)state;
    server_stop(vault);
    remove(nothing);
    return remove(seed);
}

/* A healthy vault, and a handle that has asked for the name once. */
static int set_up(void **state)
{
    (void)state;
    vault_again(vault, "--seed", seed, NULL);
    logged[0] = '\0';
    added_ms = 0;
    resolver = open_with(&(setup){.vault = vault,
                                  .policy = policy,
                                  .clock = &moved_clock,
                                  .log = on_log,
                                  .deadline_ms = 700,
                                  .has_cache = true});
    assert_value(resolver, "name", "value");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ml_close(resolver);
    return 0;
}

static void assert_explained(const char *name, unsigned flags, const char *part)
{
    ml_call call = {ML_CALL_INIT, .verb = ML_EXPLAIN, .name = name, .flags = flags};
    ml_answer *a = NULL;
    assert_int_equal(run(resolver, &call, &a), 0);
    if (!strstr(ml_answer_text(a), part))
        fail_msg("no \"%s\" in\n%s", part, ml_answer_text(a));
    ml_answer_free(a);
}

/* Within ttl nobody asks; then the old value answers, and says so; beyond it, the
 * failure is told. */
static void outage(int code, const char *outcome)
{
    assert_value(resolver, "name", "value");
    assert_string_equal(logged, "");
    added_ms = 10000;
    assert_explained("name", ML_PLAN_ONLY, "cache: stale, 10");
    assert_value(resolver, "name", "value");
    char wanted[100];
    snprintf(wanted, sizeof(wanted),
             "name: kv:name is %s: answered with a stale value, 1", outcome);
    assert_non_null(strstr(logged, wanted));
    assert_explained("name", 0, "answer: found in kv:name version");
    assert_explained("name", 0, ", stale, 1");
    assert_explained("name", 0, "-> stale, 1");
    assert_int_equal(get_code(resolver, "strict"), code);
    assert_int_equal(get_code(resolver, "name2"), code); /* never seen before */
    added_ms = 60000;
    assert_value(resolver, "name", "value");
    added_ms = 101000;
    assert_int_equal(get_code(resolver, "name"), code);
}

static void test_unavailable(void **state)
{
    (void)state;
    vault_again(vault, "--seed", seed, "--fault", "503:op=get", NULL);
    outage(ML_EUNAVAILABLE, "unavailable");
}

static void test_throttled(void **state)
{
    (void)state;
    vault_again(vault, "--seed", seed, "--fault", "429:op=get", NULL);
    outage(ML_ETHROTTLED, "throttled");
}

static void test_dead(void **state)
{
    (void)state;
    server_kill(vault);
    outage(ML_EUNAVAILABLE, "unavailable");
    assert_int_equal(get_code(resolver, "busy"), ML_EUNAVAILABLE); /* throttled only */
}

/* Whose rule takes stale values has been answered with what another rule, whose does
 * not, had asked for; and what only that one has asked for does not answer. */
static void test_brought_by_another_rule(void **state)
{
    (void)state;
    ml_err e;
    assert_int_equal(ml_forget(resolver, NULL, &e), 0);
    assert_value(resolver, "strict", "value");
    assert_value(resolver, "name", "value");
    assert_int_equal(requests(vault, "get", 200), 2); /* set_up's, and one for both */
    vault_again(vault, "--seed", seed, "--fault", "503:op=get", NULL);
    added_ms = 10000;
    assert_value(resolver, "name", "value");
    assert_non_null(strstr(logged, "answered with a stale value"));
    vault_again(vault, "--seed", seed, NULL);
    assert_int_equal(ml_forget(resolver, NULL, &e), 0);
    added_ms = 40000;
    assert_value(resolver, "strict", "value");
    vault_again(vault, "--seed", seed, "--fault", "503:op=get", NULL);
    added_ms = 50001;
    assert_int_equal(get_code(resolver, "name"), ML_EUNAVAILABLE);
}

/* After one failure the vault is left alone for a while, and asked again then. */
static void test_it_rests(void **state)
{
    (void)state;
    vault_again(vault, "--seed", seed, "--fault", "503:op=get", NULL);
    added_ms = 10000;
    assert_value(resolver, "name", "value");
    int asked = requests(vault, "get", -1);
    assert_in_range(asked, 1, 6);
    for (int i = 0; i < 1000; i++) {
        ml_pair context[] = {{"i", i % 2 ? "odd" : "even"}}; /* answers of their own */
        ml_secret *s = NULL;
        ml_err e;
        assert_int_equal(ml_get(resolver, "name", context, 1, &s, &e), 0);
        ml_secret_unref(s);
    }
    assert_int_equal(requests(vault, "get", -1), asked);
    vault_again(vault, "--seed", seed, NULL);
    added_ms += 5000;
    assert_value(resolver, "name", "value");
    assert_int_equal(requests(vault, "get", 200), 1);
    added_ms += 9000;
    assert_value(resolver, "name", "value"); /* fresh again: the answer is kept */
}

/* What the vault says about the secret itself is told, and forgets the old value. */
static void said(const char *flag, const char *value, int code)
{
    vault_again(vault, "--seed", seed, flag, value, NULL);
    assert_value(resolver, "name", "value"); /* ttl is not over */
    added_ms = 10000;
    assert_int_equal(get_code(resolver, "name"), code);
    server_kill(vault);
    assert_int_equal(get_code(resolver, "name"), ML_EUNAVAILABLE);
}

static void test_forbidden(void **state)
{
    (void)state;
    said("--fault", "forbid=rbac", ML_EFORBIDDEN);
}

static void test_disabled(void **state)
{
    (void)state;
    said("--fault", "disabled=*", ML_EDISABLED);
}

static void test_missing(void **state)
{
    (void)state;
    vault_again(vault, "--seed", nothing, NULL);
    added_ms = 10000;
    assert_int_equal(get_code(resolver, "name"), ML_EMISSING);
    server_kill(vault);
    assert_int_equal(get_code(resolver, "name"), ML_EUNAVAILABLE);
}

/* A change through the handle is seen at once, by every name of the key. */
static void test_changes_are_seen(void **state)
{
    (void)state;
    assert_value(resolver, "strict", "value");
    assert_int_equal(requests(vault, "get", 200), 1); /* of one key */
    put_text(resolver, "name", "new");
    assert_value(resolver, "name", "new");
    assert_value(resolver, "strict", "new");
    assert_explained("name", 0, "cache: fresh for another");
    assert_int_equal(ml_delete(resolver, "name", NULL, 0, &last_error), 0);
    assert_true(get_code(resolver, "name") < 0);
    assert_true(get_code(resolver, "strict") < 0);
}

/* Also by those that lead to it through another source of the same vault. */
static void test_changes_through_another_source(void **state)
{
    (void)state;
    assert_value(resolver, "too/name", "value");
    assert_value(resolver, "too/Name2", "value2");
    put_text(resolver, "name", "new");
    assert_value(resolver, "too/name", "new");
    int asked = requests(vault, "get", 200);
    assert_value(resolver, "too/name2", "value2"); /* only the key is forgotten */
    assert_int_equal(requests(vault, "get", 200), asked);
    put_text(resolver, "too/NAME", "newer");
    assert_value(resolver, "name", "newer");
    assert_int_equal(ml_delete(resolver, "too/name", NULL, 0, &last_error), 0);
    assert_true(get_code(resolver, "name") < 0);
}

static void note_code(ml_request *q, const ml_answer *a, const ml_err *e, void *arg)
{
    (void)q;
    (void)a;
    *(int *)arg = e->code;
}

/* Also one that a reload overtakes: the policy after it has sources of its own, and
 * they have asked before the change happened. */
static void test_a_change_that_is_overtaken(void **state)
{
    (void)state;
    ml_err e;
    int code = 1;
    ml_call put = {ML_CALL_INIT,   .verb = ML_PUT, .name = "name",
                   .value = "new", .value_len = 3, .deadline_ms = 60000};
    vault_again(vault, "--seed", seed, "--fault", "503:first=1,op=set,retry-after=2",
                NULL);
    assert_non_null(ml_start(resolver, &put, note_code, &code, &e));
    while (requests(vault, "set", 503) == 0) ml_step(resolver, 10);
    assert_int_equal(ml_reload(resolver, &e), 0);
    assert_value(resolver, "name", "value"); /* it tries again in two seconds */
    while (code == 1) ml_step(resolver, 100);
    assert_int_equal(code, 0);
    assert_value(resolver, "name", "new");
}

/* explain and get with ML_REFRESH ask the vault whatever is kept. */
static void test_refresh(void **state)
{
    (void)state;
    int asked = requests(vault, "get", 200);
    assert_explained("name", 0, "found");
    assert_int_equal(requests(vault, "get", 200), asked);
    assert_explained("name", ML_REFRESH, "found");
    assert_int_equal(requests(vault, "get", 200), asked + 1);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_unavailable),
        TEST(test_throttled),
        TEST(test_dead),
        TEST(test_brought_by_another_rule),
        TEST(test_it_rests),
        TEST(test_forbidden),
        TEST(test_disabled),
        TEST(test_missing),
        TEST(test_refresh),
        TEST(test_changes_are_seen),
        TEST(test_changes_through_another_source),
        TEST(test_a_change_that_is_overtaken),
    };
    return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
