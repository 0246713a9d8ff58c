/* bench_hits.c - gets of one name from the cache and nothing else, for who counts
 * instructions.
 *
 *   bench_hits TIMES */
#include "bench.h"
#include "moonlatch.h"

static const char policy[] =
    "local ml = require 'moonlatch.policy'\n"
    "return ml.policy { ml.rule '**' { from = ml.environment {} } }\n";

int main(int argc, char **argv)
{
    ml_resolver *r = NULL;
    ml_err e;
    if (argc != 2) bench_die("usage", "bench_hits TIMES");
    int times = bench_number(argv[1]);
    const ml_pair env[] = {{"key-00000", "postgresql://etl:secret@db.example/sales"}};
    ml_options o = {ML_OPTIONS_INIT, .policy_text = policy, .env = env, .n_env = 1,
                    .cache_ttl_ms = 3600000};
    if (ml_open(&r, &o, &e) != 0) bench_die("open", e.text);
    for (int i = 0; i < times; i++) {
        ml_secret *s = NULL;
        if (ml_get(r, "key-00000", NULL, 0, &s, &e) != 0) bench_die("get", e.text);
        ml_secret_unref(s);
    }
    ml_close(r);
    return 0;
}
