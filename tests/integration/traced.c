/* traced.c - ptrace up to the exit, then every writable page is searched. */
#include "traced.h"

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
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
    snprintf(path, sizeof(path), "/proc/%d/maps", (int)t->pid);
    t->maps = fopen(path, "re");
    find_environment(t);
    return t->mem >= 0 && t->maps;
}

/* Copies of one text in memory that begins at `at`. */
static int count(const char *p, size_t n, const char *text)
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
            int copies = count(copy, (size_t)got, *text);
            c[i].found += copies;
            if (copies) snprintf(c[i].where, sizeof(c[i].where), "%s", name);
        }
    }
    free(copy);
}

/* Everything writable: heap, stacks, anonymous memory, data of programs and libraries.
 * FROM-TO rw-p OFFSET DEVICE INODE   NAME */
static void search(target *t, traced_canary *c, int n)
{
    char line[512];
    while (fgets(line, sizeof(line), t->maps)) {
        char *at;
        uintptr_t from = strtoul(line, &at, 16);
        uintptr_t to = *at == '-' ? strtoul(at + 1, &at, 16) : 0;
        if (strncmp(at, " rw", 3) != 0) continue;
        line[strcspn(line, "\n")] = '\0';
        if (t->env_from >= from && t->env_to <= to) {
            search_range(t, from, t->env_from, at, c, n);
            from = t->env_to;
        }
        search_range(t, from, to, at, c, n);
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
            search(t, c, n);
            searched = true;
        }
        if (!go_on(t, status)) return UNTRACED;
    }
    if (!searched) return UNTRACED;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int traced_search(const traced_run *r, traced_canary *canaries, int n)
{
    target t = {.pid = fork(), .mem = -1};
    int status = 0, code = UNTRACED;
    const long options = PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL;
    if (t.pid == 0) become(r);
    for (int i = 0; i < n; i++) canaries[i].found = 0;
    if (t.pid < 0 || waitpid(t.pid, &status, 0) != t.pid || !WIFSTOPPED(status)) {
        return UNTRACED;
    }
    if (ptrace(PTRACE_SETOPTIONS, t.pid, NULL, (void *)options) == 0 &&
        ptrace(PTRACE_CONT, t.pid, NULL, NULL) == 0) {
        code = follow(&t, canaries, n);
    }
    if (code == UNTRACED) {
        kill(t.pid, SIGKILL);
        waitpid(t.pid, &status, 0);
    }
    if (t.maps) fclose(t.maps);
    if (t.mem >= 0) close(t.mem);
    return code;
}
