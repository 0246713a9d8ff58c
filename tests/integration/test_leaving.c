/* test_leaving.c - what the program has in memory when it leaves: no value, no client
 * secret, no token, whatever it did and however it ended. */
#include "canaries.h"
#include "traced.h"

#include <unistd.h>

enum { MAX_ARGS = 12, MAX_ENV = 12 };

static server *vault;
static char out_file[256], value_file[256], connection_file[256], env_file[256];
static char policy_file[256], held_file[256];

static void file(char path[256], const char *name)
{
    snprintf(path, 256, "%s", server_file(vault, name));
}

static FILE *write_file(char path[256], const char *name)
{
    file(path, name);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    return f;
}

static void write_files(void)
{
    FILE *f = write_file(value_file, "value");
    canary_repeat(f, "canaryvalue", 40);
    fclose(f);
    f = write_file(connection_file, "connection");
    fputs("postgresql://u:", f);
    canary_repeat(f, "canaryvalue", 40);
    fputs("@db.example:5432/x?extra=", f);
    canary_repeat(f, "canaryvalue", 4);
    fclose(f);
    f = write_file(env_file, "env");
    fprintf(f,
            "AIRFLOW__SECRETS__BACKEND_KWARGS={\"vault_url\": \"%s\", \"tenant_id\": "
            "\"%s\", \"client_id\": \"%s\", \"client_secret\": \"%s\"}\n",
            vault->url, vault->tenant_id, canary_id, canary_secret);
    fclose(f);
    f = write_file(policy_file, "policy.lua");
    fputs("local ml = require 'moonlatch.policy'\n"
          "local kv = ml.azure_key_vault { vault_url = ml.env 'VAULT_URL' }\n"
          "return ml.policy { ml.rule '**' { from = { kv } } }\n",
          f);
    fclose(f);
}

static int start(void **state)
{
    clean_environment(state);
    vault = canary_vault();
    file(out_file, "out");
    write_files();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    server_stop(vault);
    return 0;
}

static traced_canary canaries[] = {
    {"value", {"canaryvalue."}, 0, ""},
    {"client secret", {"canaryclient."}, 0, ""},
    {"token", {"YWJjYWJjYWJj", "YmNhYmNhYmNh", "Y2FiY2FiY2Fi"}, 0, ""},
};
enum { N_CANARIES = sizeof(canaries) / sizeof(canaries[0]) };

/* The way it is run: traced_search or traced_at_write. */
typedef int traced_way(const traced_run *r, traced_canary *canaries, int n);

/* Runs the program with arguments that end with NULL, and the identity given. */
static int run_it(traced_way *way, const char *in, const char *client_secret,
                  const char *const *args)
{
    char texts[MAX_ENV][640];
    char *env[MAX_ENV + 1] = {0}, *argv[MAX_ARGS + 2] = {getenv("MOONLATCH")};
    const char *const pairs[][2] = {
        {"VAULT_URL", vault->url},
        {"AZURE_AUTHORITY_HOST", vault->url},
        {"SSL_CERT_FILE", vault->ca_file},
        {"MOONLATCH_POLICY", client_secret ? policy_file : "airflow"},
        {"AZURE_TENANT_ID", client_secret ? vault->tenant_id : NULL},
        {"AZURE_CLIENT_ID", canary_id},
        {"AZURE_CLIENT_SECRET", client_secret},
    };
    int n = 0;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]) && pairs[i][1]; i++) {
        snprintf(texts[n], sizeof(texts[n]), "%s=%s", pairs[i][0], pairs[i][1]);
        env[n] = texts[n];
        n++;
    }
    for (int i = 0; i < MAX_ARGS && args[i]; i++)
        argv[i + 1] = (char *)(uintptr_t)args[i];
    traced_run r = {argv, env, in ? in : "/dev/null", out_file};
    return way(&r, canaries, N_CANARIES);
}

typedef struct leaving {
    int code;
    const char *in;
    const char *client_secret; /* NULL: the one of the env file */
    const char *args[MAX_ARGS];
} leaving;

