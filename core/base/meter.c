/* meter.c - what is counted and timed: series by their labels, and their text. */
#include "base/meter.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

enum { MAX_LABELS = 3, VALUE_BYTES = 128, MAX_SERIES = 1000 };

typedef struct metric_row {
    const char *name, *help;
    ml_metric_kind kind;
    int n_labels;
    const char *labels[MAX_LABELS];
} metric_row;

static const metric_row rows[ML_METRIC_IDS] = {
    {"moonlatch_call_seconds",
     "Calls that the cache of answers did not serve.",
     ML_HISTOGRAM,
     3,
     {"verb", "rule", "outcome"}},
    {"moonlatch_source_seconds",
     "What calls waited for a source, or what is kept of it.",
     ML_HISTOGRAM,
     3,
     {"verb", "source", "outcome"}},
    {"moonlatch_request_seconds",
     "HTTP requests, each try.",
     ML_HISTOGRAM,
     3,
     {"method", "source", "status"}},
    {"moonlatch_budget_wait_seconds",
     "What requests waited for their turn, if they did.",
     ML_HISTOGRAM,
     2,
     {"source", "outcome"}},
    {"moonlatch_retries_total",
     "Requests that were tried again, by what came before.",
     ML_COUNTER,
     2,
     {"source", "status"}},
};

static const double bounds[] = {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1,
                                0.2,   0.5,   1,     2,    5,    10,   30};
enum { N_BOUNDS = sizeof(bounds) / sizeof(bounds[0]) };

struct ml_series {
    ml_series *next;
    ml_metric_id id;
    char values[MAX_LABELS][VALUE_BYTES];
    uint64_t n;
    double sum;
    uint64_t buckets[N_BOUNDS]; /* each without the ones below */
};

void ml_meter_fini(ml_meter *m)
{
    while (m->series) {
        ml_series *s = m->series;
        m->series = s->next;
        ml_free(s);
    }
    m->n_series = 0;
}

bool ml_meter_is_on(const ml_meter *m)
{
    return m && (m->metric || m->keeps);
}

/* ---- keeping ----------------------------------------------------------------------
 */

static bool is_series(const ml_series *s, ml_metric_id id, const char *const *values)
{
    if (s->id != id) return false;
    for (int i = 0; i < rows[id].n_labels; i++)
        if (strncmp(s->values[i], values[i], VALUE_BYTES - 1) != 0) return false;
    return true;
}

/* Of more than a thousand, the rest is one a metric, with empty labels. */
static ml_series *series_of(ml_meter *m, ml_metric_id id, const char *const *values)
{
    static const char *const other[MAX_LABELS] = {"", "", ""};
    ml_series *s = m->series;
    while (s && !is_series(s, id, values)) s = s->next;
    if (s) return s;
    if (m->n_series >= MAX_SERIES && values != other) return series_of(m, id, other);
    s = ml_calloc(1, sizeof(*s));
    if (!s) return NULL;
    s->id = id;
    for (int i = 0; i < MAX_LABELS; i++)
        snprintf(s->values[i], VALUE_BYTES, "%s", values[i]);
    s->next = m->series;
    m->series = s;
    m->n_series++;
    return s;
}

static void keep(ml_meter *m, ml_metric_id id, const char *const *values, double value)
{
    ml_series *s = series_of(m, id, values);
    if (!s) return;
    s->n++;
    s->sum += value;
    for (int i = 0; i < N_BOUNDS && rows[id].kind == ML_HISTOGRAM; i++) {
        if (value > bounds[i]) continue;
        s->buckets[i]++;
        return;
    }
}

