/* err.c - filling the error struct that is passed down, one per request. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct code_row {
    int code;
    const char *outcome;
    const char *sentence;
} code_row;

#define ROW(name, value, outcome, sentence) {value, outcome, sentence},
static const code_row rows[] = {ML_CODES(ROW)};
#undef ROW

enum { ROW_COUNT = sizeof(rows) / sizeof(rows[0]) };

static const code_row *row_of(int code)
{
    if (code > 0 || code <= -ROW_COUNT) return &rows[-ML_ESYSTEM];
    return &rows[-code];
}

const char *ml_outcome(int code)
{
    return row_of(code)->outcome;
}

const char *ml_strerror(int code)
{
    return row_of(code)->sentence;
}

const char *ml_code_name(int code)
{
    return code == ML_EUSAGE ? "usage" : ml_outcome(code);
}

int ml_code_of_name(const char *name)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (strcmp(name, ml_code_name(rows[i].code)) == 0) return rows[i].code;
    }
    return ML_OK;
}

void ml_err_clear(ml_err *e)
{
    if (e) *e = (ml_err){0};
}

void ml_err_init(ml_err *e)
{
    e->code = e->http_status = e->retry_after_ms = 0;
    e->source[0] = e->key[0] = e->service_code[0] = e->request_id[0] = '\0';
    e->text[0] = '\0';
}

void ml_err_copy(ml_err *to, const ml_err *from)
{
    *to = (ml_err){.code = from->code,
                   .http_status = from->http_status,
                   .retry_after_ms = from->retry_after_ms};
    memcpy(to->source, from->source, strlen(from->source));
    memcpy(to->key, from->key, strlen(from->key));
    memcpy(to->service_code, from->service_code, strlen(from->service_code));
    memcpy(to->request_id, from->request_id, strlen(from->request_id));
    memcpy(to->text, from->text, strlen(from->text));
}

int ml_fail(ml_err *e, int code, const char *fmt, ...)
{
    if (!e) return code;
    e->code = code;
    va_list args;
    va_start(args, fmt);
    vsnprintf(e->text, sizeof(e->text), fmt, args);
    va_end(args);
    return code;
}

void ml_copy_printable(char *out, size_t size, const char *p, size_t n)
{
    if (size == 0) return;
    size_t len = n < size - 1 ? n : size - 1;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)p[i];
        out[i] = c < 0x20 || c == 0x7f ? '?' : (char)c;
    }
    out[len] = '\0';
}
