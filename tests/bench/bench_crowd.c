/* bench_crowd.c - many callers at once ask for one secret that is missing.
 *
 *   bench_crowd POLICY CALLERS
 *
 * Each must be told that it is missing; the server counts the requests it took. */
#include "bench.h"
#include "moonlatch.h"

static int n_missing;

static void on_done(ml_request *q, const ml_answer *answer, const ml_err *e, void *arg)
{
    (void)q;
    (void)answer;
    (void)arg;
    if (e->code != ML_EMISSING) bench_die("get", e->code ? e->text : "an answer");
    n_missing++;
}

int main(int argc, char **argv)
{
    ml_resolver *r = NULL;
    ml_err e;
    if (argc != 3) bench_die("usage", "bench_crowd POLICY CALLERS");
    int callers = bench_number(argv[2]);
    ml_options o = {ML_OPTIONS_INIT, .policy_file = argv[1]};
    if (ml_open(&r, &o, &e) != 0) bench_die("open", e.text);
    ml_call call = {ML_CALL_INIT, .verb = ML_GET, .name = "absent"};
    for (int i = 0; i < callers; i++) {
        if (!ml_start(r, &call, on_done, NULL, &e)) bench_die("start", e.text);
    }
    while (n_missing < callers) {
        if (ml_step(r, 1000) < 0) bench_die("step", "failed");
    }
    bench_sample("crowd_callers", callers);
    ml_close(r);
    return 0;
}
