/* fuzz_challenge.c - WWW-Authenticate lines: no crash, and no check let through that
 * would send a token for somebody else's resource. */
#include "fuzz.h"

#include <string.h>

#include "azure/challenge.h"

const char *const fuzz_seeds[] = {
    "Bearer authorization=\"https://login.microsoftonline.com/tenant\", "
    "resource=\"https://vault.azure.net\"",
    "Bearer authorization_uri=https://login.x/t resource=https://vault.azure.net/",
    "PoP nonce=\"a,b\\\"c\", Bearer scope=\"https://vault.azure.net/.default\"",
    "Basic realm=\"x\"\nNegotiate abc==\nBearer realm=\"\", "
    "error=\"insufficient_claims\", "
    "claims=\"eyJhIjoxfQ==\"",
    "Bearer resource=\"https://user@vault.azure.net:8443/x?y#z\"",
    NULL};

static void check(const ml_challenge *c)
{
    ml_vault_url u;
    ml_err e = {0};
    FUZZ_CLAIM(
        ml_vault_url_parse(&u, ML_LIT("https://acme.vault.azure.net"), NULL, &e) == 0);
    int strict = ml_challenge_check(c, &u, NULL, true, &e);
    int loose = ml_challenge_check(c, &u, NULL, false, &e);
    int fixed = ml_challenge_check(c, &u, "https://vault.azure.net", true, &e);
    FUZZ_CLAIM(strict != 0 || loose == 0);
    FUZZ_CLAIM(fixed != 0 || strict == 0);
    if (loose == 0) {
        FUZZ_CLAIM(strlen(c->resource) > 8 && !fuzz_has_userinfo(c->resource));
        FUZZ_CLAIM(!strpbrk(c->resource, "?# \\"));
    }
    FUZZ_CLAIM(strlen(e.text) < sizeof(e.text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ml_str lines[4], rest = {(const char *)data, size};
    size_t n = 0;
    while (n < 4) {
        size_t end = n < 3 ? ml_str_find(rest, '\n') : rest.n;
        lines[n++] = (ml_str){rest.p, end};
        if (end == rest.n) break;
        rest = (ml_str){rest.p + end + 1, rest.n - end - 1};
    }
    ml_challenge c;
    ml_err e = {0};
    ml_challenge_init(&c);
    int rc = ml_challenge_parse(&c, lines, n, &e);
    FUZZ_CLAIM(rc == 0 || (rc == ML_EINVALID && e.code == rc && e.text[0]));
    if (rc == 0) {
        FUZZ_CLAIM(!c.tenant[0] || ml_tenant_check(ml_str_of(c.tenant), NULL) == 0);
        check(&c);
    } else {
        FUZZ_CLAIM(!c.resource[0] && !c.tenant[0] && c.claims.len == 0);
    }
    ml_challenge_fini(&c);
    return 0;
}
