/* challenge.c - reading and judging WWW-Authenticate of a 401.
 *
 * A line is a list of schemes, each with parameters:
 *
 *     Bearer authorization="https://login.example/TENANT",
 * resource="https://vault.example", PoP nonce=x
 *
 * A word followed by '=' is a parameter of the scheme before it, any other word begins
 * a new scheme.  Commas and blanks both separate, since both are met in the wild. */
#include "azure/challenge.h"

#include <stdio.h>
#include <string.h>

#include "azure/base64.h"
#include "azure/uri.h"
#include "base/err.h"
#include "io/json.h"

enum { CLAIMS_MAX_BYTES = 16 * 1024 };

typedef struct reader {
    ml_str line;
    size_t at;
} reader;

/* What was found of the Bearer scheme; views of the line, still quoted. */
typedef struct bearer {
    ml_str authorization;
    ml_str resource;
    ml_str scope;
    ml_str error;
    ml_str claims;
} bearer;

void ml_challenge_init(ml_challenge *c)
{
    *c = (ml_challenge){0};
    ml_buf_init(&c->claims, CLAIMS_MAX_BYTES);
}

void ml_challenge_fini(ml_challenge *c)
{
    ml_buf_fini(&c->claims);
    ml_challenge_init(c);
}

static char look(const reader *r)
{
    return r->at < r->line.n ? r->line.p[r->at] : '\0';
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void skip_blanks(reader *r)
{
    while (is_blank(look(r))) r->at++;
}

/* A run of bytes up to a blank, a comma, or one of the stop bytes. */
static ml_str take_word(reader *r, const char *stop)
{
    size_t from = r->at;
    while (r->at < r->line.n) {
        char c = r->line.p[r->at];
        if (is_blank(c) || c == ',' || (c != '\0' && strchr(stop, c))) break;
        r->at++;
    }
    return (ml_str){r->line.p + from, r->at - from};
}

/* A quoted string with its quotes, or a bare word.  False when a quote stays open. */
static bool take_value(reader *r, ml_str *out)
{
    if (look(r) != '"') {
        *out = take_word(r, "\"");
        return true;
    }
    size_t from = r->at++;
    while (r->at < r->line.n && look(r) != '"') {
        r->at += look(r) == '\\' ? 2 : 1;
    }
    if (r->at >= r->line.n) return false;
    r->at++;
    *out = (ml_str){r->line.p + from, r->at - from};
    return true;
}

static ml_str *slot_of(bearer *b, ml_str name)
{
    if (ml_str_ieq(name, ML_LIT("authorization"))) return &b->authorization;
    if (ml_str_ieq(name, ML_LIT("authorization_uri"))) return &b->authorization;
    if (ml_str_ieq(name, ML_LIT("authorization_url"))) return &b->authorization;
    if (ml_str_ieq(name, ML_LIT("resource"))) return &b->resource;
    if (ml_str_ieq(name, ML_LIT("scope"))) return &b->scope;
    if (ml_str_ieq(name, ML_LIT("error"))) return &b->error;
    if (ml_str_ieq(name, ML_LIT("claims"))) return &b->claims;
    return NULL;
}

typedef enum found { FOUND_NONE, FOUND_BEARER, FOUND_BROKEN } found;

/* Reads one line up to the end of its first Bearer. */
static found read_line(ml_str line, bearer *b)
{
    reader r = {line, 0};
    found state = FOUND_NONE;
    for (;;) {
        while (is_blank(look(&r)) || look(&r) == ',') r.at++;
        if (r.at >= line.n) return state;
        size_t from = r.at;
        ml_str word = take_word(&r, "=\"");
        skip_blanks(&r);
        if (word.n == 0) return state == FOUND_BEARER ? FOUND_BROKEN : FOUND_NONE;
        if (look(&r) != '=') { /* a scheme */
            if (state == FOUND_BEARER) return state;
            r.at = from + word.n;
            if (ml_str_ieq(word, ML_LIT("bearer"))) state = FOUND_BEARER;
            continue;
        }
        r.at++;
        skip_blanks(&r);
        ml_str value;
        if (!take_value(&r, &value)) {
            return state == FOUND_BEARER ? FOUND_BROKEN : FOUND_NONE;
        }
        ml_str *slot = state == FOUND_BEARER ? slot_of(b, word) : NULL;
        if (slot && slot->n == 0) *slot = value;
    }
}

/* Without quotes and their backslashes; printable ASCII only.  False when not, or when
 * it does not fit. */
static bool copy_value(char *out, size_t size, ml_str value)
{
    bool is_quoted = value.n >= 2 && value.p[0] == '"';
    if (is_quoted) value = (ml_str){value.p + 1, value.n - 2};
    size_t n = 0;
    for (size_t i = 0; i < value.n; i++) {
        if (is_quoted && value.p[i] == '\\' && i + 1 < value.n) i++;
        if (value.p[i] < ' ' || value.p[i] > '~' || n + 1 >= size) return false;
        out[n++] = value.p[i];
    }
    out[n] = '\0';
    return true;
}

/* The first path segment of the authority; nothing else of it is ever used. */
static void take_tenant(char *out, size_t size, const char *authority)
{
    ml_uri uri;
    if (!ml_uri_split(ml_str_of(authority), &uri) || uri.path.n < 2) return;
    ml_str path = {uri.path.p + 1, uri.path.n - 1};
    ml_str tenant = {path.p, ml_str_find(path, '/')};
    if (ml_tenant_check(tenant, NULL) != 0) return;
    snprintf(out, size, "%.*s", (int)tenant.n, tenant.p);
}

static void trim_resource(char *resource)
{
    static const char suffix[] = "/.default";
    size_t n = strlen(resource), cut = sizeof(suffix) - 1;
    if (n >= cut && strcmp(resource + n - cut, suffix) == 0) n -= cut;
    if (n > 0 && resource[n - 1] == '/') n--;
    resource[n] = '\0';
}

static int take_claims(ml_buf *out, ml_str value, ml_err *e)
{
    char text[4 * 1024];
    if (!copy_value(text, sizeof(text), value) ||
        !ml_base64_decode(ml_str_of(text), out)) {
        return ml_fail(e, ML_EINVALID, "the claims of a 401 challenge are not base64");
    }
    if (!ml_buf_ok(out)) return ml_fail(e, ML_ENOMEM, "out of memory");
    ml_json j;
    ml_json_init(&j, ml_buf_str(out));
    if (ml_json_peek(&j) != ML_JSON_OBJECT || !ml_json_skip(&j) || !ml_json_end(&j)) {
        return ml_fail(e, ML_EINVALID, "the claims of a 401 challenge are not JSON");
    }
    return 0;
}

static int fill(ml_challenge *c, const bearer *b, ml_err *e)
{
    char authority[512];
    ml_str resource = b->resource.n > 0 ? b->resource : b->scope;
    if (!copy_value(authority, sizeof(authority), b->authorization) ||
        !copy_value(c->resource, sizeof(c->resource), resource) ||
        !copy_value(c->error, sizeof(c->error), b->error)) {
        return ml_fail(e, ML_EINVALID, "a 401 challenge with an unusable parameter");
    }
    take_tenant(c->tenant, sizeof(c->tenant), authority);
    trim_resource(c->resource);
    return b->claims.n > 0 ? take_claims(&c->claims, b->claims, e) : 0;
}

int ml_challenge_parse(ml_challenge *c, const ml_str *lines, size_t n, ml_err *e)
{
    ml_challenge_fini(c);
    bearer b = {0};
    found state = FOUND_NONE;
    for (size_t i = 0; i < n && state == FOUND_NONE; i++) {
        state = read_line(lines[i], &b);
    }
    if (state == FOUND_NONE) {
        return ml_fail(e, ML_EINVALID,
                       "a 401 without a Bearer challenge: is this host "
                       "really a Key Vault?");
    }
    if (state == FOUND_BROKEN)
        return ml_fail(e, ML_EINVALID, "a malformed 401 challenge");
    int rc = fill(c, &b, e);
    if (rc) ml_challenge_fini(c);
    return rc;
}

static bool is_own_host(const ml_vault_url *vault, const ml_uri *resource)
{
    ml_str host = ml_str_of(vault->host);
    if (ml_str_ieq(host, resource->host)) return true;
    if (resource->is_address || host.n <= resource->host.n + 1) return false;
    bool is_address = strchr(vault->host, ':') || host.p[host.n - 1] <= '9';
    return !is_address && ml_str_iends(host, resource->host) &&
           host.p[host.n - resource->host.n - 1] == '.';
}

/* The resource for a text: without what may follow ? or #. */
static int shown_length(const char *resource)
{
    size_t n = strcspn(resource, "?#");
    return n < 120 ? (int)n : 120;
}

int ml_challenge_check(const ml_challenge *c, const ml_vault_url *vault,
                       const char *expected, bool verify, ml_err *e)
{
    int shown = shown_length(c->resource);
    ml_str resource = ml_str_of(c->resource);
    if (expected && expected[0]) {
        ml_str want = ml_str_of(expected);
        if (want.p[want.n - 1] == '/') want.n--;
        if (ml_str_ieq(resource, want)) return 0;
        return ml_fail(
            e, ML_EUNAUTHENTICATED,
            "%s asks for a token for '%.*s', but %.*s is expected: no token was "
            "sent; check the vault URL and the configured audience",
            vault->host, shown, c->resource, (int)want.n, want.p);
    }
    ml_uri uri;
    if (!ml_uri_split(resource, &uri) || !ml_str_ieq(uri.scheme, ML_LIT("https")) ||
        uri.has_userinfo || uri.has_query || uri.has_fragment) {
        return ml_fail(e, ML_EUNAUTHENTICATED,
                       "%s asks for a token for '%.*s', which is not an absolute https "
                       "address: no token was sent; check the vault URL",
                       vault->host, uri.has_userinfo ? 0 : shown, c->resource);
    }
    if (!verify || is_own_host(vault, &uri)) return 0;
    return ml_fail(
        e, ML_EUNAUTHENTICATED,
        "%s asks for a token for '%.*s', which is not its own domain: no token "
        "was sent; check the vault URL, or switch the verification of challenge "
        "resources off if this is your own emulator",
        vault->host, shown, c->resource);
}
