/* test_attacks.c - whatever a policy tries, it ends in time and harms nobody.
 *
 *   test_attacks FILE.txt...              every attack, while it loads and in map
 *   test_attacks -v NAME FILE.txt...      one of them, and what it said
 *
 * The one place where the clock is the subject.  Each attack runs in the real VM in a
 * process of its own, so that a hang or a crash costs that attack alone, and its peak
 * memory is its own.  Counted is CPU time, because the machine may be busy: it must end
 * within twice the deadline.  Afterwards the same VM must do good work. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/attacks.h"
#include "script_fixture.h"

/* Under a sanitizer everything takes several times as long and memory that was freed is
 * held back: there the limits are wider. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { DEADLINE_MS = 300, SLOWNESS = 3, MORE_MIB = 600 };
#else
enum { DEADLINE_MS = 250, SLOWNESS = 1, MORE_MIB = 24 };
#endif
enum { MAX_MIB = 32, HANGS_S = 20 };

static const ml_vm_limits limits = {.max_bytes = (size_t)MAX_MIB * 1024 * 1024,
                                    .deadline_ms = DEADLINE_MS};
static const ml_pair variables[] = {{"CANARY", "canary-4711"}, {NULL, NULL}};
static const char good[] = "local ml = require 'moonlatch.policy'\n"
                           "return ml.policy { ml.rule 'a/**' {\n"
                           "  map = function(req) return ml.environment {}:key('now-'"
                           " .. req.leaf:upper():rep(2)) end } }";

static bool is_verbose;

static long cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1000L + t.tv_nsec / 1000000L;
}

static long peak_mib(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss / 1024;
}

static outcome load_and_get(fixture *f, const char *policy, const char *name)
{
    outcome o = {0};
    if (fixture_load(f, policy, &o.err) < 0) return o;
    if (fixture_start(f, &(ml_call){ML_CALL_INIT, .name = name}, &o))
        fixture_finish(f, &o);
    return o;
}

/* ---- one attack, in the child ---------------------------------------------------- */

static bool is_one_end(const ml_err *e, const char *end, size_t n)
{
    static const char error[] = "error: ";
    bool is_policy = e->code == ML_EPOLICY || e->code == ML_EUSAGE;
    if (n == 3) return e->code == 0 || e->text[0] != '\0';
    if (strncmp(end, "fine", n) == 0) return e->code == 0;
    if (!is_policy) return false;
    if (strncmp(end, "stopped", n) == 0)
        return strstr(e->text, "the policy ran too long") &&
               strncmp(e->text, "policy.lua:", 11) == 0;
    if (strncmp(end, "deep", n) == 0) return strstr(e->text, "went too deep");
    if (strncmp(end, "memory", n) == 0) return strstr(e->text, "too much memory");
    return n > strlen(error) && strstr(e->text, end + strlen(error));
}

/* On a busy machine the deadline may come before any other end that takes some work. */
static bool is_too_late(const ml_err *e)
{
    return e->code == ML_EPOLICY && strstr(e->text, "milliseconds without a result");
}

/* Of "A|B", one; an "error: TEXT" stands last. */
static bool is_right_end(const ml_err *e, const char *end)
{
    size_t n = strcspn(end, strncmp(end, "error", 5) == 0 ? "" : "|");
    if (is_one_end(e, end, n) || is_too_late(e)) return true;
    return end[n] && is_right_end(e, end + n + 1);
}

static int blame(const attack *a, attack_place place, const char *what, long n)
{
    fprintf(stderr, "%s (%s): %s %ld\n", a->name, place ? "in map" : "at load", what,
            n);
    return 1;
}

static int run_one(const attack *a, attack_place place)
{
    static fixture f;
    ml_err e = {0};
    char *policy = attack_policy(a, place);
    if (fixture_open_real(&f, &limits, variables, &e) != 0) return 3;
    long began_ms = cpu_ms(), began_mib = peak_mib();
    outcome o = load_and_get(&f, policy, "a/bab/aaaaaaaaaaaaaaaaaaaaaaa/c");
    long took_ms = cpu_ms() - began_ms, grew_mib = peak_mib() - began_mib;
    if (is_verbose)
        fprintf(stderr, "%s (%s): %ld ms, %ld MiB, %s\n", a->name,
                place ? "in map" : "at load", took_ms, grew_mib, o.err.text);
    int failed = 0;
    if (!is_right_end(&o.err, a->end)) {
        fprintf(stderr, "wanted: %s, got: %s\n", a->end, o.err.text);
        failed |= blame(a, place, "wrong end, code", o.err.code);
    }
    /* A load and a get have a deadline each. */
    if (took_ms > 2L * DEADLINE_MS * SLOWNESS)
        failed |= blame(a, place, "took milliseconds:", took_ms);
    if (grew_mib > MAX_MIB + MORE_MIB) failed |= blame(a, place, "took MiB:", grew_mib);
    outcome after = load_and_get(&f, good, "a/b");
    if (after.err.code != 0 || strcmp(after.value, "value of now-BB") != 0) {
        fprintf(stderr, "%s\n", after.err.text);
        failed |= blame(a, place, "harmed the VM, code", after.err.code);
    }
    if (strstr(o.err.text, "canary")) failed |= blame(a, place, "told a secret", 0);
    fixture_close(&f);
    free(policy);
    return failed;
}

/* ---- all of them ------------------------------------------------------------------
 */

static bool run_in_child(const attack *a, attack_place place)
{
    int status = 0;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(HANGS_S * SLOWNESS);
        _exit(run_one(a, place));
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    if (pid > 0 && WIFEXITED(status)) return WEXITSTATUS(status) == 0;
    blame(a, place, "ended by signal", WIFSIGNALED(status) ? WTERMSIG(status) : -1);
    return false;
}

int main(int argc, char **argv)
{
    attacks all = {0};
    size_t n_run = 0, n_failed = 0;
    is_verbose = argc > 2 && strcmp(argv[1], "-v") == 0;
    const char *only = is_verbose ? argv[2] : NULL;
    for (int i = is_verbose ? 3 : 1; i < argc; i++) attacks_read(&all, argv[i]);
    for (size_t i = 0; i < all.n; i++) {
        int places = all.items[i].is_whole ? 1 : ATTACK_PLACES;
        if (only && !strstr(all.items[i].name, only)) continue;
        for (int place = 0; place < places; place++) {
            n_run++;
            if (!run_in_child(&all.items[i], (attack_place)place)) n_failed++;
        }
    }
    printf("%zu attacks, %zu runs, %zu failed\n", all.n, n_run, n_failed);
    attacks_free(&all);
    return n_run == 0 || n_failed > 0;
}
