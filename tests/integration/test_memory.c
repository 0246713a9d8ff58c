/* test_memory.c - what is left of a value, a token and a client secret in the memory of
 * a host that has let everything go; memory_probe.c is that host, and says how it
 * looks. */
#include "canaries.h"

#include <sys/wait.h>

static server *vault;

static int start(void **state)
{
    clean_environment(state);
    vault = canary_vault();
    canary_files(vault);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    server_stop(vault);
    return 0;
}

enum { VALUE, CLIENT_SECRET, TOKEN, N_CANARIES };
static const char *const names[N_CANARIES] = {
    "copies of value:", "copies of client_secret:", "copies of token:"};

/* Runs the probe; what it found of each canary after closing goes to left. */
static int probe(const char *mode, int left[N_CANARIES])
{
    char log[256];
    snprintf(log, sizeof(log), "%s", server_file(vault, "probe"));
    pid_t child = canary_probe(vault, (const char *const[]){PROBE, mode, NULL}, log);
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    char *text = read_text(log);
    for (int i = 0; i < N_CANARIES; i++) {
        const char *at = strstr(text, names[i]);
        char *while_open = NULL, *afterwards = NULL;
        if (at) {
            (void)strtol(at + strlen(names[i]), &while_open, 10);
            left[i] = (int)strtol(while_open, &afterwards, 10);
        }
        if (!at || afterwards == while_open) {
            fail_msg("the probe failed (%d):\n%s", status, text);
        }
    }
    print_message("%s", text);
    free(text);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* With allocators that erase under libcurl and OpenSSL, as our own program has them,
 * whatever is found is a copy of ours.  There is none. */
static void test_ours(void **state)
{
    (void)state;
    int left[N_CANARIES] = {-1, -1, -1};
    assert_int_equal(probe("apart", left), 0);
    for (int i = 0; i < N_CANARIES; i++) assert_int_equal(left[i], 0);
}

/* With malloc under them, libcurl leaves copies in freed memory: of requests (token,
 * client secret, a value that is put) and of what it received (token, value).  How many
 * is libcurl's affair; it must not grow with the number of calls. */
static void test_theirs(void **state)
{
    (void)state;
    int left[N_CANARIES] = {-1, -1, -1};
    assert_int_equal(probe("plain", left), 0);
    assert_in_range(left[VALUE], 0, 4);
    assert_in_range(left[CLIENT_SECRET], 0, 4);
    assert_in_range(left[TOKEN], 0, CANARY_MOST_OF_TOKENS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ours),
        cmocka_unit_test(test_theirs),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
