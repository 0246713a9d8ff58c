/* log.c - one line at a time to whoever asked for it. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"

enum { LINE_BYTES = 1024 };

bool ml_log_wants(const ml_log *l, ml_log_level level)
{
    return l && l->fn && level <= l->level;
}

void ml_logf(const ml_log *l, ml_log_level level, const char *area, const char *fmt,
             ...)
{
    if (!ml_log_wants(l, level)) return;
    char raw[LINE_BYTES];
    char line[LINE_BYTES];
    va_list args;
    va_start(args, fmt);
    vsnprintf(raw, sizeof(raw), fmt, args);
    va_end(args);
    ml_copy_printable(line, sizeof(line), raw, strlen(raw));
    l->fn(l->arg, level, area, line);
}
