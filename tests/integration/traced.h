/* traced.h - a program that is stopped as it leaves, and its memory searched.
 *
 * The kernel stops a traced child at the beginning of its exit, when all of its memory
 * is still there.  The files of /proc are opened before the program can forbid it. */
#pragma once
#include <stdbool.h>

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

/* Runs to the end.  -> the exit code, or -1 with a signal; -2 when nothing can be
 * traced here.  The environment itself is the process's and is not searched. */
int traced_search(const traced_run *r, traced_canary *canaries, int n);
