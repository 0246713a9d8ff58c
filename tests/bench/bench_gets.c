/* bench_gets.c - many cold gets at once through the public interface.
 *
 *   bench_gets POLICY COUNT IN_FLIGHT
 *
 * Opens the policy with the cache and the budget of requests off, keeps IN_FLIGHT of
 * COUNT different names going until all are there.  The time includes the token and the
 * TLS handshakes, as in bare_multi; what opening costs is in the row about the process.
 */
#include "bench.h"
#include "moonlatch.h"

typedef struct run {
    ml_resolver *resolver;
    unsigned started, finished, count;
} run;

static void on_done(ml_request *q, const ml_answer *answer, const ml_err *e, void *arg);

static void start_one(run *r)
{
    char name[32];
    ml_err e;
    snprintf(name, sizeof(name), "key-%05u", r->started);
    ml_call call = {ML_CALL_INIT, .verb = ML_GET, .name = name};
    r->started++;
    if (!ml_start(r->resolver, &call, on_done, r, &e)) bench_die(name, e.text);
}

static void on_done(ml_request *q, const ml_answer *answer, const ml_err *e, void *arg)
{
    run *r = arg;
    size_t len = 0;
    (void)q;
    if (!answer) bench_die("get", e->text);
    if (!ml_secret_data(ml_answer_at(answer, 0), &len) || len == 0) {
        bench_die("get", "no value");
    }
    r->finished++;
    if (r->started < r->count) start_one(r);
}

int main(int argc, char **argv)
{
    run r = {0};
    ml_err e;
    if (argc != 4) bench_die("usage", "bench_gets POLICY COUNT IN_FLIGHT");
    r.count = (unsigned)bench_number(argv[2]);
    unsigned in_flight = (unsigned)bench_number(argv[3]);
    ml_options options = {ML_OPTIONS_INIT, .policy_file = argv[1], .cache_ttl_ms = -1,
                          .vault_reads_in_10_s = -1};
    if (ml_open(&r.resolver, &options, &e) != 0) bench_die("open", e.text);
    int64_t began =
        bench_now_ns(); /* after opening, as the reference after curl's own */
    while (r.started < r.count && r.started < in_flight) start_one(&r);
    while (r.finished < r.count) {
        if (ml_step(r.resolver, 1000) < 0) bench_die("step", "failed");
    }
    double seconds = (double)(bench_now_ns() - began) / 1e9;
    bench_sample(in_flight > 1 ? "gets_per_s" : "serial_gets_per_s", r.count / seconds);
    ml_close(r.resolver);
    return 0;
}
