/* asking.c - telling the host that a call asks a source, and how that ended. */
#include "script/asking.h"

#include "io/span.h"
#include "script/verbs.h"

static bool is_traced(const ml_trace *trace)
{
    return trace->span.span_id[0] != '\0';
}

bool ml_asking_is_heard(ml_loop *l, const ml_trace *trace)
{
    return is_traced(trace) || ml_meter_is_on(ml_loop_meter(l));
}

void ml_asking_begin(ml_asking *a, ml_loop *l, ml_trace *trace, ml_verb verb,
                     const char *source, const char *kind)
{
    a->source = NULL;
    if (!ml_asking_is_heard(l, trace)) return;
    *a = (ml_asking){.source = source,
                     .kind = kind,
                     .verb = verb,
                     .began_ms = ml_loop_now_ms(l),
                     .above = trace->span};
    if (!is_traced(trace)) return;
    ml_span_begin(l, &a->above, &trace->span,
                  &(ml_span){.what = "source",
                             .verb = ml_verb_word(verb),
                             .source = source,
                             .kind = kind});
}

static void end_span(const ml_asking *a, ml_loop *l, ml_trace *trace, int code)
{
    if (!a->above.span_id[0]) return;
    ml_span_end(l, &a->above, &trace->span,
                &(ml_span){.what = "source",
                           .verb = ml_verb_word(a->verb),
                           .source = a->source,
                           .kind = a->kind,
                           .outcome = ml_outcome(code)});
    trace->span = a->above;
}

void ml_asking_end(ml_asking *a, ml_loop *l, ml_trace *trace, int code)
{
    if (!a->source) return;
    ml_meter *m = ml_loop_meter(l);
    double took_s = (double)(ml_loop_now_ms(l) - a->began_ms) / 1000;
    const char *const labels[] = {ml_verb_word(a->verb), a->source, ml_outcome(code)};
    if (m) ml_meter_note(m, ML_METRIC_SOURCE, labels, took_s);
    end_span(a, l, trace, code);
    a->source = NULL;
}
