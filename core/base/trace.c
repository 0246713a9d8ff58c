/* trace.c - what happened for one request, event by event, without values. */
#include "base/trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"

void ml_trace_init(ml_trace *t, const ml_clock *clock)
{
    *t = (ml_trace){.clock = clock, .began_ms = ml_mono_ms(clock)};
}

void ml_trace_init_like(ml_trace *t, const ml_trace *of)
{
    ml_trace_init(t, of->clock);
    t->span = of->span;
    t->keeps_nothing = of->keeps_nothing;
}

void ml_trace_fini(ml_trace *t)
{
    ml_free(t->events);
    *t = (ml_trace){.clock = t->clock};
}

static ml_trace_event *next_event(ml_trace *t)
{
    if (t->n < t->cap) return &t->events[t->n++];
    size_t cap = t->cap ? t->cap * 2 : 8;
    ml_trace_event *events =
        t->cap < ML_TRACE_MAX ? ml_calloc(cap, sizeof(*events)) : NULL;
    if (!events) {
        t->dropped++;
        return NULL;
    }
    if (t->events) memcpy(events, t->events, t->n * sizeof(*events));
    ml_free(t->events);
    t->events = events;
    t->cap = cap;
    return &t->events[t->n++];
}

void ml_trace_add(ml_trace *t, const char *what, const char *fmt, ...)
{
    ml_trace_event *ev = t && !t->keeps_nothing ? next_event(t) : NULL;
    if (!ev) return;
    ev->at_ms = ml_mono_ms(t->clock) - t->began_ms;
    ml_copy_printable(ev->what, sizeof(ev->what), what, strlen(what));
    char raw[ML_TRACE_TEXT];
    va_list args;
    va_start(args, fmt);
    vsnprintf(raw, sizeof(raw), fmt, args);
    va_end(args);
    ml_copy_printable(ev->text, sizeof(ev->text), raw, strlen(raw));
}

void ml_trace_append(ml_trace *to, const ml_trace *from)
{
    for (size_t i = 0; to && i < from->n; i++) {
        ml_trace_event *ev = next_event(to);
        if (!ev) continue;
        *ev = from->events[i];
        ev->at_ms += from->began_ms - to->began_ms;
    }
}
