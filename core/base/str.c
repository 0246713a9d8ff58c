/* str.c - a view of text that somebody else owns, and questions about it. */
#include "base/str.h"

#include <string.h>

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

ml_str ml_str_of(const char *text)
{
    return (ml_str){text ? text : "", text ? strlen(text) : 0};
}

bool ml_str_eq(ml_str a, ml_str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool ml_str_ieq(ml_str a, ml_str b)
{
    if (a.n != b.n) return false;
    for (size_t i = 0; i < a.n; i++) {
        if (lower(a.p[i]) != lower(b.p[i])) return false;
    }
    return true;
}

bool ml_str_starts(ml_str s, ml_str prefix)
{
    return s.n >= prefix.n && ml_str_eq((ml_str){s.p, prefix.n}, prefix);
}

bool ml_str_ends(ml_str s, ml_str suffix)
{
    if (s.n < suffix.n) return false;
    return ml_str_eq((ml_str){s.p + (s.n - suffix.n), suffix.n}, suffix);
}

bool ml_str_iends(ml_str s, ml_str suffix)
{
    if (s.n < suffix.n) return false;
    return ml_str_ieq((ml_str){s.p + (s.n - suffix.n), suffix.n}, suffix);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

ml_str ml_str_trim(ml_str s)
{
    while (s.n && is_blank(s.p[0])) s = (ml_str){s.p + 1, s.n - 1};
    while (s.n && is_blank(s.p[s.n - 1])) s.n--;
    return s;
}

size_t ml_str_find(ml_str s, char c)
{
    const char *hit = s.n ? memchr(s.p, c, s.n) : NULL;
    return hit ? (size_t)(hit - s.p) : s.n;
}

bool ml_str_to_u64(ml_str s, uint64_t *out)
{
    if (s.n == 0) return false;
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') return false;
        uint64_t digit = (uint64_t)(s.p[i] - '0');
        if (v > (UINT64_MAX - digit) / 10) return false;
        v = v * 10 + digit;
    }
    *out = v;
    return true;
}

/* Length of the well-formed sequence at s, or 0. */
static size_t sequence_length(const unsigned char *s, size_t n)
{
    if (s[0] < 0x80) return 1;
    size_t len = s[0] >= 0xc2 && s[0] <= 0xdf   ? 2
                 : (s[0] & 0xf0) == 0xe0        ? 3
                 : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4
                                                : 0;
    if (len == 0 || n < len) return 0;
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80) return 0;
    }
    if (s[0] == 0xe0 && s[1] < 0xa0) return 0; /* overlong */
    if (s[0] == 0xed && s[1] > 0x9f) return 0; /* surrogates */
    if (s[0] == 0xf0 && s[1] < 0x90) return 0; /* overlong */
    if (s[0] == 0xf4 && s[1] > 0x8f) return 0; /* past U+10FFFF */
    return len;
}

bool ml_utf8_valid(ml_str s)
{
    for (size_t i = 0; i < s.n;) {
        size_t len = sequence_length((const unsigned char *)s.p + i, s.n - i);
        if (len == 0) return false;
        i += len;
    }
    return true;
}
