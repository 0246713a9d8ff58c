/* bare_get.c - one secret with libcurl alone: token, secret, value on stdout.
 *
 *   bare_get NAME */
#include "bare.h"
#include "bench.h"

int main(int argc, char **argv)
{
    if (argc != 2) bench_die("usage", "bare_get NAME");
    curl_global_init(CURL_GLOBAL_DEFAULT);
    bare_get(argv[1], stdout);
    curl_global_cleanup();
    return 0;
}
