/* stress.h - what the two halves of the stress test share: the threads that call, and
 * the trouble that is made for them. */
#pragma once
#include "../integration/support.h"

#include <pthread.h>

enum {
    THREADS = 16,
    FIXED = 12,
    CALL_MS = 3000 /* the handle's deadline */
};

/* What a thread puts under a name of its own, and what is there at first with number 0:
 * fixed-0 ..., own-0 ... */
#define VALUE "canary:%s:%d" /* name, number */

extern ml_resolver *resolver;
/* Threads leave; then calls that are canceled are so by ml_close. */
extern atomic_bool is_over, is_closing;
extern atomic_int n_wrong, n_started, n_dones, n_found, n_failed, n_missing, n_canceled;

int dice(unsigned *seed, int sides);
void wrong(const char *what, const char *name, const char *text);

void callers_prepare(unsigned seed);
/* Thread i calls at random until is_over. */
void callers_start(pthread_t ids[THREADS]);
/* Lets go of secrets that outlived their handles. */
void callers_end(void);
