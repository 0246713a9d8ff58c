/* test_core.c - core files of a host that holds secrets, and of one that has closed its
 * handle, searched for a value, a token and a client secret.
 *
 * The host is memory_probe.c, stopped with everything held, or after ml_close.  The
 * kernel writes the core file (a SIGABRT), where it is set up to write one beside the
 * process; elsewhere gdb does, which leaves out what the kernel would. */
#include "canaries.h"
#include "traced.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static server *vault;
static char dir[192], home[192];

static int start(void **state)
{
    clean_environment(state);
    vault = canary_vault();
    canary_files(vault);
    snprintf(dir, sizeof(dir), "%s", server_file(vault, "core"));
    assert_int_equal(mkdir(dir, 0700), 0);
    assert_non_null(getcwd(home, sizeof(home)));
    return chdir(dir); /* where the kernel puts core files */
}

static int stop(void **state)
{
    (void)state;
    int failed = chdir(home);
    server_stop(vault);
    return failed;
}

/* ---- taking one ------------------------------------------------------------------ */

/* Does the kernel write core files to where a process is? */
static bool is_written_here(void)
{
    char pattern[256] = "";
    FILE *f = fopen("/proc/sys/kernel/core_pattern", "re");
    bool is_known = f && fgets(pattern, sizeof(pattern), f);
    if (f) fclose(f);
    return is_known && pattern[0] != '|' && !strchr(pattern, '/') && pattern[0] != '\n';
}

static void end(pid_t child)
{
    int status;
    kill(child, SIGKILL);
    (void)waitpid(child, &status, 0);
}

/* Runs the probe until it stops itself.  -> its process; a failure ends the test. */
static pid_t stopped_probe(const char *mode, const char *stage)
{
    char out[256];
    int status = 0;
    snprintf(out, sizeof(out), "%s/out", dir);
    pid_t child =
        canary_probe(vault, (const char *const[]){PROBE, mode, stage, NULL}, out);
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    if (!WIFSTOPPED(status)) {
        char *text = read_text(out);
        fail_msg("the probe ended (%d): %s", status, text);
    }
    return child;
}

/* Its file's name, "" when the kernel wrote none. */
static void abort_it(pid_t child, char name[256])
{
    int status = 0;
    kill(child, SIGABRT);
    kill(child, SIGCONT);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    snprintf(name, 256, "%s/core.%d", dir, (int)child);
    if (access(name, R_OK) != 0) snprintf(name, 256, "%s/core", dir);
    if (!WCOREDUMP(status) || access(name, R_OK) != 0) name[0] = '\0';
}

static bool has_gcore(void)
{
    return access("/usr/bin/gcore", X_OK) == 0;
}

static void gcore(pid_t child, char name[256])
{
    char prefix[200], number[16];
    int status = -1;
    snprintf(prefix, sizeof(prefix), "%s/core", dir);
    snprintf(number, sizeof(number), "%d", (int)child);
    snprintf(name, 256, "%s.%s", prefix, number);
    pid_t gdb = fork();
    if (gdb == 0) {
        int out = open("/dev/null", O_WRONLY | O_CLOEXEC);
        if (out < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0) _exit(126);
        execl("/usr/bin/gcore", "gcore", "-o", prefix, number, (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(gdb, &status, 0), gdb);
    if (status != 0 || access(name, R_OK) != 0) name[0] = '\0';
}

/* ---- searching it ---------------------------------------------------------------- */

enum { VALUE, CLIENT_SECRET, TOKEN, CONTROL, N_TEXTS };
static const struct {
    const char *name;
    const char *texts[3];
} wanted[N_TEXTS] = {
    [VALUE] = {"value", {"canaryvalue."}},
    [CLIENT_SECRET] = {"client secret", {"canaryclient."}},
    [TOKEN] = {"token", {"YWJjYWJjYWJj", "YmNhYmNhYmNh", "Y2FiY2FiY2Fi"}},
    [CONTROL] = {"control", {"control-of-the-core-file"}},
};

static void search(const char *file, int found[N_TEXTS])
{
    struct stat s = {0};
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && fstat(fd, &s) == 0 && s.st_size > 0);
    char *p = mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    assert_true(p != MAP_FAILED);
    for (int i = 0; i < N_TEXTS; i++) {
        found[i] = 0;
        for (int k = 0; k < 3 && wanted[i].texts[k]; k++)
            found[i] += traced_copies(p, (size_t)s.st_size, wanted[i].texts[k]);
    }
    munmap(p, (size_t)s.st_size);
    close(fd);
}

/* By the kernel, or by gdb; a test that neither will write one for is skipped, and says
 * so. */
static void core_of(const char *mode, const char *stage, bool by_gdb,
                    int found[N_TEXTS])
{
    char name[256] = "";
    if (by_gdb ? !has_gcore() : !is_written_here()) skip();
    pid_t child = stopped_probe(mode, stage);
    if (by_gdb) {
        gcore(child, name);
        end(child);
    } else {
        abort_it(child, name);
    }
    if (!name[0]) {
        print_error("no core file, by %s\n", by_gdb ? "gdb" : "the kernel");
        skip();
    }
    search(name, found);
    assert_int_equal(unlink(name), 0);
    print_message("   %s, %s, by %s:", mode, stage, by_gdb ? "gdb" : "the kernel");
    for (int i = 0; i < N_TEXTS; i++)
        print_message(" %d of the %s;", found[i], wanted[i].name);
    print_message("\n");
    assert_true(found[CONTROL] > 0); /* the search works, in this file */
}

static void assert_none(const int found[N_TEXTS])
{
    for (int i = 0; i < CONTROL; i++) assert_int_equal(found[i], 0);
}

/* ---- the library ------------------------------------------------------------------
 */

/* Held in secrets, caches, buffers and by Lua, but in no core file: with libcurl and
 * OpenSSL in memory of their own, there is nothing else. */
static void test_open_ours(void **state)
{
    (void)state;
    int found[N_TEXTS] = {0};
    core_of("apart", "open", false, found);
    assert_none(found);
}

static void test_open_ours_by_gdb(void **state)
{
    (void)state;
    int found[N_TEXTS] = {0};
    core_of("apart", "open", true, found);
    assert_none(found);
}

static void test_closed_ours(void **state)
{
    (void)state;
    int found[N_TEXTS] = {0};
    core_of("apart", "closed", false, found);
    assert_none(found);
}

/* With malloc under libcurl and OpenSSL their buffers are in it, those in use and those
 * they freed: requests (client secret, tokens in headers) and what was received.  The
 * token went with each of two dozen requests. */
static void assert_theirs(const int found[N_TEXTS])
{
    assert_in_range(found[VALUE], 0, 4);
    assert_in_range(found[CLIENT_SECRET], 0, 4);
    assert_in_range(found[TOKEN], 0, CANARY_MOST_OF_TOKENS);
}

static void test_open_theirs(void **state)
{
    (void)state;
    int found[N_TEXTS] = {0};
    core_of("plain", "open", false, found);
    assert_theirs(found);
}

static void test_closed_theirs(void **state)
{
    (void)state;
    int found[N_TEXTS] = {0};
    core_of("plain", "closed", false, found);
    assert_theirs(found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_ours),     cmocka_unit_test(test_open_ours_by_gdb),
        cmocka_unit_test(test_closed_ours),   cmocka_unit_test(test_open_theirs),
        cmocka_unit_test(test_closed_theirs),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
