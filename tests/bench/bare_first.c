/* bare_first.c - bench_first with libcurl alone: token and secret over fresh
 * connections.
 *
 *   bare_first NAME TIMES */
#include "bare.h"
#include "bench.h"

static double first_answer_ms(const char *name)
{
    int64_t began = bench_now_ns();
    bare_get(name, NULL);
    return (double)(bench_now_ns() - began) / 1e6;
}

int main(int argc, char **argv)
{
    if (argc != 3) bench_die("usage", "bare_first NAME TIMES");
    int times = bench_number(argv[2]);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    first_answer_ms(argv[1]);
    for (int i = 0; i < times; i++)
        bench_sample("bare_first_answer_ms", first_answer_ms(argv[1]));
    curl_global_cleanup();
    return 0;
}
