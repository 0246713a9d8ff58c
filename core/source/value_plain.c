/* value_plain.c - plain scalars as Python reads and shows them: PyYAML's rules for YAML
 * 1.1, and str() of what they give.
 *
 * The patterns are those of PyYAML's resolver, which is narrower than the YAML 1.1
 * specification: 1e3 is a text, because its exponent has neither point nor sign. */
#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "source/value.h"

static const char DIGITS[] = "0123456789", DIGITS_[] = "0123456789_";

/* ---- matching ----------------------------------------------------------------------
 */

typedef struct scan {
    const char *p; /* NUL-terminated */
} scan;

static bool eat(scan *s, const char *set)
{
    if (!*s->p || !strchr(set, *s->p)) return false;
    s->p++;
    return true;
}

static size_t span(scan *s, const char *set)
{
    size_t n = strspn(s->p, set);
    s->p += n;
    return n;
}

/* From min to max digits as a number, or -1. */
static int number(scan *s, size_t min, size_t max)
{
    size_t n = strspn(s->p, DIGITS);
    int value = 0;
    if (n < min || n > max) return -1;
    for (size_t i = 0; i < n; i++) value = value * 10 + (*s->p++ - '0');
    return value;
}

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words; words++) {
        if (strcmp(text, *words) == 0) return true;
    }
    return false;
}

/* ---- str() of numbers ---------------------------------------------------------------
 */

