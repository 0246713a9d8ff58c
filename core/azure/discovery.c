/* discovery.c - of many requests that need a vault's challenge, one asks and the others
 * wait for what it learns. */
#include "azure/discovery.h"

bool ml_discovery_begin(ml_discovery *d)
{
    if (d->is_busy) return false;
    d->is_busy = true;
    return true;
}

void ml_discovery_end(ml_discovery *d)
{
    d->is_busy = false;
    while (d->waiting) {
        ml_discovery_wait *w = d->waiting;
        ml_discovery_leave(w);
        w->fn(w, true);
    }
}

static void on_deadline(ml_timer *t, void *arg)
{
    (void)t;
    ml_discovery_wait *w = arg;
    ml_discovery_leave(w);
    w->fn(w, false);
}

void ml_discovery_join(ml_discovery *d, ml_discovery_wait *w, ml_loop *loop,
                       int64_t deadline_ms, ml_discovery_fn *fn)
{
    *w = (ml_discovery_wait){.of = d, .loop = loop, .fn = fn, .next = d->waiting};
    d->waiting = w;
    ml_timer_start(loop, &w->deadline, deadline_ms, on_deadline, w);
}

bool ml_discovery_leave(ml_discovery_wait *w)
{
    if (!w->of) return false;
    ml_discovery_wait **at = &w->of->waiting;
    while (*at != w) at = &(*at)->next;
    *at = w->next;
    w->of = NULL;
    ml_timer_stop(w->loop, &w->deadline);
    return true;
}
