/* vault_errors.c - what a refused Key Vault request means, and what to try.
 *
 * The body is {"error": {"code": "Forbidden", "message": "...", "innererror": {"code":
 * "ForbiddenByRbac", ...}}}, or HTML, or nothing.  The code that says most is the
 * deepest one.  Codes leave this file, messages do not: they may quote callers.  Two
 * facts are picked out of them: our address as a firewall saw it, and whether the API
 * version was the matter. */
#include "azure/vault_errors.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "io/json.h"

/* How to speak of each operation, and what an identity needs for it. */
typedef struct op_words {
    const char *doing;      /* "%s secret 'x' of prod" */
    const char *permission; /* of an access policy */
    const char *role;       /* of Azure RBAC */
} op_words;

#define USER    "Key Vault Secrets User"
#define OFFICER "Key Vault Secrets Officer"
static const op_words words[ML_VAULT_OP_COUNT] = {
    [ML_VAULT_GET] = {"reading", "get", USER},
    [ML_VAULT_SET] = {"setting", "set", OFFICER},
    [ML_VAULT_UPDATE] = {"updating", "set", OFFICER},
    [ML_VAULT_DELETE] = {"deleting", "delete", OFFICER},
    [ML_VAULT_LIST] = {"listing the secrets", "list", USER},
    [ML_VAULT_VERSIONS] = {"listing the versions of", "list", USER},
    [ML_VAULT_LIST_DELETED] = {"listing the deleted secrets", "list", OFFICER},
    [ML_VAULT_GET_DELETED] = {"reading deleted", "get", OFFICER},
    [ML_VAULT_RECOVER] = {"recovering", "recover", OFFICER},
    [ML_VAULT_PURGE] = {"purging", "purge", OFFICER},
    [ML_VAULT_BACKUP] = {"backing up", "backup", OFFICER},
    [ML_VAULT_RESTORE] = {"restoring a backup", "restore", OFFICER},
};
#undef USER
#undef OFFICER

enum { WHAT_BYTES = 190 };

/* One refusal being explained. */
typedef struct refusal {
    char what[WHAT_BYTES]; /* "reading secret 'x' of prod" */
    const char *code;      /* e->service_code */
    ml_str inner;          /* deepest code, raw */
    ml_str outer;
    uint64_t akv; /* number of an AKV10022 text, 0 when none */
    int inner_depth;
    char address[INET6_ADDRSTRLEN]; /* ours, as the vault's firewall saw it; or "" */
    bool is_about_version;          /* the message speaks of the api-version */
} refusal;

void ml_vault_describe(const ml_vault_call *c, const char *source, char *out,
                       size_t size)
{
    const char *doing = words[c->op].doing;
    bool has_key = c->op != ML_VAULT_LIST && c->op != ML_VAULT_LIST_DELETED &&
                   c->op != ML_VAULT_RESTORE;
    if (has_key) {
        snprintf(out, size, "%s secret '%.*s' of %.32s", doing,
                 c->key.n < 127 ? (int)c->key.n : 127, c->key.p, source);
    } else {
        snprintf(out, size, "%s of %.32s", doing, source);
    }
}

static void read_string(ml_json *j, ml_str *raw)
{
    if (ml_json_peek(j) == ML_JSON_STRING) {
        ml_json_read_raw_string(j, raw);
    } else {
        ml_json_skip(j);
    }
}

/* The number of "AKV10022: Invalid audience...". */
static uint64_t akv_number(ml_str message)
{
    if (!ml_str_starts(message, ML_LIT("AKV"))) return 0;
    size_t n = 3;
    while (n < message.n && message.p[n] >= '0' && message.p[n] <= '9') n++;
    uint64_t number = 0;
    if (n > 12 || !ml_str_to_u64((ml_str){message.p + 3, n - 3}, &number)) return 0;
    return number;
}

/* Behind the first `what` in s, without case; empty when it is not there. */
static ml_str behind(ml_str s, ml_str what)
{
    for (; s.n >= what.n; s = (ml_str){s.p + 1, s.n - 1}) {
        if (ml_str_ieq((ml_str){s.p, what.n}, what))
            return (ml_str){s.p + what.n, s.n - what.n};
    }
    return (ml_str){0};
}

/* "Client address: 192.0.2.7": nothing but an address is taken. */
static void read_address(ml_str message, refusal *x)
{
    static const char letters[] = "0123456789abcdefABCDEF:.";
    ml_str rest = ml_str_trim(behind(message, ML_LIT("client address:")));
    char text[INET6_ADDRSTRLEN];
    unsigned char bytes[sizeof(struct in6_addr)];
    size_t n = 0;
    while (n < rest.n && rest.p[n] && strchr(letters, rest.p[n])) n++;
    if (n > 0 && rest.p[n - 1] == '.') n--;
    if (n == 0 || n >= sizeof(text)) return;
    memcpy(text, rest.p, n);
    text[n] = '\0';
    if (inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1)
        memcpy(x->address, text, n + 1);
}

