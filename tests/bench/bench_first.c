/* bench_first.c - from ml_open to the first answer, token and TLS included.
 *
 *   bench_first POLICY TIMES
 *
 * One sample each time; the first one, which also loads what libraries load once, is
 * dropped. */
#include "bench.h"
#include "moonlatch.h"

static double first_answer_ms(const char *policy)
{
    ml_resolver *r = NULL;
    ml_secret *s = NULL;
    ml_err e;
    ml_options o = {ML_OPTIONS_INIT, .policy_file = policy};
    int64_t began = bench_now_ns();
    if (ml_open(&r, &o, &e) != 0) bench_die("open", e.text);
    if (ml_get(r, "key-00000", NULL, 0, &s, &e) != 0) bench_die("get", e.text);
    double ms = (double)(bench_now_ns() - began) / 1e6;
    ml_secret_unref(s);
    ml_close(r);
    return ms;
}

int main(int argc, char **argv)
{
    if (argc != 3) bench_die("usage", "bench_first POLICY TIMES");
    int times = bench_number(argv[2]);
    first_answer_ms(argv[1]);
    for (int i = 0; i < times; i++)
        bench_sample("first_answer_ms", first_answer_ms(argv[1]));
    return 0;
}
