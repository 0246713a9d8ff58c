/* entra_errors.c - what a refused token request means, and what to try.
 *
 * The body is {"error": "invalid_client", "error_description": "AADSTS7000215: ...",
 * "error_codes": [7000215], "trace_id": "..."}.  Only the codes and the trace id leave
 * this file: the description may quote what was sent. */
#include "azure/entra_errors.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "io/json.h"

typedef struct entra_error {
    uint64_t number; /* AADSTS..., 0 when unknown */
    ml_str word;     /* the OAuth code, raw; "" when unknown */
    ml_str trace_id;
} entra_error;

typedef struct hint {
    uint32_t number;
    const char *word;
    bool is_transient;
    const char *text;
} hint;

/* By number; then, for what has none of these numbers, by OAuth code. */
static const hint hints[] = {
    {7000215, NULL, false,
     "the client secret is wrong (is it the secret's id instead of "
     "its value?); copy the value, or make a new secret for the app registration"},
    {7000222, NULL, false,
     "the client secret has expired; make a new one for the app "
     "registration and replace it here"},
    {7000218, NULL, false, "no client secret arrived; set it (AZURE_CLIENT_SECRET)"},
    {700016, NULL, false,
     "this tenant does not know the app; check the client id and the "
     "tenant id (an app's object id is not its client id)"},
    {7000112, NULL, false, "the app is disabled in this tenant; enable it there"},
    {90002, NULL, false,
     "there is no such tenant; check the tenant id, and that the "
     "authority is that of the tenant's cloud"},
    {900023, NULL, false,
     "the tenant is neither a GUID nor a known domain; check the "
     "tenant id"},
    {90014, NULL, false,
     "a field of the request is missing; check client id and secret"},
    {900144, NULL, false,
     "a field of the request is missing; check client id and secret"},
    {70011, NULL, false, "the scope is invalid; check the configured audience"},
    {1002012, NULL, false, "the scope is invalid; check the configured audience"},
    {500011, NULL, false,
     "the tenant does not know the audience; is the vault in another "
     "cloud than the authority?"},
    {700024, NULL, false,
     "the assertion is outside its time range; check this machine's "
     "clock, and that the federated token file is renewed"},
    {700027, NULL, false,
     "the assertion's signature was refused; is the certificate "
     "registered with the app?"},
    {70021, NULL, false,
     "no federated credential of the app matches the token; compare "
     "issuer, subject and audience"},
    {700213, NULL, false,
     "no federated credential of the app matches the token; compare "
     "issuer, subject and audience"},
    {53003, NULL, false,
     "a conditional access rule blocks it; ask the tenant's "
     "administrator"},
    {50196, NULL, false,
     "the same request came too often; stop asking, then fix the cause"},
    {90006, NULL, true, "it is overloaded"},
    {90012, NULL, true, "it took too long"},
    {90024, NULL, true, "it is busy"},
    {90033, NULL, true, "it has a passing fault"},
    {90055, NULL, true, "it gets too many requests"},
    {0, "temporarily_unavailable", true, "it has a passing fault"},
    {0, "server_error", true, "it has a passing fault"},
    {0, "invalid_client", false, "client id or client secret is wrong"},
    {0, "unauthorized_client", false,
     "the app may not ask for this; check the client id "
     "and the tenant id"},
    {0, "invalid_scope", false, "the scope is invalid; check the configured audience"},
    {0, "invalid_resource", false,
     "the audience is unknown; check the configured audience "
     "and the cloud"},
    {0, "invalid_request", false,
     "a field of the request is missing or wrong; check the "
     "tenant id and the client id"},
    {0, "invalid_grant", false,
     "the grant was refused; ask the tenant's administrator"},
    {0, "interaction_required", false,
     "it wants a person to sign in; ask the tenant's "
     "administrator"},
};

static const hint *hint_of(const entra_error *x)
{
    for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
        const hint *h = &hints[i];
        if (h->number ? h->number == x->number
                      : ml_str_eq(x->word, ml_str_of(h->word))) {
            return h;
        }
    }
    return NULL;
}

/* The number of a text that begins "AADSTS7000215: ". */
static uint64_t number_in(ml_str text)
{
    if (!ml_str_starts(text, ML_LIT("AADSTS"))) return 0;
    size_t n = 6;
    while (n < text.n && text.p[n] >= '0' && text.p[n] <= '9') n++;
    uint64_t number = 0;
    if (n > 16 || !ml_str_to_u64((ml_str){text.p + 6, n - 6}, &number)) return 0;
    return number;
}

