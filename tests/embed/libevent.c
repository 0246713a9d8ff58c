/* libevent.c - a host with libevent: one event steps, a timer shows that nothing
 * blocks.
 *
 *     libevent POLICY.lua PATIENCE_MS NAME...
 *
 * Who is not answered within PATIENCE_MS is told so; the others are not kept from it.
 */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

#include "moonlatch.h"

typedef struct host {
    ml_resolver *resolver;
    struct event_base *base;
    int n_in_flight, n_failed, n_ticks;
} host;

typedef struct ask {
    host *h;
    const char *name;
    ml_request *request; /* NULL once it has ended */
} ask;

static void on_done(ml_request *q, const ml_answer *answer, const ml_err *e, void *arg)
{
    ask *a = arg;
    (void)q;
    (void)answer; /* ml_answer_at(answer, 0) is the secret: ml_secret_ref keeps it */
    a->request = NULL;
    printf("%s: %s\n", a->name, ml_outcome(e->code));
    if (e->code != 0) a->h->n_failed++;
    if (--a->h->n_in_flight == 0) event_base_loopbreak(a->h->base);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    ml_step(((host *)arg)->resolver, 0);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    ((host *)arg)->n_ticks++;
}

static void run(host *h)
{
    const struct timeval tick = {.tv_usec = 10 * 1000};
    h->base = event_base_new();
    struct event *ready =
        event_new(h->base, ml_fd(h->resolver), EV_READ | EV_PERSIST, on_readable, h);
    struct event *clock = event_new(h->base, -1, EV_PERSIST, on_tick, h);
    event_add(ready, NULL);
    event_add(clock, &tick);
    event_base_dispatch(h->base);
    event_free(ready); /* before the descriptor goes */
    event_free(clock);
    event_base_free(h->base);
    libevent_global_shutdown();
}

int main(int argc, char **argv)
{
    host h = {0};
    ml_err e;
    if (argc < 4) return 2;
    ml_options o = {ML_OPTIONS_INIT, .policy_file = argv[1]};
    if (ml_open(&h.resolver, &o, &e) < 0) {
        fprintf(stderr, "cannot open: %s\n", e.text);
        return 2;
    }
    int patience_ms = (int)strtol(argv[2], NULL, 10);
    ask *asks = calloc((size_t)argc, sizeof(*asks));
    for (int i = 3; asks && i < argc; i++) {
        asks[i] = (ask){.h = &h, .name = argv[i]};
        asks[i].request =
            ml_get_start(h.resolver, argv[i], NULL, 0, on_done, &asks[i], &e);
        if (asks[i].request)
            h.n_in_flight++;
        else
            h.n_failed++;
        if (asks[i].request) ml_request_deadline(asks[i].request, patience_ms);
    }
    if (h.n_in_flight > 0) run(&h);
    printf("ticks: %d\n", h.n_ticks);
    ml_close(h.resolver);
    free(asks);
    return h.n_failed > 0;
}
