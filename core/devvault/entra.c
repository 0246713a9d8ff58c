/* entra.c - the token endpoint.
 *
 *     POST /{tenant}/oauth2/v2.0/token     grant, client, secret, scope
 *     POST /{tenant}/oauth2/token          the same with resource instead of scope
 *
 * The metadata that clients read first is in entra_metadata.c.
 *
 * Refusals are Entra's: its HTTP statuses, OAuth words and AADSTS numbers. */
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"
#include "devvault/auth.h"
#include "devvault/entra.h"
#include "devvault/misbehave.h"
#include "devvault/server.h"
#include "io/json.h"

bool ml_dv_entra_refuse(ml_dv_exchange *x, int status, const char *word, int number,
                        const char *sentence)
{
    char trace[ML_DV_GUID_BYTES], correlation[ML_DV_GUID_BYTES], stamp[32];
    ml_dv_random_guid(trace);
    ml_dv_random_guid(correlation);
    time_t now = time(NULL);
    struct tm tm;
    strftime(stamp, sizeof(stamp), "%Y-%m-%d %H:%M:%SZ", gmtime_r(&now, &tm));
    ml_buf text;
    ml_buf_init(&text, 0);
    ml_buf_addf(&text, "AADSTS%d: %s Trace ID: %s Correlation ID: %s Timestamp: %s",
                number, sentence, trace, correlation, stamp);
    ml_buf_clear(&x->out);
    ml_buf_addf(&x->out, "{\"error\":\"%s\",\"error_description\":", word);
    if (!ml_json_write_string(&x->out, ml_buf_str(&text)))
        ml_buf_add_text(&x->out, "\"\"");
    ml_buf_addf(&x->out,
                ",\"error_codes\":[%d],\"timestamp\":\"%s\",\"trace_id\":\"%s\","
                "\"correlation_id\":\"%s\",\"error_uri\":\"https://%s/error?code=%d\"}",
                number, stamp, trace, correlation, x->host, number);
    ml_buf_fini(&text);
    ml_dv_answer(x, status);
    return false;
}

/* Answers false. */
static bool refuse(ml_dv_exchange *x, int status, const char *word, int number,
                   const char *sentence)
{
    return ml_dv_entra_refuse(x, status, word, number, sentence);
}

static bool is_guid(ml_str s)
{
    if (s.n != 36) return false;
    for (size_t i = 0; i < s.n; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? s.p[i] != '-' : !ml_dv_is_hex((ml_str){s.p + i, 1})) return false;
    }
    return true;
}

static bool is_domain(ml_str s)
{
    if (ml_str_find(s, '.') == s.n) return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = (char)(s.p[i] | 0x20);
        bool plain = (c >= 'a' && c <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9') ||
                     s.p[i] == '.' || s.p[i] == '-';
        if (!plain) return false;
    }
    return true;
}

bool ml_dv_entra_check_tenant(ml_dv_exchange *x, ml_str tenant)
{
    char shown[128], text[256];
    if (ml_str_ieq(tenant, ml_str_of(x->dv->config.tenant_id))) return true;
    ml_copy_printable(shown, sizeof(shown), tenant.p, tenant.n);
    bool is_word = ml_str_eq(tenant, ML_LIT("common")) ||
                   ml_str_eq(tenant, ML_LIT("organizations")) ||
                   ml_str_eq(tenant, ML_LIT("consumers"));
    if (!is_guid(tenant) && !is_domain(tenant) && !is_word) {
        snprintf(text, sizeof(text),
                 "Specified tenant identifier '%s' is neither a valid DNS "
                 "name, nor a valid external domain.",
                 shown);
        return refuse(x, 400, "invalid_request", 900023, text);
    }
    snprintf(text, sizeof(text),
             "Tenant '%s' not found. Check to make sure you have the "
             "correct tenant ID and are signing into the correct cloud.",
             shown);
    return refuse(x, 400, "invalid_request", 90002, text);
}

/* Reads a parameter that must be there. */
static bool need(ml_dv_exchange *x, const char *name, ml_buf *out)
{
    if (ml_dv_form_get(ml_buf_str(&x->body), name, out) && out->len > 0) return true;
    char text[160];
    snprintf(text, sizeof(text),
             "The request body must contain the following parameter: "
             "'%s'.",
             name);
    return refuse(x, 400, "invalid_request", 900144, text);
}

