/* bench_memory.c - a host that has many secrets in its caches: resident memory, and how
 * long a hit takes among so many.
 *
 *   bench_memory POLICY COUNT
 *
 * Memory: from the first line of main, with all libraries loaded, to when the last
 * secret is kept; everything counts: the VM, connections, tables.  Of one secret: what
 * those after the first tenth add, when connections and the like are there. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "moonlatch.h"

enum { IN_FLIGHT = 16 };

typedef struct run {
    ml_resolver *resolver;
    unsigned started, finished, count;
} run;

static double resident_kib(void)
{
    char line[128], *resident = NULL;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f && fgets(line, sizeof(line), f)) resident = strchr(line, ' ');
    if (!resident) bench_die("statm", "no");
    fclose(f);
    return strtod(resident, NULL) * (double)sysconf(_SC_PAGESIZE) / 1024;
}

static void on_done(ml_request *q, const ml_answer *answer, const ml_err *e, void *arg)
{
    run *r = arg;
    (void)q;
    if (!answer) bench_die("get", e->text);
    r->finished++;
}

static void start_one(run *r)
{
    char name[32];
    ml_err e;
    snprintf(name, sizeof(name), "key-%05u", r->started++);
    ml_call call = {ML_CALL_INIT, .verb = ML_GET, .name = name};
    if (!ml_start(r->resolver, &call, on_done, r, &e)) bench_die(name, e.text);
}

/* The last one that was asked for must still be there: nothing had to go. */
static void check_kept(run *r)
{
    ml_secret *first = NULL, *again = NULL;
    ml_err e;
    if (ml_get(r->resolver, "key-00000", NULL, 0, &first, &e) != 0 ||
        ml_get(r->resolver, "key-00000", NULL, 0, &again, &e) != 0 || first != again)
        bench_die("get", "the first secret was not kept");
    ml_secret_unref(first);
    ml_secret_unref(again);
}

/* One sample a pass; the names in an order that no cache of the machine foresees. */
static void time_hits(run *r)
{
    enum { PASSES = 5, STRIDE = 7919 };
    char(*names)[32] = calloc(r->count, sizeof(*names));
    if (!names) bench_die("names", "out of memory");
    for (unsigned i = 0; i < r->count; i++) {
        unsigned which = (unsigned)((uint64_t)i * STRIDE % r->count);
        snprintf(names[i], sizeof(names[i]), "key-%05u", which);
    }
    for (int pass = 0; pass < PASSES; pass++) {
        int64_t began = bench_now_ns();
        for (unsigned i = 0; i < r->count; i++) {
            ml_secret *s = NULL;
            ml_err e;
            if (ml_get(r->resolver, names[i], NULL, 0, &s, &e) != 0)
                bench_die(names[i], e.text);
            ml_secret_unref(s);
        }
        bench_sample("cached_names_ns", (double)(bench_now_ns() - began) / r->count);
    }
    free(names);
}

int main(int argc, char **argv)
{
    double before_kib = resident_kib();
    run r = {0};
    ml_err e;
    if (argc != 3) bench_die("usage", "bench_memory POLICY COUNT");
    r.count = (unsigned)bench_number(argv[2]);
    ml_options options = {ML_OPTIONS_INIT, .policy_file = argv[1],
                          .cache_ttl_ms = 3600000, .cache_max_bytes = 64u << 20,
                          .vault_reads_in_10_s = -1};
    if (ml_open(&r.resolver, &options, &e) != 0) bench_die("open", e.text);
    double open_kib = resident_kib(), tenth_kib = 0;
    while (r.finished < r.count) {
        while (r.started < r.count && r.started - r.finished < IN_FLIGHT) start_one(&r);
        if (ml_step(r.resolver, 1000) < 0) bench_die("step", "failed");
        if (r.finished <= r.count / 10) tenth_kib = resident_kib();
    }
    double full_kib = resident_kib();
    check_kept(&r);
    bench_sample("memory_kib", full_kib - before_kib);
    bench_sample("memory_open_kib", open_kib - before_kib);
    bench_sample("memory_secret_bytes",
                 (full_kib - tenth_kib) * 1024 / (r.count * 0.9));
    time_hits(&r);
    ml_close(r.resolver);
    return 0;
}
