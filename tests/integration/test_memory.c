/* test_memory.c - what is left of a value, a token and a client secret in the memory of
 * a host that has let everything go; memory_probe.c is that host, and says how it
 * looks. */
#include "canaries.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

static server *vault;

static int start(void **state)
{
    clean_environment(state);
    vault = canary_vault();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    server_stop(vault);
    return 0;
}

/* Runs the probe; what it found of each canary after closing goes to left. */
static int probe(const char *mode, int left[3])
{
    char log[256];
    snprintf(log, sizeof(log), "%s", server_file(vault, "probe"));
    pid_t child = fork();
    if (child == 0) {
        setenv("VAULT_URL", vault->url, 1);
        setenv("AZURE_AUTHORITY_HOST", vault->url, 1);
        setenv("AZURE_TENANT_ID", vault->tenant_id, 1);
        setenv("AZURE_CLIENT_ID", canary_id, 1);
        setenv("AZURE_CLIENT_SECRET", canary_secret, 1);
        setenv("SSL_CERT_FILE", vault->ca_file, 1);
        int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0) _exit(126);
        execl(PROBE, PROBE, mode, (char *)NULL);
        _exit(127);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    char *text = read_text(log);
    static const char *const names[3] = {
        "copies of value:", "copies of client_secret:", "copies of token:"};
    for (int i = 0; i < 3; i++) {
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
    int left[3] = {-1, -1, -1};
    assert_int_equal(probe("scrubbing", left), 0);
    for (int i = 0; i < 3; i++) assert_int_equal(left[i], 0);
}

/* With malloc under them, libcurl leaves copies in freed memory: of requests (token,
 * client secret, a value that is put) and of what it received (token, value).  How many
 * is libcurl's affair; it must not grow with the number of calls. */
static void test_theirs(void **state)
{
    (void)state;
    int left[3] = {-1, -1, -1};
    assert_int_equal(probe("plain", left), 0);
    for (int i = 0; i < 3; i++) assert_in_range(left[i], 0, 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ours),
        cmocka_unit_test(test_theirs),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
