/* faults.c - parsing fault specifications, and deciding when one strikes. */
#include "devvault/faults.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "devvault/text.h"

/* What a kind takes after its '='. */
typedef enum value_form {
    NOTHING,
    MILLIS,
    SECONDS,
    HTTP_STATUS,
    WORD,
    TEXT
} value_form;

/* Who it may strike. */
enum { VAULT = 1, TOKEN = 2 };

typedef struct kind_row {
    const char *name;
    ml_dv_fault_kind kind;
    int who;
    value_form form;
    bool has_default;  /* the value may be left out */
    int number;        /* the default */
    const char *words; /* of a WORD, each between blanks */
} kind_row;

static const kind_row kinds[] = {
    {"delay", ML_DV_DELAY, VAULT | TOKEN, MILLIS, false, 0, NULL},
    {"reset", ML_DV_RESET, VAULT | TOKEN, NOTHING, false, 0, NULL},
    {"lost", ML_DV_LOST, VAULT | TOKEN, NOTHING, false, 0, NULL},
    {"truncate", ML_DV_TRUNCATE, VAULT | TOKEN, NOTHING, false, 0, NULL},
    {"html", ML_DV_HTML, VAULT | TOKEN, HTTP_STATUS, true, 502, NULL},
    {"redirect", ML_DV_REDIRECT, VAULT | TOKEN, TEXT, true, 0, NULL},
    {"garbage", ML_DV_GARBAGE, VAULT | TOKEN, NOTHING, false, 0, NULL},
    {"big", ML_DV_BIG, VAULT | TOKEN, NOTHING, false, 0, NULL},
    {"deep", ML_DV_DEEP, VAULT | TOKEN, NOTHING, false, 0, NULL},
    {"chunked", ML_DV_CHUNKED, VAULT | TOKEN, NOTHING, false, 0, NULL},
    {"empty-page", ML_DV_EMPTY_PAGE, VAULT, NOTHING, false, 0, NULL},
    {"bad-next-link", ML_DV_BAD_NEXT_LINK, VAULT, TEXT, false, 0, NULL},
    {"next-link", ML_DV_NEXT_LINK, VAULT, WORD, false, 0, " null missing empty "},
    {"ints-as-strings", ML_DV_INTS_AS_STRINGS, VAULT, NOTHING, false, 0, NULL},
    {"forbid", ML_DV_FORBID, VAULT, WORD, false, 0,
     " rbac policy firewall accessdenied connection "},
    {"disabled", ML_DV_DISABLED, VAULT, TEXT, false, 0, NULL},
    {"limbo", ML_DV_LIMBO, VAULT, MILLIS, false, 0, NULL},
    {"challenge", ML_DV_CHALLENGE, VAULT, WORD, false, 0, " scope resource "},
    {"http-401-once", ML_DV_401_ONCE, VAULT, NOTHING, false, 0, NULL},
    {"claims-challenge", ML_DV_CLAIMS_CHALLENGE, VAULT, NOTHING, false, 0, NULL},
    {"lifetime", ML_DV_TOKEN_LIFETIME, TOKEN, SECONDS, false, 0, NULL},
    {"tenant", ML_DV_TOKEN_TENANT, TOKEN, TEXT, false, 0, NULL},
    {"expires-in-string", ML_DV_EXPIRES_IN_STRING, TOKEN, NOTHING, false, 0, NULL},
};

static bool copy_text(char *out, size_t size, ml_str s)
{
    if (s.n == 0 || s.n >= size) return false;
    memcpy(out, s.p, s.n);
    out[s.n] = '\0';
    return true;
}

static bool read_number(ml_str s, uint64_t most, int *out)
{
    uint64_t v;
    if (!ml_str_to_u64(s, &v) || v > most) return false;
    *out = (int)v;
    return true;
}

/* "200ms", "2s" or a bare number of milliseconds. */
static bool read_millis(ml_str s, int *out)
{
    if (ml_str_ends(s, ML_LIT("ms")))
        return read_number((ml_str){s.p, s.n - 2}, 600000, out);
    if (!ml_str_ends(s, ML_LIT("s"))) return read_number(s, 600000, out);
    if (!read_number((ml_str){s.p, s.n - 1}, 600, out)) return false;
    *out *= 1000;
    return true;
}

static bool read_status(ml_str s, int *out)
{
    return s.n == 3 && read_number(s, 599, out) && *out >= 400;
}

