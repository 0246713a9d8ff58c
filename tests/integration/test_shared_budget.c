/* test_shared_budget.c - several processes before one vault with one budget: this
 * program runs itself again as workers, which are counted, stopped and killed. */
#include "support.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { NAMES = 50, WORKERS = 4, MAX_AT_ONCE = 200, ANSWER_MS = 60000, LIMIT = 100 };

static char dir_path[64];

/* ---- the worker -------------------------------------------------------------------
 *
 *   worker DIR MODE COUNT LIMIT URL CA_FILE TENANT ID SECRET
 *
 * MODE crowd: COUNT gets at once, then "GOOD FAILED EARLY" on stdout, EARLY being those
 * within eight seconds.  MODE steady: COUNT at once for ever, a line when they begin.
 */

static struct {
    const char *dir;
    int limit;
} given;

static int n_good, n_failed, n_early;
static int64_t began_ms;

static void adjust(ml_options *o)
{
    o->budget_dir = given.dir;
    o->vault_reads_in_10_s = given.limit;
}

static void on_done(ml_request *q, const ml_answer *a, const ml_err *e, void *arg)
{
    (void)q;
    (void)a;
    (void)arg;
    if (e->code == 0) n_good++;
    if (e->code != 0 && n_failed++ == 0) fprintf(stderr, "worker: %s\n", e->text);
    if (now_ms() - began_ms < 8000) n_early++;
}

static void start_one(ml_resolver *r, int i)
{
    char name[32];
    snprintf(name, sizeof(name), "name-%d", i % NAMES);
    ml_call call = {ML_CALL_INIT, .verb = ML_GET, .name = name, .flags = ML_REFRESH};
    if (!ml_start(r, &call, on_done, NULL, NULL)) _exit(3);
}

static int work(char **argv)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    server v = {0};
    given.dir = argv[0];
    given.limit = (int)strtol(argv[3], NULL, 10);
    snprintf(v.url, sizeof(v.url), "%s", argv[4]);
    snprintf(v.ca_file, sizeof(v.ca_file), "%s", argv[5]);
    snprintf(v.tenant_id, sizeof(v.tenant_id), "%s", argv[6]);
    snprintf(v.client_id, sizeof(v.client_id), "%s", argv[7]);
    snprintf(v.client_secret, sizeof(v.client_secret), "%s", argv[8]);
    int count = (int)strtol(argv[2], NULL, 10);
    bool is_steady = strcmp(argv[1], "steady") == 0;
    ml_resolver *r = open_with(&(setup){.vault = &v, .adjust = adjust});
    began_ms = now_ms();
    for (int i = 0; i < count; i++) start_one(r, i);
    for (int said = 0, ended = 0; is_steady || n_good + n_failed < count;) {
        if (ml_step(r, 1000) < 0) return 1;
        for (; is_steady && ended < n_good + n_failed; ended++) start_one(r, ended);
        if (is_steady && n_good > 0 && !said++) dprintf(1, "begun\n");
    }
    ml_close(r);
    dprintf(1, "%d %d %d\n", n_good, n_failed, n_early);
    return 0;
}

/* ---- what runs them ---------------------------------------------------------------
 */

typedef struct worker {
    pid_t pid;
    int fd;
    int good, failed, early;
} worker;

static worker run_worker(const server *v, const char *mode, int count, int limit)
{
    int out[2];
    char counts[2][16];
    snprintf(counts[0], 16, "%d", count);
    snprintf(counts[1], 16, "%d", limit);
    const char *argv[] = {"worker",     "worker",     dir_path,         mode,
                          counts[0],    counts[1],    v->url,           v->ca_file,
                          v->tenant_id, v->client_id, v->client_secret, NULL};
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    worker w = {.fd = out[0]};
    w.pid = fork();
    if (w.pid == 0) {
        dup2(out[1], 1);
        execv("/proc/self/exe", (char **)(uintptr_t)argv);
        _exit(127);
    }
    close(out[1]);
    return w;
}

/* Its next line. */
static void hear(worker *w, char *line, size_t size)
{
    size_t n = 0;
    struct pollfd watch = {.fd = w->fd, .events = POLLIN};
    while (n < size - 1 && !memchr(line, '\n', n)) {
        if (poll(&watch, 1, ANSWER_MS) != 1) fail_msg("a worker says nothing");
        ssize_t got = read(w->fd, line + n, size - 1 - n);
        if (got <= 0) fail_msg("a worker has ended");
        n += (size_t)got;
    }
    line[n] = '\0';
}

static void end_worker(worker *w, int how)
{
    int status;
    if (how) kill(w->pid, how);
    assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
    close(w->fd);
    if (!how) assert_int_equal(status, 0);
}