/* digits e exponent (of the first digit) as Python shows it. */
static void show_float(ml_buf *out, const char *digits, int exponent)
{
    int n = (int)strlen(digits);
    if (exponent < -4 || exponent >= 16) {
        ml_buf_add(out, digits, 1);
        if (n > 1) ml_buf_addf(out, ".%s", digits + 1);
        ml_buf_addf(out, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
        return;
    }
    if (exponent < 0) ml_buf_add_text(out, "0.");
    for (int i = -1; i > exponent; i--) ml_buf_add_char(out, '0');
    for (int i = 0; i < n || i <= exponent; i++) {
        ml_buf_add_char(out, i < n ? digits[i] : '0');
        if (i == exponent) ml_buf_add_char(out, '.');
    }
    if (n <= exponent + 1) ml_buf_add_char(out, '0');
}

/* The fewest digits that read back as the same number. */
static void add_float(ml_buf *out, double value)
{
    char text[40], digits[24] = "";
    if (signbit(value) && !isnan(value)) ml_buf_add_char(out, '-');
    value = fabs(value);
    if (isnan(value) || isinf(value)) {
        ml_buf_add_text(out, isnan(value) ? "nan" : "inf");
        return;
    }
    for (int n = 0; n < 17; n++) {
        snprintf(text, sizeof(text), "%.*e", n, value);
        if (strtod(text, NULL) == value) break;
    }
    char *e = strchr(text, 'e');
    int exponent = (int)strtol(e + 1, NULL, 10);
    size_t n_digits = 0;
    for (const char *p = text; p < e; p++) {
        if (*p != '.') digits[n_digits++] = *p;
    }
    while (n_digits > 1 && digits[n_digits - 1] == '0') n_digits--;
    digits[n_digits] = '\0';
    show_float(out, digits, exponent);
    ml_scrub(text, sizeof(text));
    ml_scrub(digits, sizeof(digits));
}

static ml_value *kept(ml_values *v, ml_value_kind kind, ml_buf *text)
{
    ml_str copy;
    ml_value *value = NULL;
    if (ml_buf_ok(text) && ml_values_copy(v, ml_buf_str(text), &copy)) {
        value = ml_value_new(v, kind, copy);
    }
    if (!ml_buf_ok(text)) ml_values_nomem(v);
    ml_buf_fini(text);
    return value;
}

static ml_value *float_value(ml_values *v, double value)
{
    ml_buf b;
    ml_buf_init(&b, 64);
    add_float(&b, value);
    return kept(v, ML_VALUE_FLOAT, &b);
}

/* sign and digits, which may be any number. */
static ml_value *int_of(ml_values *v, bool is_negative, const char *digits)
{
    ml_buf b;
    digits += strspn(digits, "0");
    ml_buf_init(&b, 0);
    if (is_negative && *digits) ml_buf_add_char(&b, '-');
    ml_buf_add_text(&b, *digits ? digits : "0");
    return kept(v, ML_VALUE_INT, &b);
}

/* ---- numbers of YAML
 * ----------------------------------------------------------------- */

/* Without its underscores. */
static void squeeze(char *text)
{
    char *to = text;
    for (; *text; text++) {
        if (*text != '_') *to++ = *text;
    }
    *to = '\0';
}

static ml_value *in_base(ml_values *v, bool is_negative, const char *digits, int base)
{
    char decimal[24];
    errno = 0;
    uintmax_t n = strtoumax(digits, NULL, base);
    if (errno) return ml_values_fail(v, 0, "a number that is too large");
    if (!*digits) return ml_values_fail(v, 0, "a number without digits");
    snprintf(decimal, sizeof(decimal), "%" PRIuMAX, n);
    return int_of(v, is_negative, decimal);
}

/* 190:20:30 counts sixties.  What follows the last colon may have a fraction. */
static ml_value *sexagesimal(ml_values *v, bool is_negative, char *text, bool is_float)
{
    double sum = 0;
    char decimal[40];
    for (char *part = text; part;) {
        char *colon = strchr(part, ':');
        if (colon) *colon = '\0';
        sum = sum * 60 + strtod(part, NULL);
        part = colon ? colon + 1 : NULL;
    }
    if (is_float) return float_value(v, is_negative ? -sum : sum);
    if (sum > 9e15) return ml_values_fail(v, 0, "a number that is too large");
    snprintf(decimal, sizeof(decimal), "%.0f", sum);
    return int_of(v, is_negative, decimal);
}

static bool has_sixties(scan *s)
{
    bool any = false;
    while (*s->p == ':') {
        s->p++;
        size_t n = strspn(s->p, DIGITS);
        if (n == 0 || n > 2 || (n == 2 && s->p[0] > '5')) return false;
        s->p += n;
        any = true;
    }
    return any;
}

typedef enum form { NO_NUMBER, BINARY, OCTAL, DECIMAL, HEX, SIXTIES } form;

/* Of an int, without its sign. */
static form int_form(const char *text)
{
    scan s = {text};
    if (strncmp(text, "0b", 2) == 0 && text[2]) {
        return text[2 + strspn(text + 2, "01_")] ? NO_NUMBER : BINARY;
    }
    if (strncmp(text, "0x", 2) == 0 && text[2]) {
        return text[2 + strspn(text + 2, "0123456789abcdefABCDEF_")] ? NO_NUMBER : HEX;
    }
    if (text[0] == '0' && text[1]) {
        return text[strspn(text, "01234567_")] ? NO_NUMBER : OCTAL;
    }
    if (span(&s, DIGITS_) == 0 || text[0] == '_') return NO_NUMBER;
    if (!*s.p) return DECIMAL;
    return has_sixties(&s) && !*s.p ? SIXTIES : NO_NUMBER;
}

static bool ends_in_exponent(scan *s)
{
    if (!*s->p) return true;
    return eat(s, "eE") && eat(s, "+-") && span(s, DIGITS) > 0 && !*s->p;
}

/* Of a float, without its sign. */
static form float_form(const char *text, bool has_sign)
{
    scan s = {text};
    if (*text == '.') {
        s.p++;
        if (has_sign || !eat(&s, DIGITS)) return NO_NUMBER;
        span(&s, DIGITS_);
        return ends_in_exponent(&s) ? DECIMAL : NO_NUMBER;
    }
    if (!eat(&s, DIGITS)) return NO_NUMBER;
    span(&s, DIGITS_);
    bool sixties = *s.p == ':';
    if (sixties && !has_sixties(&s)) return NO_NUMBER;
    if (!eat(&s, ".")) return NO_NUMBER;
    span(&s, DIGITS_);
    if (sixties) return *s.p ? NO_NUMBER : SIXTIES;
    return ends_in_exponent(&s) ? DECIMAL : NO_NUMBER;
}

static ml_value *special_float(ml_values *v, const char *text)
{
    static const char *const infinity[] = {".inf", ".Inf", ".INF", NULL};
    static const char *const nan_words[] = {".nan", ".NaN", ".NAN", NULL};
    bool has_sign = *text == '-' || *text == '+';
    if (is_one_of(text + has_sign, infinity)) {
        return float_value(v, *text == '-' ? -INFINITY : INFINITY);
    }
    return is_one_of(text, nan_words) ? float_value(v, (double)NAN) : NULL;
}

/* text may be changed.  NULL without a problem: no number. */
static ml_value *number_of(ml_values *v, char *text)
{
    bool is_negative = *text == '-', has_sign = is_negative || *text == '+';
    char *digits = text + has_sign;
    form as_float = float_form(digits, has_sign), as_int = int_form(digits);
    ml_value *special = special_float(v, text);
    if (special || (!as_float && !as_int)) return special;
    squeeze(digits);
    if (as_float == SIXTIES) return sexagesimal(v, is_negative, digits, true);
    if (as_float) return float_value(v, strtod(is_negative ? text : digits, NULL));
    switch (as_int) {
    case BINARY: return in_base(v, is_negative, digits + 2, 2);
    case HEX: return in_base(v, is_negative, digits + 2, 16);
    case OCTAL: return in_base(v, is_negative, digits, 8);
    case SIXTIES: return sexagesimal(v, is_negative, digits, false);
    default: return int_of(v, is_negative, digits);
    }
}

/* ---- dates
 * --------------------------------------------------------------------------- */

typedef struct moment {
    int year, month, day, hour, minute, second;
    char micros[8]; /* six digits, or "" */
    bool has_time, has_zone;
    int zone_minutes;
} moment;

static void read_fraction(scan *s, moment *m)
{
    size_t n = span(s, DIGITS);
    const char *digits = s->p - n;
    if (n == 0) return;
    snprintf(m->micros, sizeof(m->micros), "%.*s", n < 6 ? (int)n : 6, digits);
    for (size_t i = strlen(m->micros); i < 6; i++) m->micros[i] = '0';
    m->micros[6] = '\0';
}

static bool read_zone(scan *s, moment *m)
{
    bool is_west = *s->p == '-';
    m->has_zone = true;
    if (eat(s, "Z")) return true;
    if (!eat(s, "+-")) return false;
    int hours = number(s, 1, 2), minutes = 0;
    if (eat(s, ":")) minutes = number(s, 2, 2);
    m->zone_minutes = (is_west ? -1 : 1) * (hours * 60 + minutes);
    return hours >= 0 && minutes >= 0;
}

static bool read_time(scan *s, moment *m)
{
    m->has_time = true;
    if (!eat(s, "Tt") && span(s, " \t") == 0) return false;
    m->hour = number(s, 1, 2);
    if (m->hour < 0 || !eat(s, ":")) return false;
    m->minute = number(s, 2, 2);
    if (m->minute < 0 || !eat(s, ":")) return false;
    m->second = number(s, 2, 2);
    if (m->second < 0) return false;
    if (eat(s, ".")) read_fraction(s, m);
    bool has_blank = span(s, " \t") > 0;
    if (!*s->p) return !has_blank;
    return read_zone(s, m);
}

static bool read_moment(const char *text, moment *m)
{
    scan s = {text};
    *m = (moment){.year = number(&s, 4, 4)};
    if (m->year < 0 || !eat(&s, "-")) return false;
    const char *month = s.p;
    m->month = number(&s, 1, 2);
    if (m->month < 0 || !eat(&s, "-")) return false;
    m->day = number(&s, 1, 2);
    if (m->day < 0) return false;
    if (!*s.p) return s.p - month == 5; /* a date alone has two digits each */
    return read_time(&s, m) && !*s.p;
}

static bool is_in_calendar(const moment *m)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = m->year % 4 == 0 && (m->year % 100 != 0 || m->year % 400 == 0);
    if (m->year < 1 || m->month < 1 || m->month > 12 || m->day < 1) return false;
    if (m->day > days[m->month - 1] + (m->month == 2 && is_leap)) return false;
    return m->hour < 24 && m->minute < 60 && m->second < 60 &&
           abs(m->zone_minutes) < 24 * 60;
}

