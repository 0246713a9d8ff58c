/* trace.h - what happened for one request, event by event, without values.
 *
 * Filled by http, token and vault code; read by the resolver, which gives it to
 * `explain`.  Bounded: past ML_TRACE_MAX events only the count goes on. */
#pragma once
#include "moonlatch.h"

enum { ML_TRACE_MAX = 64, ML_TRACE_TEXT = 160 };

typedef struct ml_trace_event {
    int64_t at_ms; /* since the request began */
    char what[16]; /* "token", "http", "retry", "cache", "auth" */
    char text[ML_TRACE_TEXT];
} ml_trace_event;

/* A place in a trace of many programs: see io/span.h.  Empty: none. */
typedef struct ml_span_at {
    char trace_id[33], span_id[17], flags[3];
} ml_span_at;

typedef struct ml_trace {
    ml_span_at span;    /* what this is a part of */
    bool keeps_nothing; /* only the span is of interest */
    const ml_clock *clock;
    int64_t began_ms;
    ml_trace_event *events;
    size_t n;
    size_t cap;
    size_t dropped;
} ml_trace;

void ml_trace_init(ml_trace *t, const ml_clock *clock);
/* Of the same span, for another part of the work. */
void ml_trace_init_like(ml_trace *t, const ml_trace *of);
void ml_trace_fini(ml_trace *t);
/* t may be NULL: nobody asked. */
void ml_trace_add(ml_trace *t, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Adds what another one noted, at its time.  to may be NULL. */
void ml_trace_append(ml_trace *to, const ml_trace *from);