static bool check_grant(ml_dv_exchange *x, ml_buf *b)
{
    if (!need(x, "grant_type", b)) return false;
    if (ml_str_eq(ml_buf_str(b), ML_LIT("client_credentials"))) return true;
    return refuse(x, 400, "unsupported_grant_type", 70003,
                  "The app requested an unsupported grant type.");
}

static bool check_client(ml_dv_exchange *x, ml_buf *b)
{
    if (!need(x, "client_id", b)) return false;
    if (ml_str_ieq(ml_buf_str(b), ml_str_of(x->dv->config.client_id))) return true;
    char shown[128], text[512];
    ml_copy_printable(shown, sizeof(shown), b->data, b->len);
    snprintf(
        text, sizeof(text),
        "Application with identifier '%s' was not found in the "
        "directory '%s'. It may not have been installed by the tenant's administrator.",
        shown, x->dv->config.tenant_id);
    return refuse(x, 400, "unauthorized_client", 700016, text);
}

static bool is_same(const ml_buf *a, const ml_buf *b)
{
    return a->len == b->len && a->len > 0 &&
           CRYPTO_memcmp(a->data, b->data, a->len) == 0;
}

static bool check_secret(ml_dv_exchange *x, ml_buf *b)
{
    ml_str form = ml_buf_str(&x->body);
    if (!ml_dv_form_get(form, "client_secret", b) || b->len == 0) {
        if (ml_dv_form_get(form, "client_assertion", b)) {
            return refuse(x, 401, "invalid_client", 700027,
                          "The certificate of the client assertion is not registered.");
        }
        return refuse(x, 401, "invalid_client", 7000218,
                      "The request body must contain the "
                      "following parameter: 'client_assertion' or 'client_secret'.");
    }
    if (is_same(b, &x->dv->config.client_secret)) return true;
    if (is_same(b, &x->dv->config.expired_secret)) {
        return refuse(x, 401, "invalid_client", 7000222,
                      "The provided client secret keys for the app are expired.");
    }
    return refuse(
        x, 401, "invalid_client", 7000215,
        "Invalid client secret provided. Ensure the secret being sent in the request "
        "is the client secret value, not the client secret ID.");
}

static bool is_known_resource(const ml_dv_exchange *x, ml_str resource)
{
    static const char *const hosts[] = {"vault.azure.net", "management.azure.com",
                                        "graph.microsoft.com"};
    if (!ml_str_starts(resource, ML_LIT("https://"))) return false;
    ml_str host = {resource.p + 8, resource.n - 8};
    if (host.n && host.p[host.n - 1] == '/')
        host.n--; /* v1 takes it; the vault will not */
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        if (ml_str_ieq(host, ml_str_of(hosts[i]))) return true;
    }
    size_t colon = host.n; /* the port's, not one inside [::1] */
    while (colon > 0 && host.p[colon - 1] >= '0' && host.p[colon - 1] <= '9') colon--;
    if (colon > 1 && colon < host.n && host.p[colon - 1] == ':') host.n = colon - 1;
    return ml_dv_is_local_host(host) || ml_str_ieq(host, ml_str_of(x->hostname));
}

static bool check_resource(ml_dv_exchange *x, ml_str resource)
{
    if (is_known_resource(x, resource)) return true;
    char shown[160], text[512];
    ml_copy_printable(shown, sizeof(shown), resource.p, resource.n);
    snprintf(text, sizeof(text),
             "The resource principal named %s was not found in the tenant "
             "named %s. This can happen if the application has not been installed.",
             shown, x->dv->config.tenant_id);
    return refuse(x, 400, "invalid_resource", 500011, text);
}

static bool is_sign_in_word(ml_str s)
{
    return ml_str_eq(s, ML_LIT("openid")) || ml_str_eq(s, ML_LIT("profile")) ||
           ml_str_eq(s, ML_LIT("offline_access"));
}

/* From "https://vault.azure.net/.default openid ..." to the resource, in place. */
static bool read_scope(ml_dv_exchange *x, ml_buf *b, ml_str *resource)
{
    ml_str rest = ml_buf_str(b), found = ML_LIT("");
    int n = 0;
    while (rest.n) {
        size_t end = ml_str_find(rest, ' ');
        ml_str one = {rest.p, end};
        if (one.n && !is_sign_in_word(one)) {
            found = one;
            n++;
        }
        rest = end < rest.n ? (ml_str){rest.p + end + 1, rest.n - end - 1} : ML_LIT("");
    }
    bool ok = n == 1 && ml_str_ends(found, ML_LIT("/.default"));
    if (ok) found.n -= strlen("/.default");
    if (ok && found.n && found.p[found.n - 1] != '/') {
        *resource = found;
        return true;
    }
    char shown[160], text[320];
    ml_copy_printable(shown, sizeof(shown), b->data ? b->data : "", b->len);
    snprintf(text, sizeof(text),
             "The provided request must include a 'scope' input parameter. "
             "The provided value for the input parameter 'scope' is not valid: %s.",
             shown);
    return refuse(x, 400, "invalid_scope", 70011, text);
}

