/* retry.c - decide whether and when to try a request again.
 *
 * Pure: no clock, no sleeping, no randomness of its own.  Delays have full jitter,
 * since a herd of schedulers must not come back together; what the service asks for is
 * a lower bound, and the deadline wins over everything.
 *
 * Facts: RFC 9110 sections 5.6.7 and 10.2.3; Key Vault throttling guidance. */
#include "io/retry.h"

#include <limits.h>
#include <string.h>

bool ml_retry_is_transient(int status)
{
    switch (status) {
    case 408:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504: return true;
    default: return false;
    }
}

int ml_retry_wait_ms(const ml_retry *r, int attempt, uint32_t random)
{
    int shift = attempt < 1 ? 0 : attempt - 1;
    int64_t base = r->base_ms > 0 ? r->base_ms : 1;
    int64_t cap = r->cap_ms > 0 ? r->cap_ms : base;
    int64_t top = shift < 31 ? base << shift : cap;
    if (top > cap) top = cap;
    return (int)(random % (uint32_t)top) + 1;
}

int ml_retry_next(const ml_retry *r, int attempt, int status, int server_ms,
                  int64_t left_ms, uint32_t random)
{
    if (r->max_attempts > 0 && attempt >= r->max_attempts) return ML_RETRY_STOP;
    if (status != 0 && !ml_retry_is_transient(status)) return ML_RETRY_STOP;
    int wait_ms = ml_retry_wait_ms(r, attempt, random);
    if (wait_ms < server_ms) wait_ms = server_ms;
    return wait_ms < left_ms ? wait_ms : ML_RETRY_STOP;
}

/* Decimal digits times unit_ms; 0 when nonsense or too large. */
static int number_ms(ml_str text, int unit_ms)
{
    uint64_t v = 0;
    if (!ml_str_to_u64(ml_str_trim(text), &v)) return 0;
    return v <= (uint64_t)(INT_MAX / unit_ms) ? (int)v * unit_ms : INT_MAX;
}

/* Index of the three letters at p in a table of such, or -1. */
static int index_of(const char *table, const char *p)
{
    for (int i = 0; table[3 * i]; i++) {
        if (memcmp(table + 3 * i, p, 3) == 0) return i;
    }
    return -1;
}

/* Exactly n digits at p, or -1. */
static int fixed_digits(const char *p, int n)
{
    int v = 0;
    for (int i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9') return -1;
        v = v * 10 + (p[i] - '0');
    }
    return v;
}

static bool is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_in(int month, int year)
{
    static const char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month] + (month == 1 && is_leap(year) ? 1 : 0);
}

/* Days from 1970-01-01 to a date from then on; month 0..11. */
static int64_t days_since_1970(int year, int month, int day)
{
    int64_t before = year - 1;
    int64_t days = before * 365 + before / 4 - before / 100 + before / 400 - 719162;
    for (int m = 0; m < month; m++) days += days_in(m, year);
    return days + day - 1;
}

/* IMF-fixdate, "Sun, 06 Nov 1994 08:49:37 GMT": every field at a fixed place. */
static bool parse_date(ml_str s, int64_t *out)
{
    static const char shape[] = "???, ?? ??? ???? ??:??:?? GMT";
    if (s.n != sizeof(shape) - 1) return false;
    for (size_t i = 0; i < s.n; i++) {
        if (shape[i] != '?' && shape[i] != s.p[i]) return false;
    }
    int month = index_of("JanFebMarAprMayJunJulAugSepOctNovDec", s.p + 8);
    int day = fixed_digits(s.p + 5, 2), year = fixed_digits(s.p + 12, 4);
    int h = fixed_digits(s.p + 17, 2), m = fixed_digits(s.p + 20, 2);
    int sec = fixed_digits(s.p + 23, 2);
    if (index_of("MonTueWedThuFriSatSun", s.p) < 0 || month < 0) return false;
    if (year < 1970 || day < 1 || day > days_in(month, year)) return false;
    if (h < 0 || h > 23 || m < 0 || m > 59 || sec < 0 || sec > 60) return false;
    *out = ((days_since_1970(year, month, day) * 24 + h) * 60 + m) * 60 + sec;
    return true;
}

static int date_ms(ml_str text, int64_t wall_s)
{
    int64_t at_s = 0;
    if (!parse_date(ml_str_trim(text), &at_s) || wall_s < 0 || at_s <= wall_s) return 0;
    int64_t wait_s = at_s - wall_s;
    return wait_s <= INT_MAX / 1000 ? (int)wait_s * 1000 : 0;
}

int ml_retry_after_ms(ml_str retry_after_ms, ml_str x_ms_retry_after_ms,
                      ml_str retry_after, int64_t wall_s)
{
    int ms = number_ms(retry_after_ms, 1);
    if (ms == 0) ms = number_ms(x_ms_retry_after_ms, 1);
    if (ms == 0) ms = number_ms(retry_after, 1000);
    if (ms == 0) ms = date_ms(retry_after, wall_s);
    return ms;
}
