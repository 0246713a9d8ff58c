/* meter.h - what is counted and timed: for the host's callback, ml_stats and the
 * Prometheus text.
 *
 * Labels are words of ours, statuses, aliases of sources and places of rules; never
 * names, keys or values.  Used under the resolver's lock.  Switched off, a measurement
 * costs one look. */
#pragma once
#include "base/buf.h"
#include "moonlatch.h"

typedef struct ml_counts {
    uint64_t calls, failures;
    uint64_t kept_hits, joined;
    uint64_t requests, retries, throttled, unanswered;
    uint64_t waited, refused;
    uint64_t reloads, reload_failures;
} ml_counts;

typedef struct ml_series ml_series;

typedef struct ml_meter {
    ml_counts counts;
    ml_metric_fn *metric; /* NULL: nobody listens */
    void *metric_arg;
    bool keeps; /* for ml_meter_write */
    ml_series *series;
    size_t n_series;
    ml_span_fn *span; /* NULL: nobody listens */
    ml_traceparent_fn *traceparent;
    void *span_arg;
} ml_meter;

/* The table in meter.c says their names and labels, in order. */
typedef enum ml_metric_id {
    ML_METRIC_CALL,    /* seconds: verb, rule, outcome */
    ML_METRIC_SOURCE,  /* seconds: verb, source, outcome */
    ML_METRIC_REQUEST, /* seconds: method, source, status */
    ML_METRIC_WAIT,    /* seconds: source, outcome */
    ML_METRIC_RETRY,   /* times: source, status */
    ML_METRIC_IDS
} ml_metric_id;

void ml_meter_fini(ml_meter *m);
/* Is anybody interested?  m may be NULL. */
bool ml_meter_is_on(const ml_meter *m);
/* values: as many as the metric has labels; NULL: "".  value: seconds or times. */
void ml_meter_note(ml_meter *m, ml_metric_id id, const char *const *values,
                   double value);
/* Everything kept so far, as Prometheus reads it. */
void ml_meter_write(const ml_meter *m, ml_buf *out);
/* One sample without labels, with its head. */
void ml_meter_write_one(ml_buf *out, const char *name, const char *type,
                        const char *help, uint64_t value);