static bool read_resource(ml_dv_exchange *x, bool is_v2, ml_buf *b, ml_str *resource)
{
    if (!need(x, is_v2 ? "scope" : "resource", b)) return false;
    if (is_v2) {
        if (!read_scope(x, b, resource)) return false;
    } else {
        *resource = ml_buf_str(b);
    }
    return check_resource(x, *resource);
}

static void write_token(ml_dv_exchange *x, const ml_dv_grant *g, bool is_v2)
{
    bool as_text =
        !is_v2 || ml_dv_faults_of(&x->dv->faults, ML_DV_EXPIRES_IN_STRING, true, x->op);
    const char *quote = as_text ? "\"" : "";
    int64_t now = ml_wall_s(&ml_system_clock);
    ml_buf_clear(&x->out);
    ml_buf_addf(&x->out,
                "{\"token_type\":\"Bearer\",\"expires_in\":%s%d%s,"
                "\"ext_expires_in\":%s%d%s",
                quote, g->lifetime_s, quote, quote, g->lifetime_s, quote);
    if (!is_v2) {
        ml_buf_addf(&x->out,
                    ",\"expires_on\":\"%lld\",\"not_before\":\"%lld\",\"resource\":",
                    (long long)now + g->lifetime_s, (long long)now);
        ml_json_write_string(&x->out, ml_str_of(g->audience));
    }
    ml_buf_add_text(&x->out, ",\"access_token\":\"");
    ml_dv_token_issue(x->dv, g, now, &x->out);
    ml_buf_add_text(&x->out, "\"}");
    ml_dv_answer(x, 200);
}

static void grant(ml_dv_exchange *x, ml_str resource, bool is_v2, bool has_claims)
{
    char audience[256];
    ml_copy_printable(audience, sizeof(audience), resource.p, resource.n);
    ml_dv_faults *fs = &x->dv->faults;
    ml_dv_fault *lifetime = ml_dv_faults_of(fs, ML_DV_TOKEN_LIFETIME, true, x->op);
    ml_dv_fault *tenant = ml_dv_faults_of(fs, ML_DV_TOKEN_TENANT, true, x->op);
    ml_dv_grant g = {.audience = audience,
                     .tenant = tenant ? tenant->text : x->dv->config.tenant_id,
                     .client = x->dv->config.client_id,
                     .lifetime_s =
                         lifetime ? lifetime->number : x->dv->config.token_lifetime_s,
                     .has_claims = has_claims};
    write_token(x, &g, is_v2);
}

static void serve_token(ml_dv_exchange *x, ml_str tenant, bool is_v2)
{
    x->op = "token";
    if (!ml_dv_misbehave_before(x)) return;
    if (x->method != EVHTTP_REQ_POST) {
        refuse(x, 405, "invalid_request", 900561,
               "The endpoint only accepts POST requests.");
        return;
    }
    ml_buf b;
    ml_buf_init(&b, 0);
    ml_str resource = ML_LIT("");
    bool ok = ml_dv_entra_check_tenant(x, tenant) && check_grant(x, &b) &&
              check_client(x, &b) && check_secret(x, &b);
    bool has_claims =
        ok && ml_dv_form_get(ml_buf_str(&x->body), "claims", &b) && b.len > 0;
    if (ok && read_resource(x, is_v2, &b, &resource))
        grant(x, resource, is_v2, has_claims);
    ml_buf_fini(&b);
    ml_dv_misbehave_after(x);
}

void ml_dv_serve_entra(ml_dv_exchange *x)
{
    x->is_token = true;
    ml_str rest = x->path;
    ml_str tenant = ml_dv_segment(&rest);
    if (ml_str_eq(rest, ML_LIT("/oauth2/v2.0/token"))) {
        serve_token(x, tenant, true);
    } else if (ml_str_eq(rest, ML_LIT("/oauth2/token"))) {
        serve_token(x, tenant, false);
    } else if (!ml_dv_entra_metadata(x, tenant, rest)) {
        x->is_token = false;
        ml_dv_refuse(x, 404, "NotFound", NULL,
                     "The dev vault has nothing at this path.");
    }
}
