/* auth.c - the dev vault's access tokens: issue them, and check one on each request.
 *
 * Tokens are JWTs signed with HS256 by a key that lives in the store, so that they
 * stay good across a restart with the same store file. */
#include "devvault/auth.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "io/json.h"

enum { MAC_BYTES = 32 };

static void sign(const ml_dv *dv, ml_str text, unsigned char mac[MAC_BYTES])
{
    unsigned n = MAC_BYTES;
    HMAC(EVP_sha256(), dv->token_key, sizeof(dv->token_key),
         (const unsigned char *)text.p, text.n, mac, &n);
}

static void add_claim(ml_buf *b, const char *name, const char *value)
{
    ml_buf_addf(b, ",\"%s\":", name);
    ml_json_write_string(b, ml_str_of(value));
}

bool ml_dv_token_issue(ml_dv *dv, const ml_dv_grant *g, int64_t now, ml_buf *out)
{
    char id[33];
    ml_dv_random_hex(id, 11);
    ml_buf claims, text;
    ml_buf_init(&claims, 0);
    ml_buf_init(&text, 0);
    ml_buf_addf(&claims, "{\"iat\":%lld,\"nbf\":%lld,\"exp\":%lld", (long long)now,
                (long long)now, (long long)now + g->lifetime_s);
    char issuer[192];
    snprintf(issuer, sizeof(issuer), "https://sts.windows.net/%s/", g->tenant);
    add_claim(&claims, "aud", g->audience);
    add_claim(&claims, "iss", issuer);
    add_claim(&claims, "tid", g->tenant);
    add_claim(&claims, "appid", g->client);
    add_claim(&claims, "oid", g->client);
    add_claim(&claims, "uti", id);
    ml_buf_addf(&claims, ",\"ver\":\"1.0\"%s}",
                g->has_claims ? ",\"xms_claims\":\"1\"" : "");
    ml_dv_base64url(
        &text, ML_LIT("{\"typ\":\"JWT\",\"alg\":\"HS256\",\"kid\":\"dev-vault\"}"));
    ml_buf_add_char(&text, '.');
    ml_dv_base64url(&text, ml_buf_str(&claims));
    unsigned char mac[MAC_BYTES];
    sign(dv, ml_buf_str(&text), mac);
    ml_buf_add_str(out, ml_buf_str(&text));
    ml_buf_add_char(out, '.');
    ml_dv_base64url(out, (ml_str){(const char *)mac, sizeof(mac)});
    ml_buf_fini(&claims);
    ml_buf_fini(&text);
    return ml_buf_ok(out);
}

/* What a token says, believed or not. */
typedef struct claims {
    char aud[256];
    char iss[256];
    int64_t exp;
    bool has_claims;
} claims;

static bool read_into(ml_json *j, char *out, size_t size)
{
    ml_buf b;
    ml_buf_init(&b, 0);
    bool ok = ml_json_read_string(j, &b);
    if (ok) ml_copy_printable(out, size, b.data ? b.data : "", b.len);
    ml_buf_fini(&b);
    return ok;
}

static bool read_claims(ml_str payload, claims *c)
{
    ml_buf text;
    ml_buf_init(&text, 0);
    ml_json j;
    ml_str key;
    bool ok = ml_dv_base64url_read(&text, payload);
    ml_json_init(&j, ml_buf_str(&text));
    ok = ok && ml_json_enter_object(&j);
    while (ok && ml_json_next_key(&j, &key)) {
        if (ml_json_key_is(key, "aud"))
            ok = read_into(&j, c->aud, sizeof(c->aud));
        else if (ml_json_key_is(key, "iss"))
            ok = read_into(&j, c->iss, sizeof(c->iss));
        else if (ml_json_key_is(key, "exp"))
            ok = ml_json_read_int(&j, &c->exp);
        else if (ml_json_key_is(key, "xms_claims"))
            c->has_claims = true;
    }
    ok = ok && ml_json_end(&j);
    ml_buf_fini(&text);
    return ok;
}

static bool signature_is_ours(const ml_dv *dv, ml_str signed_part, ml_str signature)
{
    unsigned char mac[MAC_BYTES];
    sign(dv, signed_part, mac);
    ml_buf given;
    ml_buf_init(&given, 0);
    bool same = ml_dv_base64url_read(&given, signature) && given.len == sizeof(mac) &&
                CRYPTO_memcmp(given.data, mac, sizeof(mac)) == 0;
    ml_buf_fini(&given);
    return same;
}

static bool is_loopback_v4(ml_str host)
{
    for (size_t i = 0; i < host.n; i++) {
        if (host.p[i] != '.' && (host.p[i] < '0' || host.p[i] > '9')) return false;
    }
    return ml_str_starts(host, ML_LIT("127."));
}

bool ml_dv_is_local_host(ml_str host)
{
    return ml_str_ieq(host, ML_LIT("localhost")) || is_loopback_v4(host) ||
           ml_str_eq(host, ML_LIT("[::1]")) || ml_str_iends(host, ML_LIT(".localhost"));
}

typedef struct asked_host {
    const char *name; /* what challenges call it */
    const char *port; /* with its colon, or "" */
    char resource[288];
} asked_host;

