/* stats.h - how many requests of each operation ended with which status. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum { ML_DV_MAX_COUNTS = 256 };

typedef struct ml_dv_count {
    const char *op; /* static text */
    int status;     /* 0: dropped without an answer */
    uint64_t n;
} ml_dv_count;

typedef struct ml_dv_stats {
    ml_dv_count counts[ML_DV_MAX_COUNTS];
    size_t n;
} ml_dv_stats;

void ml_dv_stats_add(ml_dv_stats *s, const char *op, int status);
/* {"total": 3, "ops": {"get": {"200": 2, "401": 1}, ...}} */
void ml_dv_stats_write(const ml_dv_stats *s, ml_buf *out);