static void read_message(ml_str message, refusal *x)
{
    if (x->akv == 0) x->akv = akv_number(message);
    if (!x->address[0]) read_address(message, x);
    if (behind(message, ML_LIT("api-version")).p) x->is_about_version = true;
}

/* One error object; the scanner bounds how deep they nest. */
static void read_error(ml_json *j, int depth, refusal *x)
{
    ml_str key;
    if (ml_json_peek(j) != ML_JSON_OBJECT || !ml_json_enter_object(j)) return;
    while (ml_json_next_key(j, &key)) {
        ml_str text = {0};
        if (ml_json_key_is(key, "code")) {
            read_string(j, &text);
            if (depth == 0) x->outer = text;
            if (text.n == 0 || depth < x->inner_depth) continue;
            x->inner = text;
            x->inner_depth = depth;
        } else if (ml_json_key_is(key, "message")) {
            read_string(j, &text);
            read_message(text, x);
        } else if (ml_json_key_is(key, "innererror")) {
            read_error(j, depth + 1, x);
        }
    }
}

static void read_body(ml_str body, refusal *x)
{
    ml_json j;
    ml_str key;
    ml_json_init(&j, body);
    if (ml_json_peek(&j) != ML_JSON_OBJECT || !ml_json_enter_object(&j)) return;
    while (ml_json_next_key(&j, &key)) {
        if (ml_json_key_is(key, "error")) read_error(&j, 0, x);
    }
}

/* A code is one plain word; anything else may be an echo of something. */
static bool is_code(ml_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!ml_is_alnum(c) && c != '_' && c != '.' && c != '-') return false;
    }
    return s.n > 0;
}

/* Codes with dots are class names, as emulators give them: the last word says it. */
static ml_str last_word(ml_str s)
{
    size_t from = s.n;
    while (from > 0 && s.p[from - 1] != '.') from--;
    return (ml_str){s.p + from, s.n - from};
}

static void note(const refusal *x, const ml_vault_call *c, const char *source,
                 int status, ml_err *e)
{
    e->http_status = status;
    e->service_code[0] = '\0';
    snprintf(e->source, sizeof(e->source), "%s", source);
    ml_copy_printable(e->key, sizeof(e->key), c->key.p, c->key.n);
    if (status == 401 && x->akv) {
        snprintf(e->service_code, sizeof(e->service_code), "AKV%llu",
                 (unsigned long long)x->akv);
    } else if (is_code(x->inner)) {
        ml_str word = last_word(x->inner);
        ml_copy_printable(e->service_code, sizeof(e->service_code), word.p, word.n);
    }
}

static bool is(const refusal *x, const char *code)
{
    return strcmp(x->code, code) == 0;
}

static const char *akv_hint(uint64_t number)
{
    switch (number) {
    case 10000:
        return "no token arrived; does something in between drop the "
               "Authorization header?";
    case 10022:
        return "the token is for another audience; check the configured audience "
               "and the vault's cloud";
    case 10032:
        return "the token is of another tenant than the vault's; check the tenant "
               "id";
    case 10046:
        return "the vault could not verify the token's signature; this passes, try "
               "again";
    default: return "the vault refused the token; check tenant, client id and audience";
    }
}

static int fail_forbidden(const refusal *x, const ml_vault_call *c, ml_err *e)
{
    const op_words *w = &words[c->op];
    if (is(x, "SecretDisabled")) {
        return ml_fail(e, ML_EDISABLED,
                       "%s: it is disabled (SecretDisabled); enable it, or "
                       "ask for another version",
                       x->what);
    }
    if (is(x, "ForbiddenByRbac")) {
        return ml_fail(
            e, ML_EFORBIDDEN,
            "%s: the identity lacks a role (ForbiddenByRbac); "
            "give it '%s' on the vault: az role assignment create; a new one "
            "takes some minutes to work",
            x->what, w->role);
    }
    if (is(x, "ForbiddenByPolicy") || is(x, "AccessDenied")) {
        return ml_fail(e, ML_EFORBIDDEN,
                       "%s: the vault's access policies do not allow it "
                       "(%s); az keyvault set-policy --name VAULT --spn CLIENT_ID "
                       "--secret-permissions %s",
                       x->what, x->code, w->permission);
    }
    if (is(x, "ForbiddenByFirewall")) {
        return ml_fail(
            e, ML_EFORBIDDEN,
            "%s: the vault's firewall does not know this "
            "machine's address%s%s (ForbiddenByFirewall); see the vault's Networking "
            "page, or az keyvault network-rule add",
            x->what, x->address[0] ? " " : "", x->address);
    }
    if (is(x, "ForbiddenByConnection")) {
        return ml_fail(
            e, ML_EFORBIDDEN,
            "%s: the vault is closed to public networks "
            "(ForbiddenByConnection); go through its private endpoint, and check "
            "that its name resolves to a private address here",
            x->what);
    }
    return ml_fail(e, ML_EFORBIDDEN,
                   "%s: HTTP 403 (%s); check the role '%s' or the access "
                   "policy permission '%s', then the vault's firewall",
                   x->what, x->code[0] ? x->code : "no code", w->role, w->permission);
}