static void assert_clean(const leaving *l)
{
    char what[256] = "";
    for (int i = 0; l->args[i]; i++) {
        snprintf(what + strlen(what), sizeof(what) - strlen(what), " %.60s",
                 l->args[i]);
    }
    int code = run_it(traced_search, l->in, l->client_secret, l->args);
    print_message("   %s: %d\n", what, code);
    if (code == -2) fail_msg("the kernel does not let this test trace a child");
    if (code != l->code) {
        char *text = read_text(out_file);
        print_error("%s", text);
        free(text);
        fail_msg("%s: exit %d, expected %d", what, code, l->code);
    }
    for (int i = 0; i < N_CANARIES; i++) {
        if (canaries[i].found)
            print_error("%s: %d of the %s, in%s\n", what, canaries[i].found,
                        canaries[i].name, canaries[i].where);
    }
    for (int i = 0; i < N_CANARIES; i++) assert_int_equal(canaries[i].found, 0);
}

static void test_leaves_nothing(void **state)
{
    (void)state;
    static char wrong[] = "canaryclient.canaryclient.canaryclient.canaryclient.";
    const char *mine = canary_secret;
    const leaving runs[] = {
        {0, NULL, mine, {"get", "marked"}},
        {0, NULL, mine, {"get", "marked", "--json", "--reveal"}},
        {0, value_file, mine, {"put", "other"}},
        {0, NULL, mine, {"put", "again", "--from-file", value_file}},
        {0, connection_file, mine, {"put", "airflow-connections-db"}},
        {0, NULL, mine, {"explain", "marked"}},
        {0, NULL, mine, {"list", "--json"}},
        {0, NULL, mine, {"versions", "marked"}},
        {0, NULL, mine, {"backup", "marked", "--output", held_file}},
        {0, NULL, mine, {"get", "marked", "-vvv"}},
        {3, NULL, mine, {"get", "nothing"}},
        {6, NULL, wrong, {"get", "marked"}},
        {2, NULL, mine, {"get", "marked", "--no-such-flag"}},
        {0,
         NULL,
         NULL,
         {"get", "connections/db", "--json", "--reveal", "--env-file", env_file}},
        {0, NULL, NULL, {"explain", "connections/db", "--env-file", env_file}},
        {3, NULL, NULL, {"get", "variables/no", "--env-file", env_file}},
    };
    file(held_file, "backup");
    for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) assert_clean(&runs[i]);
}

/* As it writes a value it is held, in a secret and as a string of Lua.  The program has
 * core files switched off: killed then, it leaves none.  Were there one, the value
 * would not be in it, but for what is on the stack below the running function. */
static void test_dumps_nothing(void **state)
{
    (void)state;
    const char *const plain[] = {"get", "marked", NULL};
    const char *const json[] = {"get", "marked", "--json", "--reveal", NULL};
    const char *const *const runs[] = {plain, json};
    for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
        int code = run_it(traced_at_write, NULL, canary_secret, runs[i]);
        if (code == -2) fail_msg("the kernel does not let this test trace a child");
        assert_int_equal(code, 0);
        for (int k = 0; k < N_CANARIES; k++) {
            print_message("   %d of the %s%s\n", canaries[k].found, canaries[k].name,
                          canaries[k].found ? canaries[k].where : "");
            assert_in_range(canaries[k].found, 0, 2);
            if (canaries[k].found)
                assert_non_null(strstr(canaries[k].where, "[stack]"));
        }
    }
}

/* The search itself: a program that holds on to what it read is found out. */
static void test_finds_what_is_kept(void **state)
{
    (void)state;
    char *argv[] = {(char *)(uintptr_t) "/bin/sh", (char *)(uintptr_t) "-c",
                    (char *)(uintptr_t) "read -r kept; exit 5", NULL};
    char *env[] = {NULL};
    traced_run r = {argv, env, value_file, out_file};
    assert_int_equal(traced_search(&r, canaries, N_CANARIES), 5);
    assert_true(canaries[0].found > 0);
    assert_int_equal(canaries[1].found, 0);
    argv[2] = (char *)(uintptr_t) "ulimit -c 0; read -r kept; echo";
    assert_int_equal(traced_at_write(&r, canaries, N_CANARIES), 0);
    assert_true(canaries[0].found > 0);
    assert_null(strstr(canaries[0].where, "[stack]"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leaves_nothing),
        cmocka_unit_test(test_dumps_nothing),
        cmocka_unit_test(test_finds_what_is_kept),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
