/* cron.c - a small scheduler: resolves what its jobs need, and runs them with it.
 *
 * cron POLICY.lua CRONTAB [RUNS], where a line of CRONTAB is
 *     EVERY_S JOB [VAR=NAME | VAR@NAME]... : COMMAND FOR /bin/sh
 *
 *     VAR=NAME   the secret's value stands in the job's variable VAR
 *     VAR@NAME   VAR holds the path of a file in memory that only the job has open
 *
 *     waiting --due--> resolving --all found--> running --exit--> waiting
 *                         |  +--throttled, unavailable--> waiting, ever longer
 *                         +--anything else--> failed this time: waiting
 *
 * One thread, one epoll set: the resolver's descriptor, and signals.  SIGHUP reads the
 * policy again, SIGTERM ends; so do RUNS runs of each job, with 1 if one failed. */
#define _GNU_SOURCE 1 /* NOLINT(readability-identifier-naming): memfd_create */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "moonlatch.h"

enum { MAX_JOBS = 64, MAX_NEEDS = 8 };
enum { CALL_MS = 5000, FIRST_DELAY_MS = 1000, LONGEST_DELAY_MS = 64000 };

typedef struct need {
    struct job *of;
    char *var, *name;
    bool by_file;
    ml_secret *secret; /* ours from its done until the job has been started */
    int fd;            /* by_file: -1 when closed */
    char *setting;     /* VAR=..., for execve; scrubbed */
} need;

typedef struct job {
    char *name, *command;
    int64_t every_ms, due_ms, delay_ms;
    need needs[MAX_NEEDS];
    int n_needs, n_awaited, runs;
    int code; /* the first failure of this run */
    char text[512];
    pid_t pid; /* 0: not running */
} job;

static job jobs[MAX_JOBS];
static int n_jobs, max_runs, n_failed;
static ml_resolver *resolver;

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void drop_secrets(job *j)
{
    for (need *n = j->needs; n < j->needs + j->n_needs; n++) {
        ml_secret_unref(n->secret);
        n->secret = NULL;
        if (n->fd >= 0) close(n->fd);
        n->fd = -1;
        if (n->setting) explicit_bzero(n->setting, strlen(n->setting));
        free(n->setting);
        n->setting = NULL;
    }
}

static void end_run(job *j, bool is_good)
{
    j->runs++;
    if (!is_good) n_failed++;
    j->delay_ms = FIRST_DELAY_MS;
}

/* An outage says nothing about a secret: the run is late, not lost. */
static void put_off(job *j)
{
    j->due_ms = now_ms() + j->delay_ms;
    if (j->delay_ms < LONGEST_DELAY_MS) j->delay_ms *= 2;
}

static void note_failure(job *j, int code, const char *what, const char *why)
{
    if (j->code != 0) return;
    j->code = code;
    snprintf(j->text, sizeof(j->text), "%s: %s", what, why);
}

/* The value in a file that has no name, cannot be written any more, and goes when the
 * last process has closed it. */
static bool make_file(need *n, const void *value, size_t len)
{
    int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    n->fd = memfd_create(n->var, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (n->fd < 0 || write(n->fd, value, len) != (ssize_t)len ||
        fcntl(n->fd, F_ADD_SEALS, seals) != 0)
        return false;
    return asprintf(&n->setting, "%s=/proc/self/fd/%d", n->var, n->fd) > 0;
}

static bool make_variable(need *n, const void *value, size_t len)
{
    size_t size = strlen(n->var) + 1 + len + 1;
    if (!(n->setting = malloc(size))) return false;
    snprintf(n->setting, size, "%s=%.*s", n->var, (int)len, (const char *)value);
    return true;
}

static void prepare(need *n)
{
    size_t len;
    const void *value = ml_secret_data(n->secret, &len);
    if (len == 0)
        note_failure(n->of, ML_EINVALID, n->name, "the secret is empty");
    else if (!n->by_file && memchr(value, '\0', len))
        note_failure(n->of, ML_EINVALID, n->name, "holds a NUL byte: use VAR@NAME");
    else if (!(n->by_file ? make_file : make_variable)(n, value, len))
        note_failure(n->of, ML_ESYSTEM, n->name, strerror(errno));
}

/* Only what a job is meant to have: not our identity, which opens the vault.  The child
 * makes only calls that signal handlers may make: libcurl may have threads. */
static bool spawn(job *j)
{
    char path[] = "PATH=/usr/local/bin:/usr/bin:/bin", *envp[MAX_NEEDS + 2] = {path};
    char shell[] = "sh", flag[] = "-c", *argv[] = {shell, flag, j->command, NULL};
    sigset_t none;
    sigemptyset(&none);
    for (int i = 0; i < j->n_needs; i++) envp[i + 1] = j->needs[i].setting;
    pid_t pid = fork();
    if (pid == 0) {
        sigprocmask(SIG_SETMASK, &none, NULL);
        for (int i = 0; i < j->n_needs; i++) fcntl(j->needs[i].fd, F_SETFD, 0);
        execve("/bin/sh", argv, envp);
        _exit(126);
    }
    j->pid = pid > 0 ? pid : 0;
    return pid > 0;
}

/* All that it needs has been asked for. */
static void decide(job *j)
{
    for (int i = 0; i < j->n_needs && j->code == 0; i++) prepare(&j->needs[i]);
    if (j->code == 0 && !spawn(j)) note_failure(j, ML_ESYSTEM, "fork", strerror(errno));
    drop_secrets(j); /* from here on they are the job's only */
    if (j->code == 0) return;
    bool is_outage = j->code == ML_ETHROTTLED || j->code == ML_EUNAVAILABLE;
    fprintf(stderr, "%s: %s: %s: %s\n", j->name, is_outage ? "delayed" : "not run",
            ml_outcome(j->code), j->text);
    is_outage ? put_off(j) : end_run(j, false);
}

static void on_secret(ml_request *q, const ml_answer *answer, const ml_err *e,
                      void *arg)
{
    need *n = arg;
    (void)q;
    if (e->code == ML_ECANCELED) return; /* only ml_close does that here */
    if (e->code != 0) note_failure(n->of, e->code, n->name, e->text);
    if (e->code == 0) n->secret = ml_secret_ref(ml_answer_at(answer, 0));
    if (--n->of->n_awaited == 0) decide(n->of);
}

/* No done comes from inside a start, so nobody decides before the last has begun. */
static void begin(job *j)
{
    ml_err e;
    j->code = 0;
    j->due_ms = now_ms() + j->every_ms;
    for (need *n = j->needs; n < j->needs + j->n_needs; n++) {
        if (ml_get_start(resolver, n->name, NULL, 0, on_secret, n, &e))
            j->n_awaited++;
        else
            note_failure(j, e.code, n->name, e.text);
    }
    if (j->n_awaited == 0) decide(j);
}

/* Begins what is due.  Milliseconds until the next is, or -1: everything is over. */
static int run_due(void)
{
    int64_t now = now_ms(), next = now + LONGEST_DELAY_MS;
    bool is_over = true;
    for (job *j = jobs; j < jobs + n_jobs; j++) {
        if (max_runs > 0 && j->runs >= max_runs) continue;
        is_over = false;
        if (j->n_awaited > 0 || j->pid > 0) continue; /* events will tell */
        if (j->due_ms < next) next = j->due_ms;
        if (j->due_ms <= now) begin(j);
    }
    return is_over ? -1 : next > now ? (int)(next - now) : 0;
}

static void reap(void)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        job *j = jobs;
        while (j->pid != pid) j++; /* we have no other children */
        j->pid = 0;
        int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        if (code != 0) fprintf(stderr, "%s: ended with %d\n", j->name, code);
        end_run(j, status == 0);
    }
}