/* Only the vault's own word makes an absence: a proxy or a wrong host says 404 too. */
static int fail_not_found(const refusal *x, const ml_vault_call *c, ml_err *e)
{
    bool is_absent = is(x, "SecretNotFound") ||
                     ml_str_eq(x->outer, ML_LIT("SecretNotFound")) ||
                     is(x, "NotFoundException"); /* Lowkey Vault's word */
    if (is_absent) {
        return ml_fail(e, ML_EMISSING, "%s: there is no such %s", x->what,
                       c->op == ML_VAULT_GET_DELETED || c->op == ML_VAULT_RECOVER ||
                               c->op == ML_VAULT_PURGE
                           ? "deleted secret"
                       : c->version.n > 0 ? "secret or version"
                                          : "secret");
    }
    return ml_fail(e, ML_EINVALID,
                   "%s: HTTP 404 (%s) without SecretNotFound; is the host a "
                   "Key Vault, or does a proxy answer?",
                   x->what, x->code[0] ? x->code : "no code");
}

static int fail_conflict(const refusal *x, ml_err *e)
{
    if (is(x, "ObjectIsDeletedButRecoverable")) {
        return ml_fail(e, ML_ECONFLICT,
                       "%s: a deleted secret holds the name (%s); recover "
                       "it, or purge it",
                       x->what, x->code);
    }
    if (is(x, "ObjectIsBeingDeleted")) {
        return ml_fail(e, ML_ECONFLICT,
                       "%s: it is still being deleted (%s); try again in "
                       "some seconds",
                       x->what, x->code);
    }
    if (is(x, "ObjectIsBeingRecovered")) {
        return ml_fail(e, ML_ECONFLICT,
                       "%s: it is still being recovered (%s); try again in "
                       "some seconds",
                       x->what, x->code);
    }
    return ml_fail(e, ML_ECONFLICT,
                   "%s: its state forbids it (HTTP 409, %s); look at the "
                   "secret and at the deleted ones",
                   x->what, x->code[0] ? x->code : "no code");
}

static int fail_other(const refusal *x, int status, ml_err *e)
{
    const char *code = x->code[0] ? x->code : "no code";
    if (status == 400 && x->is_about_version) {
        return ml_fail(e, ML_EUSAGE,
                       "%s: this vault does not support the API version (%s); set the "
                       "source's api_version to one that it knows",
                       x->what, code);
    }
    if (status == 400) {
        return ml_fail(e, ML_EUSAGE,
                       "%s: the vault calls the request malformed (%s); check "
                       "name, version, sizes and the API version",
                       x->what, code);
    }
    if (status == 429) {
        return ml_fail(e, ML_ETHROTTLED,
                       "%s: the vault asks to slow down (HTTP 429); ask "
                       "less often or spread secrets over vaults",
                       x->what);
    }
    if (status == 408 || status >= 500) {
        return ml_fail(e, ML_EUNAVAILABLE,
                       "%s: the vault has a fault (HTTP %d, %s); try "
                       "again later",
                       x->what, status, code);
    }
    if (status >= 300 && status < 400) {
        return ml_fail(e, ML_EINVALID,
                       "%s: HTTP %d leads elsewhere, and redirects are not "
                       "followed; is the host a Key Vault?",
                       x->what, status);
    }
    return ml_fail(e, ML_EINVALID,
                   "%s: an unexpected answer (HTTP %d, %s); is the host a Key "
                   "Vault, or does a proxy answer?",
                   x->what, status, code);
}

int ml_vault_fail(const ml_vault_call *c, const char *source, int status, ml_str body,
                  ml_err *e)
{
    ml_err scratch = {0};
    if (!e) e = &scratch;
    refusal x = {0};
    read_body(body, &x);
    note(&x, c, source, status, e);
    x.code = e->service_code;
    ml_vault_describe(c, source, x.what, sizeof(x.what));
    switch (status) {
    case 401:
        return ml_fail(e, ML_EUNAUTHENTICATED, "%s: %s (HTTP 401, %s)", x.what,
                       akv_hint(x.akv), x.code[0] ? x.code : "no code");
    case 403: return fail_forbidden(&x, c, e);
    case 404: return fail_not_found(&x, c, e);
    case 409: return fail_conflict(&x, e);
    default: return fail_other(&x, status, e);
    }
}
