/* buf.h - a growing buffer that scrubs what it leaves behind, always.
 *
 * Lives in locked memory (locked.h).  Grows by allocate, copy, scrub, free.  Writers
 * may be chained without checking: after the first failure (out of memory, past max)
 * the buffer stays failed, adds nothing more, and ml_buf_ok says so. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

typedef struct ml_buf {
    char *data; /* NUL-terminated when not NULL */
    size_t len;
    size_t cap;
    size_t max; /* most bytes it may hold; 0 means 1 MiB */
    bool failed;
    bool is_full; /* it failed at max, not for want of memory */
} ml_buf;

void ml_buf_init(ml_buf *b, size_t max);
void ml_buf_fini(ml_buf *b);  /* scrubs and frees; then empty and usable again */
void ml_buf_clear(ml_buf *b); /* scrubs, keeps the memory, forgets a failure */
bool ml_buf_ok(const ml_buf *b);
ml_str ml_buf_str(const ml_buf *b);

void ml_buf_add(ml_buf *b, const void *p, size_t n);
void ml_buf_add_str(ml_buf *b, ml_str s);
void ml_buf_add_text(ml_buf *b, const char *text);
void ml_buf_add_char(ml_buf *b, char c);
/* For numbers and texts that are not secret: printf may leave copies on the stack. */
void ml_buf_addf(ml_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
