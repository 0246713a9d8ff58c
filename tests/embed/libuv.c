/* libuv.c - a host with libuv: one poll handle steps; a timer takes back what is late.
 *
 *     libuv POLICY.lua PATIENCE_MS NAME... */
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "moonlatch.h"

enum { MAX_ASKS = 32 };

typedef struct ask {
    const char *name;
    ml_request *request; /* NULL once it has ended */
} ask;

static ml_resolver *resolver;
static ask asks[MAX_ASKS];
static int n_asks, n_in_flight, n_failed;
static uv_poll_t ready;
static uv_timer_t patience;

/* With nothing in flight, the handles go, and uv_run returns.  ml_close comes later:
 * the descriptor must outlive the handle that polls it. */
static void on_done(ml_request *q, const ml_answer *answer, const ml_err *e, void *arg)
{
    ask *a = arg;
    (void)q;
    (void)answer; /* ml_answer_at(answer, 0) is the secret: ml_secret_ref keeps it */
    a->request = NULL;
    printf("%s: %s\n", a->name, ml_outcome(e->code));
    if (e->code != 0) n_failed++;
    if (--n_in_flight > 0) return;
    uv_close((uv_handle_t *)&ready, NULL);
    uv_close((uv_handle_t *)&patience, NULL);
}

static void on_readable(uv_poll_t *handle, int status, int events)
{
    (void)handle;
    (void)events;
    if (status == 0) ml_step(resolver, 0);
}

/* Each still gets its done, with ML_ECANCELED. */
static void on_patience(uv_timer_t *timer)
{
    (void)timer;
    for (ask *a = asks; a < asks + n_asks; a++) {
        if (a->request) ml_cancel(a->request);
    }
}

static void start(const char *name)
{
    ml_err e;
    ask *a = &asks[n_asks++];
    a->name = name;
    a->request = ml_get_start(resolver, name, NULL, 0, on_done, a, &e);
    if (a->request)
        n_in_flight++;
    else
        n_failed++;
}

int main(int argc, char **argv)
{
    ml_err e;
    if (argc < 4 || argc - 3 > MAX_ASKS) return 2;
    ml_options o = {ML_OPTIONS_INIT, .policy_file = argv[1]};
    if (ml_open(&resolver, &o, &e) < 0) {
        fprintf(stderr, "cannot open: %s\n", e.text);
        return 2;
    }
    uv_loop_t *loop = uv_default_loop();
    for (int i = 3; i < argc; i++) start(argv[i]);
    if (n_in_flight > 0) {
        uv_poll_init(loop, &ready, ml_fd(resolver));
        uv_poll_start(&ready, UV_READABLE, on_readable);
        uv_timer_init(loop, &patience);
        uv_timer_start(&patience, on_patience, strtoull(argv[2], NULL, 10), 0);
        uv_run(loop, UV_RUN_DEFAULT);
    }
    uv_loop_close(loop);
    ml_close(resolver);
    return n_failed > 0;
}
