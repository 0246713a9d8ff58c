/* traced.c - ptrace up to the exit, or to a write, then every writable page is
 * searched.
 */
#include "traced.h"

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NEAR = 512, RUN_S = 60, UNTRACED = -2 };

typedef struct target {
    pid_t pid;
    int mem;
    FILE *maps;
    uintptr_t env_from, env_to;
} target;

static _Noreturn void become(const traced_run *r)
{
    int in = open(r->in, O_RDONLY | O_CLOEXEC);
    int out = open(r->out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (in < 0 || out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0) {
        _exit(126);
    }
    struct rlimit core = {0, 0}; /* as much as may be: programs switch it off */
    if (getrlimit(RLIMIT_CORE, &core) == 0) core.rlim_cur = core.rlim_max;
    setrlimit(RLIMIT_CORE, &core);
    alarm(RUN_S);
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) _exit(125);
    raise(SIGSTOP);
    execve(r->argv[0], r->argv, r->env);
    _exit(127);
}

/* The strings of the environment, fields 50 and 51 of proc(5). */
static void find_environment(target *t)
{
    char path[64], text[4096] = "";
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)t->pid);
    FILE *f = fopen(path, "re");
    char *p = f && fgets(text, sizeof(text), f) ? strrchr(text, ')') : NULL;
    for (int field = 3; p && field <= 51; field++) {
        p = strchr(p + 1, ' ');
        if (p && field == 50) t->env_from = strtoul(p, NULL, 10);
        if (p && field == 51) t->env_to = strtoul(p, NULL, 10);
    }
    if (f) fclose(f);
}

static bool open_target(target *t)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/mem", (int)t->pid);
    t->mem = open(path, O_RDONLY | O_CLOEXEC);
    snprintf(path, sizeof(path), "/proc/%d/smaps", (int)t->pid);
    t->maps = fopen(path, "re");
    find_environment(t);
    return t->mem >= 0 && t->maps;
}

int traced_copies(const char *p, size_t n, const char *text)
{
    int copies = 0;
    const char *end = p + n, *last = NULL;
    size_t len = strlen(text);
    while ((p = memmem(p, (size_t)(end - p), text, len))) {
        if (!last || p - last >= NEAR) copies++;
        last = p;
        p += len;
    }
    return copies;
}

static void search_range(const target *t, uintptr_t from, uintptr_t to,
                         const char *name, traced_canary *c, int n)
{
    if (from >= to) return;
    char *copy = malloc(to - from);
    ssize_t got = copy ? pread(t->mem, copy, to - from, (off_t)from) : -1;
    for (int i = 0; got > 0 && i < n; i++) {
        for (const char *const *text = c[i].texts; *text; text++) {
            int copies = traced_copies(copy, (size_t)got, *text);
            c[i].found += copies;
            if (copies) snprintf(c[i].where, sizeof(c[i].where), "%s", name);
        }
    }
    free(copy);
}

static void search_mapping(const target *t, uintptr_t from, uintptr_t to,
                           const char *name, traced_canary *c, int n)
{
    if (t->env_from >= from && t->env_to <= to) {
        search_range(t, from, t->env_from, name, c, n);
        from = t->env_to;
    }
    search_range(t, from, to, name, c, n);
}

/* Everything writable: heap, stacks, anonymous memory, data of programs and libraries.
 * FROM-TO rw-p OFFSET DEVICE INODE   NAME, then its numbers, at last VmFlags: */
static void search(target *t, bool leaves_out_undumped, traced_canary *c, int n)
{
    char line[512], name[512] = "";
    uintptr_t from = 0, to = 0;
    while (fgets(line, sizeof(line), t->maps)) {
        char *at;
        uintptr_t begin = strtoul(line, &at, 16);
        if (*at == '-') {
            from = begin;
            to = strtoul(at + 1, &at, 16);
            if (strncmp(at, " rw", 3) != 0) to = from;
            at[strcspn(at, "\n")] = '\0';
            snprintf(name, sizeof(name), "%s", at);
        } else if (strncmp(line, "VmFlags:", 8) == 0) {
            bool is_undumped = strstr(line, " dd") != NULL;
            if (!(is_undumped && leaves_out_undumped))
                search_mapping(t, from, to, name, c, n);
        }
    }
}

