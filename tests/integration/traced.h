/* traced.h - a program that is stopped as it leaves, and its memory searched.
 *
 * The kernel stops a traced child at the beginning of its exit, when all of its memory
 * is still there.  The files of /proc are opened before the program can forbid it. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

typedef struct traced_run {
    char *const *argv;
    char *const *env;
    const char *in, *out; /* files; the program's stderr goes to out too */
} traced_run;

/* What is looked for: any of these texts, ended by NULL. */
typedef struct traced_canary {
    const char *name;
    const char *texts[4];
    int found; /* copies, filled in; what lies close together is one */
    char where[160];
} traced_canary;

/* Runs up to its first write to stdout, searches what a core file of that moment would
 * hold (so pages marked as not to be dumped are left out), and sends SIGABRT.  -> 0: it
 * died of that without a core file, 1: with one; -1: anything else; -2: nothing can be
 * traced here. */
int traced_at_write(const traced_run *r, traced_canary *canaries, int n);
/* Copies of one text in memory that begins at p; what lies close together is one. */
int traced_copies(const char *p, size_t n, const char *text);
/* Runs to the end.  -> the exit code, or -1 with a signal; -2 when nothing can be
 * traced here.  The environment itself is the process's and is not searched. */
int traced_search(const traced_run *r, traced_canary *canaries, int n);
