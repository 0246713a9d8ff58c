/* stress.c - everything at once, for a while: 16 threads on one handle, a vault that
 * fails and is restarted, reloads, cancels, deadlines, clocks that jump.
 *
 *   MOONLATCH=PROGRAM embed_stress SECONDS [SEED]
 *
 * What must hold all the time: each done is called exactly once; a value is one that
 * was put for that very name, and for the writer itself the last one; what exists is
 * never missing, whatever fails; no text tells a value; and it all comes to an end. */
#include "stress.h"

#include <unistd.h>

enum {
    ROUND_MS = 4000, /* one handle */
    END_S = 240      /* after its time: then it hangs */
};

static server *vault;
static char dir[] = "/tmp/moonlatch-stress-XXXXXX";
static char policy_file[64], store_file[64], seed_file[64];
static long seconds;
static unsigned first_seed;
static atomic_int n_reloads, n_outages;
static atomic_llong mono_ahead_ms, wall_ahead_s;

static int64_t mono_ms(void *arg)
{
    (void)arg;
    return now_ms() + mono_ahead_ms;
}

static int64_t wall_s(void *arg)
{
    (void)arg;
    return 1800000000 + now_ms() / 1000 + wall_ahead_s;
}

static const ml_clock wild_clock = {mono_ms, wall_s, NULL};

/* ---- trouble ----------------------------------------------------------------------
 */

static void write_text(const char *path, const char *text)
{
    char next[280];
    snprintf(next, sizeof(next), "%s.next", path);
    FILE *f = fopen(next, "we");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(rename(next, path), 0);
}

static void write_policy(int ttl_ms, const char *end)
{
    char text[1024];
    snprintf(text, sizeof(text),
             "local ml = require 'moonlatch.policy'\n"
             "local kv = ml.azure_key_vault { vault_url = ml.env 'VAULT_URL' }\n"
             "return ml.policy {\n"
             "  ml.rule 'soft/**' { strip = 'soft/', from = kv, ttl = %d / 1000,\n"
             "    on = { throttled = 'stale', unavailable = 'stale' } },\n"
             "  ml.rule 'both/**' { strip = 'both/', prefix = { 'absent-', '' }, from "
             "= kv,\n"
             "    negative_ttl = 1 },\n"
             "  ml.rule '**' { from = kv, ttl = %d / 1000 } %s\n",
             ttl_ms, 2 * ttl_ms, end);
    write_text(policy_file, text);
}

static void reload(unsigned *seed)
{
    ml_err e;
    bool is_broken = dice(seed, 4) == 0;
    write_policy(50 + dice(seed, 500), is_broken ? "" : "}");
    int code = ml_reload(resolver, &e);
    n_reloads++;
    if (code != (is_broken ? ML_EPOLICY : 0)) wrong("reload", "", e.text);
}

static void jump(unsigned *seed)
{
    bool is_far = dice(seed, 10) == 0;
    mono_ahead_ms += dice(seed, is_far ? 7200 * 1000 : 300);
    if (is_far) wall_ahead_s = dice(seed, 20 * 86400) - 10 * 86400;
}

#define FAULTS                                                                         \
    "--fault", "429:0.03,retry-after-ms=20", "--fault", "503:0.03", "--fault",         \
        "reset:0.02", "--fault", "lost:0.01", "--fault", "truncate:0.01", "--fault",   \
        "html=502:0.01", "--fault", "garbage:0.01", "--fault", "delay=30ms:0.1",       \
        "--fault", "token-503:0.1", "--fault", "limbo=20ms", "--page-size", "5",       \
        "--vault", "main"

static void go_out(unsigned *seed)
{
    server_kill(vault);
    usleep((unsigned)dice(seed, 300) * 1000);
    vault_again(vault, "--store", store_file, FAULTS, NULL);
    n_outages++;
}

static void make_trouble(int64_t until_ms, unsigned *seed)
{
    while (now_ms() < until_ms) {
        usleep((unsigned)dice(seed, 60) * 1000);
        if (dice(seed, 2) == 0) reload(seed);
        if (dice(seed, 2) == 0) jump(seed);
        if (dice(seed, 80) == 0) go_out(seed);
    }
}

