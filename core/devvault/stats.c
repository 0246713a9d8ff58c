/* stats.c - how many requests of each operation ended with which status. */
#include "devvault/stats.h"

#include <inttypes.h>
#include <string.h>

void ml_dv_stats_add(ml_dv_stats *s, const char *op, int status)
{
    for (size_t i = 0; i < s->n; i++) {
        ml_dv_count *c = &s->counts[i];
        if (c->status != status || strcmp(c->op, op) != 0) continue;
        c->n++;
        return;
    }
    if (s->n == ML_DV_MAX_COUNTS) return;
    s->counts[s->n++] = (ml_dv_count){op, status, 1};
}

static bool is_first_of_op(const ml_dv_stats *s, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (strcmp(s->counts[k].op, s->counts[i].op) == 0) return false;
    }
    return true;
}

void ml_dv_stats_write(const ml_dv_stats *s, ml_buf *out)
{
    uint64_t total = 0;
    for (size_t i = 0; i < s->n; i++) total += s->counts[i].n;
    ml_buf_addf(out, "{\"total\":%" PRIu64 ",\"ops\":{", total);
    const char *comma = "";
    for (size_t i = 0; i < s->n; i++) {
        if (!is_first_of_op(s, i)) continue;
        const char *op = s->counts[i].op, *inner = "";
        ml_buf_addf(out, "%s\"%s\":{", comma, op);
        for (size_t k = i; k < s->n; k++) {
            if (strcmp(s->counts[k].op, op) != 0) continue;
            ml_buf_addf(out, "%s\"%d\":%" PRIu64, inner, s->counts[k].status,
                        s->counts[k].n);
            inner = ",";
        }
        ml_buf_add_char(out, '}');
        comma = ",";
    }
    ml_buf_add_text(out, "}}");
}
