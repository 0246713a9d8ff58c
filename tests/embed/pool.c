/* pool.c - a host with worker threads: all share one handle and call ml_get as they go.
 *
 *     pool POLICY.lua WORKERS < NAMES
 *
 * A worker that wants what is kept pays nanoseconds, one that must ask waits; of many
 * who want the same at once, one asks.  After an outage a name is tried again, later.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "moonlatch.h"

enum { MAX_WORKERS = 64, TRIES = 4, PAUSE_MS = 250 };

static ml_resolver *resolver;
static pthread_mutex_t lock =
    PTHREAD_MUTEX_INITIALIZER; /* of the queue and the count */
static int n_failed;

/* The queue is stdin.  False: it is empty. */
static bool take(char *name, int size)
{
    pthread_mutex_lock(&lock);
    bool has_one = fgets(name, size, stdin) != NULL;
    pthread_mutex_unlock(&lock);
    if (has_one) name[strcspn(name, "\n")] = '\0';
    return has_one;
}

/* Stands for what a job does with its secret; answers how it went. */
static int work(const char *name, ml_secret *secret)
{
    size_t len;
    const char *value = ml_secret_data(secret, &len);
    return value && len > 0 && name[0] ? 0 : ML_EINVALID;
}

static bool may_pass(int code)
{
    return code == ML_ETHROTTLED || code == ML_EUNAVAILABLE;
}

static int run(const char *name, ml_err *e)
{
    ml_secret *secret = NULL;
    int code = ML_EUNAVAILABLE;
    for (int i = 0; i < TRIES && may_pass(code); i++) {
        int pause_ms = i * PAUSE_MS;
        nanosleep(&(struct timespec){pause_ms / 1000, pause_ms % 1000 * 1000000L},
                  NULL);
        code = ml_get(resolver, name, NULL, 0, &secret, e);
    }
    if (code < 0) return code;
    code = work(name, secret);
    ml_secret_unref(secret);
    return code;
}

static void *worker(void *arg)
{
    char name[512];
    ml_err e = {0}; /* errors are the caller's: no thread sees another's */
    (void)arg;
    while (take(name, sizeof(name))) {
        int code = run(name, &e);
        pthread_mutex_lock(&lock);
        printf("%s: %s\n", name, code == 0 ? "done" : ml_outcome(code));
        if (code != 0) {
            n_failed++;
            fprintf(stderr, "%s: %s\n", name,
                    code == e.code ? e.text : ml_strerror(code));
        }
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t threads[MAX_WORKERS];
    ml_err e;
    int n_wanted = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 0, n = 0;
    if (n_wanted < 1 || n_wanted > MAX_WORKERS) return 2;
    ml_options o = {ML_OPTIONS_INIT, .policy_file = argv[1], .deadline_ms = 10000};
    if (ml_open(&resolver, &o, &e) < 0) {
        fprintf(stderr, "cannot open: %s\n", e.text);
        return 2;
    }
    while (n < n_wanted && pthread_create(&threads[n], NULL, worker, NULL) == 0) n++;
    for (int i = 0; i < n; i++) pthread_join(threads[i], NULL);
    ml_close(resolver); /* when nobody begins a call any more */
    return n_failed > 0 || n == 0;
}
