/* bench_storm.c - how long a hit takes while another thread has many misses in flight
 * on the same handle.
 *
 *   bench_storm POLICY MILLISECONDS IN_FLIGHT
 *
 * Each hit is timed alone, the clock's own time included; first in quiet, which is the
 * reference, then in the storm. */
#include <pthread.h>
#include <stdatomic.h>

#include "bench.h"
#include "moonlatch.h"

enum { NAMES = 100, MAX_HITS = 1 << 20 };

typedef struct storm {
    ml_resolver *resolver;
    int in_flight; /* wanted */
    atomic_uint started;
    atomic_uint finished;
    atomic_bool is_over;
} storm;

static void on_done(ml_request *q, const ml_answer *answer, const ml_err *e, void *arg);

/* ML_REFRESH: asks the vault, whatever is kept. */
static void start_one(storm *s)
{
    char name[32];
    ml_err e;
    snprintf(name, sizeof(name), "key-%05u", 1 + s->started++ % (NAMES - 1));
    ml_call call = {ML_CALL_INIT, .verb = ML_GET, .name = name, .flags = ML_REFRESH};
    if (!ml_start(s->resolver, &call, on_done, s, &e)) bench_die(name, e.text);
}

static void on_done(ml_request *q, const ml_answer *answer, const ml_err *e, void *arg)
{
    storm *s = arg;
    (void)q;
    if (!answer) bench_die("get", e->text);
    s->finished++;
    if (!s->is_over) start_one(s);
}

static void *rage(void *arg)
{
    storm *s = arg;
    for (int i = 0; i < s->in_flight; i++) start_one(s);
    while (s->finished < s->started) {
        if (ml_step(s->resolver, 1000) < 0) bench_die("step", "failed");
    }
    return NULL;
}

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* percent of n sorted times are below it. */
static double percentile(const int64_t *times_ns, int n, int percent)
{
    int64_t at = (int64_t)(n - 1) * percent / 100;
    return (double)times_ns[at];
}

/* Sorted; answers how many. */
static int time_hits(ml_resolver *r, int ms, int64_t times_ns[MAX_HITS])
{
    int n = 0;
    int64_t now = bench_now_ns(), ends = now + (int64_t)ms * 1000000;
    while (now < ends && n < MAX_HITS) {
        ml_secret *s = NULL;
        ml_err e;
        int64_t began = bench_now_ns();
        if (ml_get(r, "key-00000", NULL, 0, &s, &e) != 0) bench_die("get", e.text);
        now = bench_now_ns();
        times_ns[n++] = now - began;
        ml_secret_unref(s);
    }
    qsort(times_ns, (size_t)n, sizeof(*times_ns), by_time);
    return n;
}

int main(int argc, char **argv)
{
    static int64_t times_ns[MAX_HITS];
    storm s = {0};
    pthread_t other;
    ml_err e;
    if (argc != 4) bench_die("usage", "bench_storm POLICY MILLISECONDS IN_FLIGHT");
    int ms = bench_number(argv[2]);
    s.in_flight = bench_number(argv[3]);
    ml_options o = {ML_OPTIONS_INIT, .policy_file = argv[1], .cache_ttl_ms = 3600000,
                    .vault_reads_in_10_s = -1};
    if (ml_open(&s.resolver, &o, &e) != 0) bench_die("open", e.text);
    time_hits(s.resolver, 1, times_ns); /* the first is a miss */
    int n = time_hits(s.resolver, ms, times_ns);
    bench_sample("quiet_p50_ns", percentile(times_ns, n, 50));
    bench_sample("quiet_p99_ns", percentile(times_ns, n, 99));
    if (pthread_create(&other, NULL, rage, &s)) bench_die("thread", "cannot start");
    n = time_hits(s.resolver, ms, times_ns);
    s.is_over = true;
    pthread_join(other, NULL);
    if (s.finished == 0) bench_die("storm", "there was none");
    bench_sample("storm_p50_ns", percentile(times_ns, n, 50));
    bench_sample("storm_p99_ns", percentile(times_ns, n, 99));
    ml_close(s.resolver);
    return 0;
}