static void collect(worker *w)
{
    char line[64] = "", *at = line;
    hear(w, line, sizeof(line));
    w->good = (int)strtol(at, &at, 10);
    w->failed = (int)strtol(at, &at, 10);
    w->early = (int)strtol(at, &at, 10);
    end_worker(w, 0);
}

static void sleep_ms(int64_t ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000},
              NULL);
}

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir_path, sizeof(dir_path), "/tmp/moonlatch-budget-XXXXXX");
    return mkdtemp(dir_path) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    remove_all(dir_path);
    return 0;
}

static int write_seed(void **state)
{
    clean_environment(state);
    FILE *f = open_seed();
    fputs("{\"main\": {", f);
    for (int i = 0; i < NAMES; i++)
        fprintf(f, "%s\"name-%d\": \"value-%d\"", i ? ", " : "", i, i);
    fputs("}}\n", f);
    return fclose(f);
}

/* ---- tests ------------------------------------------------------------------------
 */

/* Four want 160 of 100: the vault gets no more than that in ten seconds, and all are
 * served afterwards. */
static void test_quota_of_all(void **state)
{
    (void)state;
    server *v = vault_start("--seed", seed_path, NULL);
    worker w[WORKERS];
    int64_t began = now_ms();
    for (int i = 0; i < WORKERS; i++) w[i] = run_worker(v, "crowd", 40, LIMIT);
    int early = 0;
    while (now_ms() - began < 8000) {
        early = requests(v, "get", -1);
        sleep_ms(200);
    }
    print_message("    in eight seconds: %d\n", early);
    assert_in_range(early, LIMIT / 2, LIMIT * 11 / 10);
    for (int i = 0; i < WORKERS; i++) {
        collect(&w[i]);
        print_message("    a worker: %d, early %d\n", w[i].good, w[i].early);
        assert_int_equal(w[i].good, 40);
    }
    assert_int_equal(requests(v, "get", 200), WORKERS * 40);
    server_stop(v);
}

/* One has 60 requests that wait, always, and has used everything up: who comes with a
 * few is served after those that came before. */
static void test_nobody_starves(void **state)
{
    (void)state;
    server *v = vault_start("--seed", seed_path, NULL);
    char line[64] = "";
    worker greedy = run_worker(v, "steady", 60, 2 * LIMIT);
    hear(&greedy, line, sizeof(line));
    sleep_ms(500);
    int64_t began = now_ms();
    worker modest = run_worker(v, "crowd", 5, 2 * LIMIT);
    collect(&modest);
    print_message("    served in %d ms\n", (int)(now_ms() - began));
    assert_int_equal(modest.good, 5);
    assert_true(now_ms() - began < 15000);
    assert_true(requests(v, "get", -1) < 5 * LIMIT);
    end_worker(&greedy, SIGKILL);
    server_stop(v);
}

/* One is told to slow down: nobody else asks before the time is over. */
static void test_a_pause_is_for_all(void **state)
{
    (void)state;
    server *v = vault_start("--seed", seed_path, "--fault",
                            "429:op=get,first=1,retry-after=3", NULL);
    worker w[WORKERS];
    w[0] = run_worker(v, "crowd", 1, 0);
    int64_t until = now_ms() + 30000;
    while (requests(v, "get", 429) < 1 && now_ms() < until) sleep_ms(20);
    int64_t paused = now_ms();
    for (int i = 1; i < WORKERS; i++) w[i] = run_worker(v, "crowd", 10, 0);
    for (;;) {
        int sent = requests(v, "get", -1);
        if (now_ms() - paused > 2500) break;
        assert_int_equal(sent, 1);
        sleep_ms(50);
    }
    for (int i = 0; i < WORKERS; i++) {
        collect(&w[i]);
        assert_int_equal(w[i].failed, 0);
    }
    assert_int_equal(requests(v, "get", 429), 1);
    assert_int_equal(requests(v, "get", 200), 31);
    server_stop(v);
}

/* Three seconds of 429 for four crowds: hardly any request is in vain. */
static void test_crowds_against_429(void **state)
{
    (void)state;
    server *v = vault_start("--seed", seed_path, "--fault",
                            "429:op=get,for=3s,retry-after=1", NULL);
    worker w[WORKERS];
    for (int i = 0; i < WORKERS; i++) w[i] = run_worker(v, "crowd", MAX_AT_ONCE, 0);
    for (int i = 0; i < WORKERS; i++) {
        collect(&w[i]);
        assert_int_equal(w[i].good, MAX_AT_ONCE);
    }
    int refused = requests(v, "get", 429);
    print_message("    refused: %d of %d\n", refused, WORKERS * MAX_AT_ONCE);
    assert_in_range(refused, 1, WORKERS * MAX_AT_ONCE / 10);
    assert_int_equal(requests(v, "get", 200), WORKERS * MAX_AT_ONCE);
    server_stop(v);
}

