/* log.h - one line at a time to whoever asked for it.  Takes no ml_secret. */
#pragma once
#include "moonlatch.h"

typedef struct ml_log {
    ml_log_fn *fn; /* NULL: silence */
    void *arg;
    ml_log_level level;
} ml_log;

bool ml_log_wants(const ml_log *l, ml_log_level level);
/* Cuts at 1 KiB; control bytes become '?'. */
void ml_logf(const ml_log *l, ml_log_level level, const char *area, const char *fmt,
             ...) __attribute__((format(printf, 4, 5)));