static void read_string(ml_json *j, ml_str *raw)
{
    if (ml_json_peek(j) == ML_JSON_STRING) {
        ml_json_read_raw_string(j, raw);
    } else {
        ml_json_skip(j);
    }
}

/* The first of error_codes. */
static void read_codes(ml_json *j, uint64_t *number)
{
    if (ml_json_peek(j) != ML_JSON_ARRAY || !ml_json_enter_array(j)) return;
    while (ml_json_next_item(j)) {
        ml_str digits;
        if (*number != 0 || ml_json_peek(j) != ML_JSON_NUMBER) continue;
        if (ml_json_read_number(j, &digits)) ml_str_to_u64(digits, number);
    }
}

static entra_error read_error(ml_str body)
{
    entra_error x = {0};
    ml_json j;
    ml_json_init(&j, body);
    ml_str key, description = {0};
    uint64_t listed = 0;
    if (ml_json_peek(&j) != ML_JSON_OBJECT || !ml_json_enter_object(&j)) return x;
    while (ml_json_next_key(&j, &key)) {
        if (ml_json_key_is(key, "error")) {
            read_string(&j, &x.word);
        } else if (ml_json_key_is(key, "error_description")) {
            read_string(&j, &description);
        } else if (ml_json_key_is(key, "error_codes")) {
            read_codes(&j, &listed);
        } else if (ml_json_key_is(key, "trace_id")) {
            read_string(&j, &x.trace_id);
        }
    }
    x.number = number_in(description);
    if (x.number == 0) x.number = listed;
    return x;
}

/* Is it a plain word such as invalid_client, and not something that was echoed? */
static bool is_word(ml_str s, size_t max)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!ml_is_alnum(c) && c != '_' && c != '-') return false;
    }
    return s.n > 0 && s.n <= max;
}

static void note(const entra_error *x, int status, ml_err *e)
{
    if (!e) return;
    e->http_status = status;
    e->service_code[0] = '\0';
    if (x->number) {
        snprintf(e->service_code, sizeof(e->service_code), "AADSTS%llu",
                 (unsigned long long)x->number);
    } else if (is_word(x->word, 40)) {
        ml_copy_printable(e->service_code, sizeof(e->service_code), x->word.p,
                          x->word.n);
    }
    if (e->request_id[0] == '\0' && is_word(x->trace_id, 40)) {
        ml_copy_printable(e->request_id, sizeof(e->request_id), x->trace_id.p,
                          x->trace_id.n);
    }
}

static int fail_refused(const char *code, const hint *h, int status,
                        const ml_entra_asked *q, ml_err *e)
{
    const char *why = h ? h->text
                        : "it gave no reason that is known here; look the code "
                          "up, or quote the request id to the administrator";
    char http[24];
    snprintf(http, sizeof(http), "HTTP %d", status);
    return ml_fail(e, ML_EUNAUTHENTICATED,
                   "%s: %s. Asked %.60s for tenant %.60s, client %.40s",
                   code[0] ? code : http, why, q->host, q->tenant, q->client_id);
}

int ml_entra_fail(int status, ml_str body, const ml_entra_asked *q, ml_err *e)
{
    ml_err scratch = {0};
    if (!e) e = &scratch;
    entra_error x = read_error(body);
    const hint *h = hint_of(&x);
    note(&x, status, e);
    const char *code = e->service_code;
    const char *blank = code[0] ? ", " : "";
    if (status == 429) {
        return ml_fail(e, ML_ETHROTTLED,
                       "the token endpoint %.80s asks to slow down (HTTP "
                       "429%s%s); ask less often",
                       q->host, blank, code);
    }
    if (status == 408 || status >= 500 || (h && h->is_transient)) {
        return ml_fail(e, ML_EUNAVAILABLE,
                       "the token endpoint %.80s gave no token (HTTP "
                       "%d%s%s): %s; try again later",
                       q->host, status, blank, code, h ? h->text : "it has a fault");
    }
    bool is_refusal = status == 400 || status == 401 || status == 403;
    if (is_refusal || (status >= 400 && code[0])) {
        return fail_refused(code, h, status, q, e);
    }
    return ml_fail(
        e, ML_EINVALID,
        "%.80s answered the token request with HTTP %d: is it an "
        "Entra authority? check AZURE_AUTHORITY_HOST, the tenant and proxies",
        q->host, status);
}