/* ---- rounds -----------------------------------------------------------------------
 */

static void write_seed(void)
{
    FILE *f = fopen(seed_file, "we");
    assert_non_null(f);
    fprintf(f, "{\"main\": {\"other\": \"x\"");
    for (int i = 0; i < FIXED; i++)
        fprintf(f, ", \"fixed-%d\": \"canary:fixed-%d:0\"", i, i);
    for (int i = 0; i < THREADS; i++)
        fprintf(f, ", \"own-%d\": \"canary:own-%d:0\"", i, i);
    fprintf(f, "}}\n");
    assert_int_equal(fclose(f), 0);
}

static void open_handle(unsigned *seed)
{
    const ml_pair env[] = {{"VAULT_URL", vault->url},
                           {"AZURE_TENANT_ID", vault->tenant_id},
                           {"AZURE_CLIENT_ID", vault->client_id},
                           {"AZURE_CLIENT_SECRET", vault->client_secret},
                           {"AZURE_AUTHORITY_HOST", vault->url}};
    ml_err e;
    ml_options o = {ML_OPTIONS_INIT,
                    .policy_file = policy_file,
                    .env = env,
                    .n_env = sizeof(env) / sizeof(env[0]),
                    .ca_file = vault->ca_file,
                    .clock = &wild_clock,
                    .deadline_ms = CALL_MS,
                    .lua_deadline_ms = 3600 * 1000 * 10, /* its clock jumps, too */
                    .cache_max_entries = dice(seed, 2) ? 24 : 0,
                    .budget_dir = dice(seed, 2) ? dir : NULL};
    if (ml_open(&resolver, &o, &e) < 0) fail_msg("cannot open: %s", e.text);
}

/* Ends in one of two ways: everything is waited for, or closed on. */
static void live_a_round(int ms, unsigned *seed)
{
    pthread_t ids[THREADS];
    write_policy(200, "}");
    is_over = is_closing = false;
    open_handle(seed);
    callers_start(ids);
    make_trouble(now_ms() + ms, seed);
    is_over = true;
    for (int i = 0; i < THREADS; i++) pthread_join(ids[i], NULL);
    if (dice(seed, 2)) {
        while (n_dones < n_started) assert_true(ml_step(resolver, 1000) >= 0);
    }
    is_closing = true;
    ml_close(resolver);
    if (n_dones != n_started) wrong("calls without a done", "", "");
}

static void make_files(void)
{
    assert_non_null(mkdtemp(dir));
    snprintf(seed_file, sizeof(seed_file), "%s/seed.json", dir);
    snprintf(store_file, sizeof(store_file), "%s/store.db", dir);
    snprintf(policy_file, sizeof(policy_file), "%s/policy.lua", dir);
    write_seed();
}

static void test_stress(void **state)
{
    (void)state;
    unsigned seed = first_seed;
    callers_prepare(seed);
    make_files();
    vault = vault_start("--seed", seed_file, "--store", store_file, FAULTS, NULL);
    int64_t end_ms = now_ms() + 1000 * seconds;
    while (now_ms() < end_ms && n_wrong == 0) {
        int64_t left_ms = end_ms - now_ms();
        live_a_round(left_ms < ROUND_MS ? (int)left_ms : ROUND_MS, &seed);
    }
    callers_end();
    server_stop(vault);
    remove_all(dir);
    print_message("%d started, %d dones; %d answers, %d failures, %d of them missing, "
                  "%d canceled; %d reloads, %d outages; %d wrong\n",
                  n_started, n_dones, n_found, n_failed, n_missing, n_canceled,
                  n_reloads, n_outages, n_wrong);
    assert_int_equal(n_wrong, 0);
    assert_true(n_found > 0 && n_failed > 0 && n_canceled > 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_stress, clean_environment)};
    seconds = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
    first_seed = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : (unsigned)getpid();
    if (seconds < 1) {
        fprintf(stderr, "usage: embed_stress SECONDS [SEED]\n");
        return 2;
    }
    print_message("seed %u\n", first_seed);
    alarm((unsigned)seconds + END_S);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