static bool go_on(const target *t, int status)
{
    int sig = status >> 16 || WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
    return ptrace(PTRACE_CONT, t->pid, NULL, (void *)(uintptr_t)sig) == 0;
}

static bool is_event(int status, int event)
{
    return WIFSTOPPED(status) && status >> 8 == (SIGTRAP | event << 8);
}

/* From stop to stop. */
static int follow(target *t, traced_canary *c, int n)
{
    int status = 0;
    bool searched = false;
    while (waitpid(t->pid, &status, 0) == t->pid && WIFSTOPPED(status)) {
        if (is_event(status, PTRACE_EVENT_EXEC) && !open_target(t)) return UNTRACED;
        if (is_event(status, PTRACE_EVENT_EXIT) && t->maps) {
            search(t, false, c, n);
            searched = true;
        }
        if (!go_on(t, status)) return UNTRACED;
    }
    if (!searched) return UNTRACED;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Begins it, stopped before its exec; false when it cannot be traced. */
static bool begin(target *t, const traced_run *r, long options, traced_canary *c, int n)
{
    int status = 0;
    *t = (target){.pid = fork(), .mem = -1};
    if (t->pid == 0) become(r);
    for (int i = 0; i < n; i++) c[i].found = 0;
    return t->pid > 0 && waitpid(t->pid, &status, 0) == t->pid && WIFSTOPPED(status) &&
           ptrace(PTRACE_SETOPTIONS, t->pid, NULL,
                  (void *)(options | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL)) == 0;
}

static int finish(target *t, int code)
{
    int status = 0;
    if (code == UNTRACED && t->pid > 0) {
        kill(t->pid, SIGKILL);
        waitpid(t->pid, &status, 0);
    }
    if (t->maps) fclose(t->maps);
    if (t->mem >= 0) close(t->mem);
    return code;
}

int traced_search(const traced_run *r, traced_canary *canaries, int n)
{
    target t;
    int code = UNTRACED;
    if (begin(&t, r, PTRACE_O_TRACEEXIT, canaries, n) &&
        ptrace(PTRACE_CONT, t.pid, NULL, NULL) == 0)
        code = follow(&t, canaries, n);
    return finish(&t, code);
}

/* ---- up to a write ------------------------------------------------------------- */

static bool is_at_write(const target *t)
{
    struct __ptrace_syscall_info info = {0};
    return ptrace(PTRACE_GET_SYSCALL_INFO, t->pid, (void *)sizeof(info), &info) > 0 &&
           info.op == PTRACE_SYSCALL_INFO_ENTRY && info.entry.nr == SYS_write &&
           info.entry.args[0] == STDOUT_FILENO;
}

static int follow_to_write(target *t, traced_canary *c, int n)
{
    int status = 0;
    bool searched = false;
    while (waitpid(t->pid, &status, 0) == t->pid && WIFSTOPPED(status)) {
        long how = PTRACE_SYSCALL, sig = 0;
        if (is_event(status, PTRACE_EVENT_EXEC) && !open_target(t)) return UNTRACED;
        if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
            if (t->maps && !searched && is_at_write(t)) {
                search(t, true, c, n);
                searched = true;
                kill(t->pid, SIGABRT);
            }
        } else if (status >> 16 == 0 && WSTOPSIG(status) != SIGTRAP) {
            sig = WSTOPSIG(status);
        }
        if (ptrace(how, t->pid, NULL, (void *)sig) != 0) return UNTRACED;
    }
    if (!searched) return -1;
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT) return -1;
    return WCOREDUMP(status) ? 1 : 0;
}

int traced_at_write(const traced_run *r, traced_canary *canaries, int n)
{
    target t;
    int code = UNTRACED;
    if (begin(&t, r, PTRACE_O_TRACESYSGOOD, canaries, n) &&
        ptrace(PTRACE_SYSCALL, t.pid, NULL, NULL) == 0)
        code = follow_to_write(&t, canaries, n);
    return finish(&t, code);
}