/* The SDKs compare a named vault's port too. */
static void read_asked_host(const ml_dv_exchange *x, asked_host *h)
{
    bool is_named = ml_str_iends(ml_str_of(x->hostname), ML_LIT(".localhost"));
    h->name = is_named ? "localhost" : x->hostname;
    h->port = x->host + strlen(x->hostname);
    snprintf(h->resource, sizeof(h->resource), "https://%s%s", h->name,
             is_named ? h->port : "");
}

/* The cloud's audience, or the resource that the challenge names. */
static bool audience_fits(const asked_host *h, const char *aud)
{
    return strcmp(aud, "https://vault.azure.net") == 0 ||
           ml_str_ieq(ml_str_of(aud), ml_str_of(h->resource));
}

bool ml_dv_challenge(ml_dv_exchange *x, const char *message)
{
    asked_host h;
    read_asked_host(x, &h);
    ml_dv_fault *f = ml_dv_faults_of(&x->dv->faults, ML_DV_CHALLENGE, false, x->op);
    bool as_scope = f && strcmp(f->text, "scope") == 0;
    ml_dv_header(x, "WWW-Authenticate",
                 "Bearer authorization=\"https://%s%s/%s\", %s=\"%s%s\"", h.name,
                 h.port, x->dv->config.tenant_id, as_scope ? "scope" : "resource",
                 h.resource, as_scope ? "/.default" : "");
    return ml_dv_refuse(x, 401, "Unauthorized", NULL, "%s", message);
}

static bool claims_challenge(ml_dv_exchange *x)
{
    ml_buf b;
    ml_buf_init(&b, 0);
    ml_dv_base64url(&b, ML_LIT("{\"access_token\":{\"nbf\":{\"essential\":true,"
                               "\"value\":\"1700000000\"}}}"));
    ml_dv_header(
        x, "WWW-Authenticate",
        "Bearer realm=\"\", authorization_uri=\"https://%s/common/oauth2/authorize\", "
        "error=\"insufficient_claims\", claims=\"%s\"",
        x->host, b.data);
    ml_buf_fini(&b);
    return ml_dv_refuse(
        x, 401, "Unauthorized", NULL,
        "AKV10096: The token must satisfy the claims of the challenge.");
}

/* Refusals carry the service's own words, most telling first. */
static bool check_claims(ml_dv_exchange *x, const claims *c, bool is_ours)
{
    char text[768];
    const char *tenant = x->dv->config.tenant_id;
    char issuer[192];
    snprintf(issuer, sizeof(issuer), "https://sts.windows.net/%s/", tenant);
    if (strcmp(c->iss, issuer) != 0) {
        snprintf(text, sizeof(text),
                 "AKV10032: Invalid issuer. Expected one of %s, found %s.", issuer,
                 c->iss);
        return ml_dv_challenge(x, text);
    }
    asked_host h;
    read_asked_host(x, &h);
    if (!audience_fits(&h, c->aud)) {
        snprintf(text, sizeof(text),
                 "AKV10022: Invalid audience. Expected %s, found: %s.", h.resource,
                 c->aud);
        return ml_dv_challenge(x, text);
    }
    if (!is_ours) {
        return ml_dv_challenge(
            x, "AKV10046: Unable to resolve the key used for signature validation.");
    }
    if (c->exp <= ml_wall_s(&ml_system_clock)) {
        return ml_dv_challenge(x, "Lifetime validation failed: the token is expired.");
    }
    return true;
}

bool ml_dv_authenticate(ml_dv_exchange *x)
{
    ml_str sent = ml_str_of(ml_dv_sent_header(x, "Authorization"));
    if (sent.n < 7 || !ml_str_ieq((ml_str){sent.p, 7}, ML_LIT("Bearer "))) {
        return ml_dv_challenge(x,
                               "AKV10000: Request is missing a Bearer or PoP token.");
    }
    ml_str token = ml_str_trim((ml_str){sent.p + 7, sent.n - 7});
    size_t dot1 = ml_str_find(token, '.');
    ml_str rest = {token.p + dot1, token.n - dot1};
    if (rest.n) rest = (ml_str){rest.p + 1, rest.n - 1};
    size_t dot2 = ml_str_find(rest, '.');
    claims c = {0};
    if (dot2 == rest.n || !read_claims((ml_str){rest.p, dot2}, &c)) {
        return ml_dv_challenge(x, "The token is malformed: it is no JSON web token.");
    }
    ml_str signature = {rest.p + dot2 + 1, rest.n - dot2 - 1};
    bool is_ours =
        signature_is_ours(x->dv, (ml_str){token.p, dot1 + 1 + dot2}, signature);
    if (!check_claims(x, &c, is_ours)) return false;
    if (ml_dv_faults_of(&x->dv->faults, ML_DV_401_ONCE, false, x->op)) {
        return ml_dv_challenge(x,
                               "AKV10046: Unable to resolve the key used for signature "
                               "validation.");
    }
    if (!c.has_claims &&
        ml_dv_faults_of(&x->dv->faults, ML_DV_CLAIMS_CHALLENGE, false, x->op)) {
        return claims_challenge(x);
    }
    return true;
}
