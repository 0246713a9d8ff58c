/* glob.c - the patterns of names: checked, and matched without memory. */
#include "base/glob.h"

#include "base/err.h"

/* Where one stands in a text of segments. */
typedef struct cursor {
    ml_str rest;
    bool has_more;
} cursor;

static ml_str after(ml_str s, size_t n)
{
    return (ml_str){s.p + n, s.n - n};
}

static ml_str next_segment(cursor *c)
{
    size_t n = ml_str_find(c->rest, '/');
    ml_str segment = {c->rest.p, n};
    c->has_more = n < c->rest.n;
    c->rest = after(c->rest, c->has_more ? n + 1 : n);
    return segment;
}

static bool is_many(ml_str segment)
{
    return ml_str_eq(segment, ML_LIT("**"));
}

/* ---- one segment ---------------------------------------------------------------- */

/* Does a wildcard begin the pattern?  Its length, and how much it takes at least. */
static size_t wildcard(ml_str pattern, size_t *least)
{
    if (pattern.n == 0) return 0;
    *least = pattern.p[0] == '{';
    if (pattern.p[0] == '*') return 1;
    return pattern.p[0] == '{' ? ml_str_find(pattern, '}') + 1 : 0;
}

/* Goes back to the last wildcard only, and gives it one character more: enough, because
 * an earlier one could not do better. */
static bool match_segment(ml_str pattern, ml_str s)
{
    ml_str retry_pattern = {0}, retry = {0};
    bool can_retry = false;
    if (ml_str_eq(pattern, ML_LIT("*"))) return s.n > 0;
    for (;;) {
        size_t least = 0, n = wildcard(pattern, &least);
        if (n) {
            if (s.n < least) return false;
            retry_pattern = pattern = after(pattern, n);
            retry = s = after(s, least);
            can_retry = true;
        } else if (pattern.n == 0 && s.n == 0) {
            return true;
        } else if (pattern.n && s.n && pattern.p[0] == s.p[0]) {
            pattern = after(pattern, 1);
            s = after(s, 1);
        } else if (can_retry && retry.n) {
            pattern = retry_pattern;
            retry = s = after(retry, 1);
        } else {
            return false;
        }
    }
}

/* ---- whole names ---------------------------------------------------------------- */

bool ml_glob_match(ml_str pattern, ml_str name)
{
    cursor p = {pattern, true}, n = {name, true}, retry_p = {0}, retry_n = {0};
    while (n.has_more) {
        cursor next_p = p, next_n = n;
        ml_str item = p.has_more ? next_segment(&next_p) : (ml_str){0};
        ml_str segment = next_segment(&next_n);
        if (p.has_more && is_many(item)) {
            if (!next_p.has_more) return true;
            retry_p = p = next_p;
            retry_n = n;
        } else if (p.has_more && match_segment(item, segment)) {
            p = next_p;
            n = next_n;
        } else if (retry_n.has_more) {
            next_segment(&retry_n);
            p = retry_p;
            n = retry_n;
        } else {
            return false;
        }
    }
    return !p.has_more;
}

static int check_segment(ml_str s, ml_err *e)
{
    if (is_many(s)) return 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '*' && i + 1 < s.n && s.p[i + 1] == '*') {
            return ml_fail(e, ML_EUSAGE, "'**' must stand alone between slashes");
        }
        if (s.p[i] == '{' && ml_str_find(after(s, i), '}') == s.n - i) {
            return ml_fail(e, ML_EUSAGE, "'{' needs a name and a '}': {env}");
        }
    }
    return 0;
}

int ml_glob_check(ml_str pattern, ml_err *e)
{
    if (pattern.n == 0) return ml_fail(e, ML_EUSAGE, "the pattern is empty");
    cursor c = {pattern, true};
    int rc = 0;
    while (c.has_more && rc == 0) rc = check_segment(next_segment(&c), e);
    return rc;
}
