/* buf.c - a growing buffer that scrubs what it leaves behind, always. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/locked.h"
#include "base/mem.h"

enum { DEFAULT_MAX_BYTES = 1024 * 1024, FIRST_BYTES = 256 };

void ml_buf_init(ml_buf *b, size_t max)
{
    *b = (ml_buf){.max = max ? max : DEFAULT_MAX_BYTES};
}

void ml_buf_fini(ml_buf *b)
{
    ml_locked_free(b->data, b->cap);
    ml_buf_init(b, b->max);
}

void ml_buf_clear(ml_buf *b)
{
    ml_scrub(b->data, b->cap);
    b->len = 0;
    b->failed = b->is_full = false;
}

bool ml_buf_ok(const ml_buf *b)
{
    return !b->failed;
}

ml_str ml_buf_str(const ml_buf *b)
{
    return (ml_str){b->data ? b->data : "", b->len};
}

/* Makes room for n more bytes and a NUL. */
static bool reserve(ml_buf *b, size_t n)
{
    if (b->failed) return false;
    size_t max = b->max ? b->max : DEFAULT_MAX_BYTES;
    if (n > max || b->len > max - n) {
        b->failed = b->is_full = true;
        return false;
    }
    size_t need = b->len + n + 1;
    if (need <= b->cap) return true;
    size_t cap = b->cap ? b->cap : FIRST_BYTES;
    while (cap < need) cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    char *data = ml_locked_alloc(cap);
    if (!data) {
        b->failed = true;
        return false;
    }
    if (b->len) memcpy(data, b->data, b->len);
    ml_locked_free(b->data, b->cap);
    b->data = data;
    b->cap = cap;
    return true;
}

void ml_buf_add(ml_buf *b, const void *p, size_t n)
{
    if (!reserve(b, n)) return;
    if (n) memcpy(b->data + b->len, p, n);
    b->len += n;
    b->data[b->len] = '\0';
}

void ml_buf_add_str(ml_buf *b, ml_str s)
{
    ml_buf_add(b, s.p, s.n);
}

void ml_buf_add_text(ml_buf *b, const char *text)
{
    ml_buf_add_str(b, ml_str_of(text));
}

void ml_buf_add_char(ml_buf *b, char c)
{
    ml_buf_add(b, &c, 1);
}

void ml_buf_addf(ml_buf *b, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0 || !reserve(b, (size_t)n)) return;
    va_start(args, fmt);
    vsnprintf(b->data + b->len, (size_t)n + 1, fmt, args);
    va_end(args);
    b->len += (size_t)n;
}
