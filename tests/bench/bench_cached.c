/* bench_cached.c - gets answered from the cache: nanoseconds, and how threads share it.
 *
 *   bench_cached POLICY MILLISECONDS
 *
 * Each measurement runs for that long.  Reference: what any copy of a value costs,
 * malloc + memcpy + free. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "bench.h"
#include "moonlatch.h"

enum { THREADS_MAX = 8, BATCH = 64 };
static const char name[] = "key-00000";

typedef struct run {
    ml_resolver *resolver;
    int64_t ends_ns;
    atomic_long gets;
} run;

static void get_once(ml_resolver *r)
{
    ml_secret *s = NULL;
    ml_err e;
    if (ml_get(r, name, NULL, 0, &s, &e) != 0) bench_die("get", e.text);
    ml_secret_unref(s);
}

static void *get_until(void *arg)
{
    run *r = arg;
    long n = 0;
    while (bench_now_ns() < r->ends_ns) {
        for (int i = 0; i < BATCH; i++) get_once(r->resolver);
        n += BATCH;
    }
    atomic_fetch_add(&r->gets, n);
    return NULL;
}

/* Gets a second, all threads together, until the end that each thread sees: when a
 * thread without a core of its own gets around to leaving is not the cache's time. */
static double rate(ml_resolver *resolver, int threads, int ms)
{
    pthread_t ids[THREADS_MAX];
    int64_t began = bench_now_ns();
    run r = {.resolver = resolver, .ends_ns = began + (int64_t)ms * 1000000};
    for (int i = 0; i < threads; i++) {
        if (pthread_create(&ids[i], NULL, get_until, &r))
            bench_die("thread", "cannot start");
    }
    for (int i = 0; i < threads; i++) pthread_join(ids[i], NULL);
    return (double)atomic_load(&r.gets) / ((double)ms / 1000);
}

/* Volatile, or the compiler sees that nobody looks at the copy. */
static double copy_ns(ml_resolver *resolver)
{
    enum { COPIES = 1000000 };
    ml_secret *s = NULL;
    size_t len = 0;
    ml_err e;
    if (ml_get(resolver, name, NULL, 0, &s, &e) != 0) bench_die("get", e.text);
    const void *value = ml_secret_data(s, &len);
    int64_t began = bench_now_ns();
    for (int i = 0; i < COPIES; i++) {
        char *volatile copy = malloc(len);
        if (!copy) bench_die("copy", "out of memory");
        memcpy(copy, value, len);
        free(copy);
    }
    double ns = (double)(bench_now_ns() - began) / COPIES;
    ml_secret_unref(s);
    return ns;
}

int main(int argc, char **argv)
{
    ml_resolver *r = NULL;
    ml_err e;
    if (argc != 3) bench_die("usage", "bench_cached POLICY MILLISECONDS");
    int ms = bench_number(argv[2]);
    ml_options options = {ML_OPTIONS_INIT, .policy_file = argv[1],
                          .cache_ttl_ms = 3600000};
    if (ml_open(&r, &options, &e) != 0) bench_die("open", e.text);
    get_once(r);
    bench_sample("cached_ns", 1e9 / rate(r, 1, ms));
    bench_sample("cached_2_threads", rate(r, 2, ms));
    bench_sample("cached_4_threads", rate(r, 4, ms));
    bench_sample("cached_8_threads", rate(r, 8, ms));
    bench_sample("copy_ns", copy_ns(r));
    ml_close(r);
    return 0;
}
