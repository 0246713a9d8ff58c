/* span.c - where a call stands in a trace that goes through many programs.
 *
 * Facts: W3C Trace Context, version 00. */
#include "io/span.h"

#include <stdio.h>
#include <string.h>

enum { TRACE_DIGITS = 32, SPAN_DIGITS = 16 };

static const char zeros[] = "00000000000000000000000000000000";

/* n lower-case hex digits and then `end`; false: something else, or all are zero. */
static bool take(const char **at, char *out, size_t n, char end, bool may_be_zero)
{
    if (strspn(*at, "0123456789abcdef") != n || (*at)[n] != end) return false;
    memcpy(out, *at, n);
    out[n] = '\0';
    *at += n + (end ? 1 : 0);
    return may_be_zero || memcmp(out, zeros, n) != 0;
}

bool ml_span_parse(ml_span_at *out, const char *text)
{
    char version[3];
    *out = (ml_span_at){0};
    if (text && take(&text, version, 2, '-', true) && strcmp(version, "00") == 0 &&
        take(&text, out->trace_id, TRACE_DIGITS, '-', false) &&
        take(&text, out->span_id, SPAN_DIGITS, '-', false) &&
        take(&text, out->flags, 2, '\0', true)) {
        return true;
    }
    *out = (ml_span_at){0};
    return false;
}

void ml_span_write(const ml_span_at *at, char out[ML_TRACEPARENT_BYTES])
{
    snprintf(out, ML_TRACEPARENT_BYTES, "00-%s-%s-%s", at->trace_id, at->span_id,
             at->flags);
}

static void random_digits(ml_loop *l, char *out, size_t n)
{
    do {
        for (size_t i = 0; i < n; i += 8)
            snprintf(out + i, 9, "%08x", (unsigned)ml_loop_random(l));
    } while (memcmp(out, zeros, n) == 0);
}

bool ml_span_is_on(ml_loop *l, const ml_span_at *parent)
{
    const ml_meter *m = ml_loop_meter(l);
    return parent->span_id[0] || (m && m->span);
}

static void tell(ml_loop *l, const ml_span_at *parent, const ml_span_at *own,
                 const ml_span *facts, bool is_end)
{
    const ml_meter *m = ml_loop_meter(l);
    if (!m || !m->span) return;
    char text[ML_TRACEPARENT_BYTES];
    ml_span_write(own, text);
    ml_span full = *facts;
    full.size = sizeof(full);
    full.is_end = is_end;
    full.traceparent = text;
    full.parent_id = parent->span_id;
    if (!full.verb) full.verb = "";
    if (!full.rule) full.rule = "";
    if (!full.source) full.source = "";
    if (!full.kind) full.kind = "";
    if (!full.outcome) full.outcome = "";
    m->span(m->span_arg, &full);
}

void ml_span_begin(ml_loop *l, const ml_span_at *parent, ml_span_at *own,
                   const ml_span *facts)
{
    *own = *parent;
    if (!parent->span_id[0]) {
        random_digits(l, own->trace_id, TRACE_DIGITS);
        memcpy(own->flags, "01", 3);
    }
    random_digits(l, own->span_id, SPAN_DIGITS);
    tell(l, parent, own, facts, false);
}

void ml_span_end(ml_loop *l, const ml_span_at *parent, const ml_span_at *own,
                 const ml_span *facts)
{
    if (own->span_id[0]) tell(l, parent, own, facts, true);
}