/* Cuts the line up where it stands. */
static bool parse(job *j, char *line)
{
    char *at = NULL, *colon = strstr(line, " : "), *word = strtok_r(line, " \t", &at);
    if (!colon || !word) return false;
    *colon = '\0';
    *j = (job){.command = colon + 3, .delay_ms = FIRST_DELAY_MS};
    j->every_ms = strtol(word, NULL, 10) * 1000;
    j->name = strtok_r(NULL, " \t", &at);
    while ((word = strtok_r(NULL, " \t", &at)) && j->n_needs < MAX_NEEDS) {
        char *sign = strpbrk(word, "=@");
        if (!sign || sign == word) return false;
        j->needs[j->n_needs++] = (need){
            .of = j, .var = word, .name = sign + 1, .by_file = *sign == '@', .fd = -1};
        *sign = '\0';
    }
    return !word && j->name && j->every_ms > 0;
}

static bool read_crontab(const char *path)
{
    static char *text; /* the jobs point into it */
    char *at = NULL, *line;
    size_t size = 0;
    FILE *f = fopen(path, "re");
    if (!f || getdelim(&text, &size, '\0', f) < 0) return perror(path), false;
    fclose(f);
    for (line = strtok_r(text, "\n", &at); line; line = strtok_r(NULL, "\n", &at)) {
        if (line[0] == '#') continue;
        if (n_jobs < MAX_JOBS && parse(&jobs[n_jobs++], line)) continue;
        return fprintf(stderr, "%s: not a line of a crontab\n", line), false;
    }
    return true;
}

/* Signals come as readable data, never in between.  False: to end. */
static bool take_signals(int signal_fd)
{
    struct signalfd_siginfo got;
    ml_err e;
    while (read(signal_fd, &got, sizeof(got)) == sizeof(got)) {
        if (got.ssi_signo == SIGCHLD) reap();
        if (got.ssi_signo == SIGHUP && ml_reload(resolver, &e) < 0)
            fprintf(stderr, "the policy stays as it was: %s\n", e.text);
        if (got.ssi_signo == SIGTERM || got.ssi_signo == SIGINT) return false;
    }
    return true;
}

static void loop(void)
{
    struct epoll_event ev = {.events = EPOLLIN};
    const int signals[] = {SIGCHLD, SIGHUP, SIGINT, SIGTERM};
    sigset_t set;
    sigemptyset(&set);
    for (int i = 0; i < 4; i++) sigaddset(&set, signals[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int fds[] = {ml_fd(resolver), signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC)};
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC), wait_ms;
    for (int i = 0; i < 2; i++) {
        ev.data.fd = fds[i];
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fds[i], &ev);
    }
    while ((wait_ms = run_due()) >= 0) {
        if (epoll_wait(epoll_fd, &ev, 1, wait_ms) != 1) continue;
        if (ev.data.fd == fds[0]) ml_step(resolver, 0);
        if (ev.data.fd == fds[1] && !take_signals(fds[1])) break;
    }
    close(fds[1]), close(epoll_fd);
}

int main(int argc, char **argv)
{
    ml_err e;
    if (argc < 3 || !read_crontab(argv[2])) return 2;
    if (argc > 3) max_runs = (int)strtol(argv[3], NULL, 10);
    ml_options o = {ML_OPTIONS_INIT, .policy_file = argv[1], .deadline_ms = CALL_MS};
    if (ml_open(&resolver, &o, &e) < 0) return fprintf(stderr, "%s\n", e.text), 2;
    loop();
    ml_close(resolver); /* secrets of what was under way are still ours */
    for (job *j = jobs; j < jobs + n_jobs; j++) drop_secrets(j);
    return n_failed > 0;
}