void ml_meter_note(ml_meter *m, ml_metric_id id, const char *const *values,
                   double value)
{
    if (!ml_meter_is_on(m)) return;
    const metric_row *row = &rows[id];
    const char *given[MAX_LABELS] = {"", "", ""};
    ml_pair labels[MAX_LABELS];
    for (int i = 0; i < row->n_labels; i++) {
        given[i] = values[i] ? values[i] : "";
        labels[i] = (ml_pair){row->labels[i], given[i]};
    }
    if (m->keeps) keep(m, id, given, value);
    if (m->metric) {
        m->metric(m->metric_arg, &(ml_metric){.size = sizeof(ml_metric),
                                              .name = row->name,
                                              .kind = row->kind,
                                              .value = value,
                                              .labels = labels,
                                              .n_labels = (size_t)row->n_labels});
    }
}

/* ---- writing ----------------------------------------------------------------------
 */

static void write_head(ml_buf *out, const char *name, const char *type,
                       const char *help)
{
    ml_buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void ml_meter_write_one(ml_buf *out, const char *name, const char *type,
                        const char *help, uint64_t value)
{
    write_head(out, name, type, help);
    ml_buf_addf(out, "%s %llu\n", name, (unsigned long long)value);
}

/* The format is UTF-8: in a value that is not, or was cut short, the bytes in question
 * are replaced. */
static void write_value(ml_buf *out, const char *text)
{
    bool is_utf8 = ml_utf8_valid(ml_str_of(text));
    for (; *text; text++) {
        if (*text == '\\' || *text == '"') ml_buf_add_char(out, '\\');
        if (*text == '\n')
            ml_buf_add_text(out, "\\n");
        else if (is_utf8 || (unsigned char)*text < 0x80)
            ml_buf_add_char(out, *text);
        else
            ml_buf_add_text(out, "\xef\xbf\xbd");
    }
}

/* NAME SUFFIX {labels, and le if there is one} and a space. */
static void write_labels(ml_buf *out, const ml_series *s, const char *suffix,
                         const char *le)
{
    const metric_row *row = &rows[s->id];
    ml_buf_addf(out, "%s%s{", row->name, suffix);
    for (int i = 0; i < row->n_labels; i++) {
        ml_buf_addf(out, "%s%s=\"", i ? "," : "", row->labels[i]);
        write_value(out, s->values[i]);
        ml_buf_add_char(out, '"');
    }
    if (le) ml_buf_addf(out, ",le=\"%s\"", le);
    ml_buf_add_text(out, "} ");
}

static void write_histogram(ml_buf *out, const ml_series *s)
{
    uint64_t n = 0;
    for (int i = 0; i < N_BOUNDS; i++) {
        char le[24];
        snprintf(le, sizeof(le), "%d.%03d", (int)bounds[i],
                 (int)(bounds[i] * 1000 + 0.5) % 1000); /* whatever the locale says */
        n += s->buckets[i];
        write_labels(out, s, "_bucket", le);
        ml_buf_addf(out, "%llu\n", (unsigned long long)n);
    }
    write_labels(out, s, "_bucket", "+Inf");
    ml_buf_addf(out, "%llu\n", (unsigned long long)s->n);
    write_labels(out, s, "_sum", NULL);
    uint64_t ms = (uint64_t)(s->sum * 1000 + 0.5);
    ml_buf_addf(out, "%llu.%03d\n", (unsigned long long)(ms / 1000), (int)(ms % 1000));
    write_labels(out, s, "_count", NULL);
    ml_buf_addf(out, "%llu\n", (unsigned long long)s->n);
}

void ml_meter_write(const ml_meter *m, ml_buf *out)
{
    for (ml_metric_id id = 0; id < ML_METRIC_IDS; id++) {
        bool is_first = true;
        for (const ml_series *s = m->series; s; s = s->next) {
            if (s->id != id) continue;
            bool is_histogram = rows[id].kind == ML_HISTOGRAM;
            if (is_first)
                write_head(out, rows[id].name, is_histogram ? "histogram" : "counter",
                           rows[id].help);
            is_first = false;
            if (is_histogram) {
                write_histogram(out, s);
            } else {
                write_labels(out, s, "", NULL);
                ml_buf_addf(out, "%llu\n", (unsigned long long)s->n);
            }
        }
    }
}