/* 0..1, digits and one point only: nothing that depends on the locale. */
static bool read_chance(ml_str s, double *out)
{
    double v = 0, unit = 1;
    bool after_point = false, any = false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '.' && !after_point) {
            after_point = true;
            continue;
        }
        if (s.p[i] < '0' || s.p[i] > '9') return false;
        any = true;
        if (after_point) unit /= 10;
        v = after_point ? v + unit * (s.p[i] - '0') : v * 10 + (s.p[i] - '0');
    }
    if (!any || v > 1) return false;
    *out = v;
    return true;
}

static bool is_among(const char *words, ml_str word)
{
    for (const char *at = words; *at == ' ' && at[1]; at = strchr(at + 1, ' ')) {
        ml_str candidate = {at + 1, strcspn(at + 1, " ")};
        if (ml_str_eq(candidate, word)) return true;
    }
    return false;
}

static bool read_value(ml_dv_fault *f, const kind_row *row, ml_str value)
{
    switch (row->form) {
    case NOTHING: return false;
    case MILLIS: return read_millis(value, &f->number);
    case SECONDS: return read_number(value, 1000000, &f->number);
    case HTTP_STATUS: return read_status(value, &f->number);
    case WORD:
        if (!is_among(row->words, value)) return false;
        return copy_text(f->text, sizeof(f->text), value);
    case TEXT: return copy_text(f->text, sizeof(f->text), value);
    }
    return false;
}

static const char operations[] =
    " get set update delete list list-versions list-deleted get-deleted recover purge "
    "backup restore ";

static bool read_modifier(ml_dv_fault *f, ml_str m)
{
    size_t eq = ml_str_find(m, '=');
    ml_str name = {m.p, eq};
    if (eq == m.n) {
        if (ml_str_eq(m, ML_LIT("always"))) return true;
        return read_chance(m, &f->chance);
    }
    ml_str value = {m.p + eq + 1, m.n - eq - 1};
    int n;
    if (ml_str_eq(name, ML_LIT("op")))
        return is_among(operations, value) && copy_text(f->op, sizeof(f->op), value);
    if (ml_str_eq(name, ML_LIT("for"))) return read_millis(value, &f->for_ms);
    if (!read_number(value, 100000000, &n)) return false;
    if (ml_str_eq(name, ML_LIT("first"))) {
        f->first = n;
    } else if (ml_str_eq(name, ML_LIT("retry-after"))) {
        f->retry_after_s = n;
    } else if (ml_str_eq(name, ML_LIT("retry-after-ms"))) {
        f->retry_after_ms = n;
    } else if (ml_str_eq(name, ML_LIT("retry-after-date"))) {
        f->retry_after_date_s = n;
    } else {
        return false;
    }
    return true;
}

static int read_modifiers(ml_dv_fault *f, ml_str rest, const char *spec, ml_err *e)
{
    for (;;) {
        size_t n = ml_str_find(rest, ',');
        ml_str m = {rest.p, n};
        if (!read_modifier(f, m)) {
            return ml_fail(
                e, ML_EUSAGE,
                "fault '%s': '%.*s' is no modifier; use 0.2, first=N, for=5s, always, "
                "retry-after=S, retry-after-ms=N, retry-after-date=S, op=NAME with one "
                "of:%s",
                spec, (int)m.n, m.p, operations);
        }
        if (n == rest.n) return 0;
        rest = (ml_str){rest.p + n + 1, rest.n - n - 1};
    }
}

static const kind_row *row_of(ml_str name, bool is_token)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (!(kinds[i].who & (is_token ? TOKEN : VAULT))) continue;
        if (ml_str_eq(name, ml_str_of(kinds[i].name))) return &kinds[i];
    }
    return NULL;
}

/* What follows the kind: "=VALUE", ":MODIFIERS", both, or nothing. */
static int read_rest(ml_dv_fault *f, const kind_row *row, ml_str rest, const char *spec,
                     ml_err *e)
{
    f->kind = row->kind;
    f->number = row->number;
    bool has_value = rest.n > 0 && rest.p[0] == '=';
    if (!has_value && row->form != NOTHING && !row->has_default) {
        return ml_fail(e, ML_EUSAGE, "fault '%s' needs a value: %s=...", spec,
                       row->name);
    }
    if (has_value) {
        rest = (ml_str){rest.p + 1, rest.n - 1};
        /* a URL or a name may hold ':'; it takes all */
        size_t end = row->form == TEXT ? rest.n : ml_str_find(rest, ':');
        if (!read_value(f, row, (ml_str){rest.p, end})) {
            return ml_fail(e, ML_EUSAGE, "fault '%s': bad value for '%s'%s%s", spec,
                           row->name, row->words ? ", one of:" : "",
                           row->words ? row->words : "");
        }
        rest = (ml_str){rest.p + end, rest.n - end};
    }
    if (rest.n == 0) return 0;
    rest = (ml_str){rest.p + 1, rest.n - 1}; /* the ':' */
    if (row->kind == ML_DV_FORBID) {
        if (copy_text(f->glob, sizeof(f->glob), rest)) return 0;
        return ml_fail(e, ML_EUSAGE, "fault '%s': bad name pattern", spec);
    }
    return read_modifiers(f, rest, spec, e);
}

