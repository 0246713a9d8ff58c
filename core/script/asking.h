/* asking.h - telling the host that a call asks a source: one measurement, one span,
 * whose children are the source's requests. */
#pragma once
#include "base/trace.h"
#include "io/loop.h"

typedef struct ml_asking {
    const char *source; /* alias; lives as long; NULL: nobody asks */
    const char *kind;
    ml_verb verb;
    int64_t began_ms;
    ml_span_at above; /* whose child it is */
} ml_asking;

/* Is it worth the trouble?  If not, begin and end do nothing. */
bool ml_asking_is_heard(ml_loop *l, const ml_trace *trace);
/* trace, the call's, stands for the source until the end; one in the other is fine. */
void ml_asking_begin(ml_asking *a, ml_loop *l, ml_trace *trace, ml_verb verb,
                     const char *source, const char *kind);
/* What it ended with; nothing when it has not begun. */
void ml_asking_end(ml_asking *a, ml_loop *l, ml_trace *trace, int code);
