/* entra.c - Microsoft Entra ID token requests: build, parse, and when to renew. */
#include "azure/entra.h"

#include "azure/entra_errors.h"
#include "base/err.h"
#include "io/form.h"
#include "io/json.h"

enum {
    TOKEN_MAX_BYTES = 64 * 1024,
    HALF_FROM_S = 2 * 60 * 60, /* lifetimes from here on are renewed at half */
    RENEW_MARGIN_S = 300,
    USABLE_MARGIN_S = 120
};

static const int64_t lifetime_max_s = 2147483647;
static const int64_t year_9999_s = 253402300799;

int ml_entra_build(const ml_entra_request *q, ml_buf *url, ml_buf *form, ml_err *e)
{
    bool is_adfs = ml_str_ieq(ml_str_of(q->tenant), ML_LIT("adfs"));
    ml_buf_add_text(url, q->authority);
    ml_buf_add_char(url, '/');
    ml_form_escape(url, ml_str_of(q->tenant));
    ml_buf_add_text(url, is_adfs ? "/oauth2/token" : "/oauth2/v2.0/token");

    ml_form_add(form, "client_id", ml_str_of(q->client_id));
    ml_form_add(form, "scope", ml_str_of(q->audience));
    if (!is_adfs) ml_form_escape(form, ML_LIT("/.default"));
    ml_form_add(form, "client_secret", ml_secret_value(q->client_secret));
    ml_form_add(form, "grant_type", ML_LIT("client_credentials"));
    if (q->claims.n > 0) ml_form_add(form, "claims", q->claims);
    if (ml_buf_ok(url) && ml_buf_ok(form)) return 0;
    return ml_fail(e, ML_ENOMEM, "out of memory for a token request");
}

typedef struct answer {
    ml_str token; /* raw */
    bool is_bearer;
    bool has_in;
    bool has_on;
    int64_t in_s;
    int64_t on_s;
    int64_t refresh_s;
} answer;

/* A number of 0..max, also as a decimal string; null counts as absent. */
static bool read_time(ml_json *j, int64_t max, bool *has, int64_t *out)
{
    int64_t v = 0;
    if (ml_json_read_null(j)) return true;
    if (!ml_json_read_int(j, &v) || v < 0 || v > max) return false;
    *has = true;
    *out = v;
    return true;
}

/* token_type has been seen as a number: only another word than Bearer refuses. */
static bool read_type(ml_json *j, answer *a)
{
    ml_str raw;
    if (ml_json_peek(j) != ML_JSON_STRING) return ml_json_skip(j);
    if (!ml_json_read_raw_string(j, &raw)) return false;
    a->is_bearer = ml_str_ieq(raw, ML_LIT("Bearer"));
    return true;
}

/* refresh_in only helps: what cannot be used is as good as none. */
static bool read_refresh(ml_json *j, answer *a)
{
    ml_json before = *j;
    bool has = false;
    if (read_time(j, lifetime_max_s, &has, &a->refresh_s)) return true;
    *j = before;
    return ml_json_skip(j);
}

static bool read_member(ml_json *j, ml_str key, answer *a)
{
    if (ml_json_key_is(key, "access_token"))
        return ml_json_read_raw_string(j, &a->token);
    if (ml_json_key_is(key, "token_type")) return read_type(j, a);
    if (ml_json_key_is(key, "expires_in")) {
        return read_time(j, lifetime_max_s, &a->has_in, &a->in_s);
    }
    if (ml_json_key_is(key, "expires_on")) {
        return read_time(j, year_9999_s, &a->has_on, &a->on_s);
    }
    if (ml_json_key_is(key, "refresh_in")) return read_refresh(j, a);
    return ml_json_skip(j);
}

static bool read_answer(ml_str body, answer *a)
{
    *a = (answer){.is_bearer = true};
    ml_json j;
    ml_str key;
    ml_json_init(&j, body);
    if (!ml_json_enter_object(&j)) return false;
    while (ml_json_next_key(&j, &key)) {
        if (!read_member(&j, key, a)) return false;
    }
    return ml_json_end(&j);
}

/* A token goes into a header line: visible ASCII, nothing else. */
static bool is_header_safe(ml_str token)
{
    for (size_t i = 0; i < token.n; i++) {
        if (token.p[i] <= ' ' || token.p[i] > '~') return false;
    }
    return token.n > 0;
}

static int fail_token(const char *host, const char *why, ml_err *e)
{
    return ml_fail(e, ML_EINVALID,
                   "the token endpoint %.80s answered 200, but %s: check "
                   "AZURE_AUTHORITY_HOST and proxies in between",
                   host, why);
}

/* From the body straight into a scrubbing buffer and the secret. */
static int take_token(ml_str raw, const char *host, ml_secret **out, ml_err *e)
{
    if (raw.n > TOKEN_MAX_BYTES) return fail_token(host, "the token is too long", e);
    ml_buf b;
    ml_buf_init(&b, TOKEN_MAX_BYTES);
    int rc = 0;
    bool good = ml_json_unescape(raw, &b);
    if (!ml_buf_ok(&b)) {
        rc = ml_fail(e, ML_ENOMEM, "out of memory for a token");
    } else if (!good || !is_header_safe(ml_buf_str(&b))) {
        rc = fail_token(host, "the token cannot be used", e);
    } else if (!(*out = ml_secret_of_bytes(ml_buf_str(&b)))) {
        rc = ml_fail(e, ML_ENOMEM, "out of memory for a token");
    }
    ml_buf_fini(&b);
    return rc;
}

static int64_t lifetime_of(const answer *a, int64_t wall_s)
{
    if (a->has_in) return a->in_s;
    if (a->on_s <= wall_s) return 0;
    int64_t left = wall_s < 0 ? a->on_s : a->on_s - wall_s;
    return left < lifetime_max_s ? left : lifetime_max_s;
}

int ml_entra_parse(int status, ml_str body, const char *host, const char *tenant,
                   const char *client_id, int64_t wall_s, ml_token *out, ml_err *e)
{
    if (status != 200) {
        ml_entra_asked q = {host, tenant, client_id};
        return ml_entra_fail(status, body, &q, e);
    }
    if (e) e->http_status = status;
    answer a;
    if (!read_answer(body, &a)) return fail_token(host, "not with a token as JSON", e);
    if (a.token.n == 0) return fail_token(host, "without an access token", e);
    if (!a.is_bearer)
        return fail_token(host, "with a token that is not a Bearer one", e);
    if (!a.has_in && !a.has_on)
        return fail_token(host, "without the token's lifetime", e);
    ml_secret *secret = NULL;
    int rc = take_token(a.token, host, &secret, e);
    if (rc) return rc;
    *out = (ml_token){secret, lifetime_of(&a, wall_s), a.refresh_s};
    return 0;
}

int64_t ml_token_renew_after_s(const ml_token *t)
{
    int64_t half = t->lifetime_s / 2;
    if (t->refresh_s > 0) return t->refresh_s;
    if (t->lifetime_s >= HALF_FROM_S) return half;
    int64_t late = t->lifetime_s - RENEW_MARGIN_S;
    return late > half ? late : half;
}

int64_t ml_token_usable_s(const ml_token *t)
{
    int64_t half = t->lifetime_s / 2;
    int64_t late = t->lifetime_s - USABLE_MARGIN_S;
    return late > half ? late : half;
}