int ml_dv_fault_parse(ml_dv_fault *out, const char *spec, ml_err *e)
{
    static const kind_row status_row = {
        "status", ML_DV_STATUS, VAULT | TOKEN, NOTHING, false, 0, NULL};
    ml_dv_fault f = {.chance = 1,
                     .first = -1,
                     .retry_after_s = -1,
                     .retry_after_ms = -1,
                     .retry_after_date_s = -1};
    ml_str s = ml_str_of(spec);
    f.is_token = ml_str_starts(s, ML_LIT("token-"));
    if (f.is_token) s = (ml_str){s.p + 6, s.n - 6};
    size_t n = strcspn(s.p, "=:");
    ml_str name = {s.p, n}, rest = {s.p + n, s.n - n};
    int status = 0;
    bool is_status = read_status(name, &status);
    const kind_row *row = is_status ? &status_row : row_of(name, f.is_token);
    if (!row) {
        return ml_fail(e, ML_EUSAGE,
                       "unknown fault '%s'; examples: 429:0.2, 503:first=3, "
                       "delay=200ms, reset:0.05, token-500:first=2",
                       spec);
    }
    int rc = read_rest(&f, row, rest, spec, e);
    if (rc) return rc;
    if (is_status) f.number = status;
    if (f.kind == ML_DV_401_ONCE && f.first < 0) f.first = 1;
    *out = f;
    return 0;
}

int ml_dv_faults_init(ml_dv_faults *fs, const char *const *specs, size_t n,
                      uint64_t seed, ml_err *e)
{
    *fs = (ml_dv_faults){.random = seed};
    if (fs->random == 0) ml_dv_random_bytes(&fs->random, sizeof(fs->random));
    fs->random |= 1; /* the generator's state may not be 0 */
    if (n == 0) return 0;
    fs->items = calloc(n, sizeof(*fs->items));
    if (!fs->items) return ml_fail(e, ML_ENOMEM, "out of memory");
    fs->n = n;
    for (size_t i = 0; i < n; i++) {
        int rc = ml_dv_fault_parse(&fs->items[i], specs[i], e);
        if (rc == 0) continue;
        ml_dv_faults_fini(fs);
        return rc;
    }
    return 0;
}

void ml_dv_faults_fini(ml_dv_faults *fs)
{
    free(fs->items);
    *fs = (ml_dv_faults){.random = 1};
}

/* xorshift64*: small, and the same on every machine for the same seed. */
static double roll(ml_dv_faults *fs)
{
    uint64_t x = fs->random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    fs->random = x;
    return (double)((x * UINT64_C(2685821657736338717)) >> 11) / 9007199254740992.0;
}

/* From its first strike on; so whoever tests need not hurry to begin. */
static bool is_over(const ml_dv_fault *f)
{
    return f->for_ms > 0 && f->struck > 0 &&
           ml_mono_ms(&ml_system_clock) - f->began_ms >= f->for_ms;
}

bool ml_dv_fault_strikes(ml_dv_faults *fs, ml_dv_fault *f, bool is_token,
                         const char *op)
{
    if (f->is_token != is_token) return false;
    if (f->op[0] && strcmp(f->op, op) != 0) return false;
    if (f->first >= 0 && f->struck >= f->first) return false;
    if (is_over(f)) return false;
    if (f->chance < 1 && roll(fs) >= f->chance) return false;
    if (f->struck++ == 0) f->began_ms = ml_mono_ms(&ml_system_clock);
    return true;
}

ml_dv_fault *ml_dv_faults_of(ml_dv_faults *fs, ml_dv_fault_kind kind, bool is_token,
                             const char *op)
{
    for (size_t i = 0; i < fs->n; i++) {
        ml_dv_fault *f = &fs->items[i];
        if (f->kind == kind && ml_dv_fault_strikes(fs, f, is_token, op)) return f;
    }
    return NULL;
}