static ml_value *moment_value(ml_values *v, const moment *m)
{
    if (!is_in_calendar(m)) {
        return ml_values_fail(v, 0, "a date that is in no calendar: quote it");
    }
    ml_buf b;
    ml_buf_init(&b, 64);
    ml_buf_addf(&b, "%04d-%02d-%02d", m->year, m->month, m->day);
    if (m->has_time) {
        ml_buf_addf(&b, " %02d:%02d:%02d", m->hour, m->minute, m->second);
    }
    if (m->micros[0] && strcmp(m->micros, "000000") != 0) {
        ml_buf_addf(&b, ".%s", m->micros);
    }
    int zone = abs(m->zone_minutes);
    if (m->has_zone) {
        ml_buf_addf(&b, "%c%02d:%02d", m->zone_minutes < 0 ? '-' : '+', zone / 60,
                    zone % 60);
    }
    return kept(v, ML_VALUE_OTHER, &b);
}

/* ---- all of them
 * --------------------------------------------------------------------- */

/* What is longer than this is taken for a text. */
enum { LONGEST = 400 };

static ml_value *of_short(ml_values *v, char *text, ml_str whole)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const yes[] = {"yes",  "Yes", "YES", "true", "True",
                                      "TRUE", "on",  "On",  "ON",   NULL};
    static const char *const no[] = {"no",    "No",  "NO",  "false", "False",
                                     "FALSE", "off", "Off", "OFF",   NULL};
    moment m;
    if (is_one_of(text, nulls)) return ml_value_new(v, ML_VALUE_NULL, ML_LIT("None"));
    if (is_one_of(text, yes)) return ml_value_new(v, ML_VALUE_BOOL, ML_LIT("True"));
    if (is_one_of(text, no)) return ml_value_new(v, ML_VALUE_BOOL, ML_LIT("False"));
    if (strcmp(text, "=") == 0 || strcmp(text, "<<") == 0) {
        return ml_values_fail(v, 0,
                              "a plain = or <<, which YAML 1.1 keeps for itself: "
                              "quote it");
    }
    if (strchr("+-.0123456789", *text)) {
        if (read_moment(text, &m)) return moment_value(v, &m);
        ml_value *value = number_of(v, text);
        if (value || v->problem) return value;
    }
    return ml_value_new(v, ML_VALUE_TEXT, whole);
}

