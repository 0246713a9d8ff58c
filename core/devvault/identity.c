/* identity.c - the managed-identity endpoints: IMDS, and App Service's.
 *
 *     GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource=...
 *         Metadata: true; a request that came through a proxy is refused
 *     GET /msi/token?api-version=2019-08-01&resource=...
 *         X-IDENTITY-HEADER: the word that only this host knows */
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "devvault/auth.h"
#include "devvault/misbehave.h"
#include "devvault/server.h"
#include "io/json.h"

static bool refuse(ml_dv_exchange *x, int status, const char *word, const char *text)
{
    ml_buf_clear(&x->out);
    ml_buf_addf(&x->out, "{\"error\":\"%s\",\"error_description\":\"%s\"}", word, text);
    ml_dv_answer(x, status);
    return false;
}

static bool check_imds_headers(ml_dv_exchange *x)
{
    if (ml_dv_sent_header(x, "X-Forwarded-For")) {
        return refuse(x, 400, "bad_request",
                      "Requests through a proxy are not allowed");
    }
    ml_str metadata = ml_str_of(ml_dv_sent_header(x, "Metadata"));
    if (ml_str_ieq(metadata, ML_LIT("true"))) return true;
    return refuse(x, 400, "bad_request_102", "Required metadata header not specified");
}

static bool check_app_service_headers(ml_dv_exchange *x)
{
    ml_str sent = ml_str_of(ml_dv_sent_header(x, "X-IDENTITY-HEADER"));
    const ml_buf *known = &x->dv->config.identity_header;
    if (sent.n == known->len && CRYPTO_memcmp(sent.p, known->data, sent.n) == 0)
        return true;
    return refuse(x, 401, "unauthorized", "X-IDENTITY-HEADER is missing or wrong");
}

/* The one identity that this machine has may also be asked for by name. */
static bool check_identity(ml_dv_exchange *x, ml_buf *b)
{
    static const char *const names[] = {"client_id", "object_id", "principal_id",
                                        "msi_res_id", "mi_res_id"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!ml_dv_query(x, names[i], b)) continue;
        if (ml_str_ieq(ml_buf_str(b), ml_str_of(x->dv->config.client_id))) continue;
        return refuse(x, 400, "invalid_request", "Identity not found");
    }
    return true;
}

static bool check_version(ml_dv_exchange *x, ml_buf *b, const char *least)
{
    if (ml_dv_query(x, "api-version", b) && b->len == 10 &&
        strcmp(b->data, least) >= 0) {
        return true;
    }
    return refuse(x, 400, "invalid_request", "api-version is missing or not supported");
}

/* Numbers are texts here, unlike Entra's. */
static void grant(ml_dv_exchange *x, const char *resource, bool is_imds)
{
    const ml_dv_config *c = &x->dv->config;
    ml_dv_fault *f = ml_dv_faults_of(&x->dv->faults, ML_DV_TOKEN_LIFETIME, true, x->op);
    ml_dv_grant g = {.audience = resource,
                     .tenant = c->tenant_id,
                     .client = c->client_id,
                     .lifetime_s = f ? f->number : c->token_lifetime_s};
    long long now = (long long)ml_wall_s(&ml_system_clock);
    ml_buf_clear(&x->out);
    ml_buf_add_text(&x->out, "{\"access_token\":\"");
    ml_dv_token_issue(x->dv, &g, now, &x->out);
    ml_buf_addf(&x->out,
                "\",\"client_id\":\"%s\",\"expires_on\":\"%lld\",\"resource\":",
                c->client_id, now + g.lifetime_s);
    ml_json_write_string(&x->out, ml_str_of(resource));
    if (is_imds) {
        ml_buf_addf(&x->out,
                    ",\"expires_in\":\"%d\",\"ext_expires_in\":\"%d\","
                    "\"not_before\":\"%lld\",\"refresh_token\":\"\"",
                    g.lifetime_s, g.lifetime_s, now);
    }
    ml_buf_add_text(&x->out, ",\"token_type\":\"Bearer\"}");
    ml_dv_answer(x, 200);
}

void ml_dv_serve_identity(ml_dv_exchange *x)
{
    x->is_token = true;
    bool is_imds = ml_str_starts(x->path, ML_LIT("/metadata/"));
    x->op = is_imds ? "imds" : "app-service";
    if (!ml_dv_misbehave_before(x)) return;
    if (x->method != EVHTTP_REQ_GET) {
        refuse(x, 405, "invalid_request", "Only GET is allowed");
        return;
    }
    ml_buf b;
    ml_buf_init(&b, 0);
    bool ok = is_imds ? check_imds_headers(x) : check_app_service_headers(x);
    ok = ok && check_version(x, &b, is_imds ? "2018-02-01" : "2019-08-01") &&
         check_identity(x, &b);
    if (ok && (!ml_dv_query(x, "resource", &b) || b.len == 0)) {
        ok = refuse(x, 400, "invalid_request", "resource is missing");
    }
    if (ok) {
        char resource[256];
        ml_copy_printable(resource, sizeof(resource), b.data, b.len);
        grant(x, resource, is_imds);
    }
    ml_buf_fini(&b);
    ml_dv_misbehave_after(x);
}