/* Workers with all of the width in flight are killed, or stopped and then killed, at
 * any moment: who comes next is served, and in time. */
static void test_killed_at_any_moment(void **state)
{
    (void)state;
    server *v = vault_start("--seed", seed_path, "--fault", "delay=20ms", NULL);
    unsigned seed = (unsigned)time(NULL);
    const char *wanted = getenv("TEST_SEED");
    if (wanted) seed = (unsigned)strtoul(wanted, NULL, 10);
    print_message("    TEST_SEED=%u\n", seed);
    char line[64];
    for (int i = 0; i < 6; i++) {
        worker w[2];
        for (int k = 0; k < 2; k++) w[k] = run_worker(v, "steady", 60, 0);
        memset(line, 0, sizeof(line));
        hear(&w[0], line, sizeof(line));
        seed = seed * 1103515245 + 12345;
        sleep_ms((seed >> 16) % 200);
        if (i % 3 == 2) { /* stopped: it keeps what it has, for three seconds */
            kill(w[0].pid, SIGSTOP);
            worker next = run_worker(v, "crowd", 100, 0);
            collect(&next);
            assert_int_equal(next.good, 100);
        }
        for (int k = 0; k < 2; k++) end_worker(&w[k], SIGKILL);
    }
    int64_t began = now_ms();
    worker last = run_worker(v, "crowd", MAX_AT_ONCE, 0);
    collect(&last);
    print_message("    the last one took %d ms\n", (int)(now_ms() - began));
    assert_int_equal(last.good, MAX_AT_ONCE);
    assert_true(now_ms() - began < 15000);
    server_stop(v);
}

/* Two handles of one process share, too; a forked child does no harm. */
static void test_two_handles_and_a_fork(void **state)
{
    (void)state;
    server *v = vault_start("--seed", seed_path, "--fault", "delay=100ms", NULL);
    given.dir = dir_path;
    given.limit = 10;
    ml_resolver *a = open_with(&(setup){.vault = v, .adjust = adjust});
    ml_resolver *b =
        open_with(&(setup){.vault = v, .adjust = adjust, .deadline_ms = 3000});
    for (int i = 0; i < 5; i++) assert_value(a, "name-1", "value-1");
    assert_value(b, "name-1", "value-1");
    ml_numbers n = {ML_NUMBERS_INIT};
    assert_int_equal(ml_stats(b, &n, NULL), 0);
    assert_int_equal(n.vaults_shared, 2);
    assert_int_equal(n.requests_in_flight, 0);
    start_one(a, 1);
    pid_t child = fork();
    if (child == 0) {
        ml_err e;
        ml_close(b);
        int code = ml_stats(a, &n, &e);
        ml_close(a);
        _exit(code == ML_EFORKED ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    while (n_good + n_failed < 1) ml_step(a, 1000);
    assert_int_equal(n_good, 1);
    int code = 0;
    for (int i = 0; i < 10 && code == 0; i++) code = get_code(b, "name-2");
    assert_int_equal(code, ML_ETHROTTLED); /* together they have had their ten */
    assert_non_null(strstr(last_error.text, "the budget of 10 reads in 10 s"));
    assert_in_range(requests(v, "get", -1), 7, 10);
    ml_close(a);
    ml_close(b);
    server_stop(v);
}

/* Bad directories are told by ml_open. */
static void test_refused(void **state)
{
    (void)state;
    ml_resolver *r = NULL;
    ml_err e;
    ml_options o = {ML_OPTIONS_INIT, .policy_text = ML_POLICY_AIRFLOW,
                    .budget_dir = "/nowhere/at/all"};
    assert_int_equal(ml_open(&r, &o, &e), ML_EUSAGE);
    assert_non_null(strstr(e.text, "budget_dir /nowhere/at/all does not exist"));
    chmod(dir_path, 0777);
    o.budget_dir = dir_path;
    assert_int_equal(ml_open(&r, &o, &e), ML_EUSAGE);
    assert_non_null(strstr(e.text, "everybody may replace files in it"));
}

int main(int argc, char **argv)
{
    if (argc == 11 && strcmp(argv[1], "worker") == 0) return work(argv + 2);
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, make_dir, remove_dir)
    const struct CMUnitTest tests[] = {
        TEST(test_quota_of_all),
        TEST(test_nobody_starves),
        TEST(test_a_pause_is_for_all),
        TEST(test_crowds_against_429),
        TEST(test_killed_at_any_moment),
        TEST(test_two_handles_and_a_fork),
        TEST(test_refused),
    };
    return cmocka_run_group_tests(tests, write_seed, remove_seed);
}
