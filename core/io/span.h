/* span.h - where a call stands in a trace that goes through many programs (W3C Trace
 * Context): parents and children, the header, and who is told. */
#pragma once
#include "base/trace.h"
#include "io/loop.h"

enum { ML_TRACEPARENT_BYTES = 56 };

/* "00-TRACE-SPAN-FLAGS", lower case; false, and *out empty, when it is anything else.
 * text may be NULL. */
bool ml_span_parse(ml_span_at *out, const char *text);
void ml_span_write(const ml_span_at *at, char out[ML_TRACEPARENT_BYTES]);
/* Is there something to tell about, or to send on?  Else the rest does nothing. */
bool ml_span_is_on(ml_loop *l, const ml_span_at *parent);
/* *own becomes a child of *parent, or the root of a trace when that is empty. */
void ml_span_begin(ml_loop *l, const ml_span_at *parent, ml_span_at *own,
                   const ml_span *facts);
void ml_span_end(ml_loop *l, const ml_span_at *parent, const ml_span_at *own,
                 const ml_span *facts);