typedef ml_value *reader(ml_values *v, char *text, ml_str whole);

/* A number of JSON. */
static ml_value *of_number(ml_values *v, char *text, ml_str whole)
{
    (void)whole;
    if (strpbrk(text, ".eE")) return float_value(v, strtod(text, NULL));
    return int_of(v, *text == '-', text + (*text == '-'));
}

/* On a copy, and in the C locale: a decimal point, whatever the host has set. */
static ml_value *read_with(reader *read, ml_values *v, ml_str text)
{
    char copy[LONGEST];
    locale_t c = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    if (!c) return ml_values_nomem(v);
    locale_t before = uselocale(c);
    if (text.n) memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    ml_value *value = read(v, copy, text);
    ml_scrub(copy, sizeof(copy));
    uselocale(before);
    freelocale(c);
    return value;
}

ml_value *ml_value_of_plain(ml_values *v, ml_str text)
{
    if (text.n >= LONGEST || ml_str_find(text, '\0') < text.n) {
        return ml_value_new(v, ML_VALUE_TEXT, text);
    }
    return read_with(of_short, v, text);
}

ml_value *ml_value_of_number(ml_values *v, ml_str text)
{
    if (text.n >= LONGEST) return ml_values_fail(v, 0, "a number that is too long");
    return read_with(of_number, v, text);
}
