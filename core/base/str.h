/* str.h - a view of text that somebody else owns, and questions about it. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ml_str {
    const char *p; /* not NUL-terminated */
    size_t n;
} ml_str;

#define ML_LIT(text) ((ml_str){(text), sizeof(text) - 1})

ml_str ml_str_of(const char *text); /* NULL gives the empty view */
bool ml_str_eq(ml_str a, ml_str b);
bool ml_str_ieq(ml_str a, ml_str b); /* ASCII letters without case */
bool ml_str_starts(ml_str s, ml_str prefix);
bool ml_str_ends(ml_str s, ml_str suffix);
bool ml_str_iends(ml_str s, ml_str suffix);
ml_str ml_str_trim(ml_str s); /* blanks and tabs, CR, LF at both ends */
/* An ASCII letter or digit? */
static inline bool ml_is_alnum(char byte)
{
    return (unsigned)(byte | 0x20) - 'a' < 26 || (unsigned)byte - '0' < 10;
}
/* Position of c, or s.n when it is not there. */
size_t ml_str_find(ml_str s, char c);
/* Decimal digits only, no sign, no blanks, must fit.  False leaves *out alone. */
bool ml_str_to_u64(ml_str s, uint64_t *out);
/* Well-formed UTF-8: no overlong forms, no surrogates, at most U+10FFFF. */
bool ml_utf8_valid(ml_str s);
