/* fuzz_url.c - vault URLs, ids, next links: what is let through is what it seems. */
#include "fuzz.h"

#include <string.h>

#include "azure/url.h"

const char *const fuzz_seeds[] = {
    "https://acme.vault.azure.net",
    "https://acme.vault.azure.net:443/secrets?api-version=7.5&$skiptoken=a%2Fb==",
    "https://acme.vault.azure.net/secrets/name/0123456789abcdef0123456789abcdef",
    "https://localhost:8443/deletedsecrets/n",
    "https://[::1]:8443/",
    "https://user:pass@acme.vault.azure.net@evil.example\\/#?",
    "https://127.0.0.1:1",
    "https://x.vault.local.example:9",
    NULL};

/* A safe link begins with exactly the vault's scheme and host, then port, path, or end.
 */
static void check_link(ml_str link)
{
    static const char head[] = "https://acme.vault.azure.net";
    ml_vault_url u;
    FUZZ_CLAIM(ml_vault_url_parse(&u, ml_str_of(head), NULL, NULL) == 0);
    if (!ml_next_link_is_safe(&u, link)) return;
    size_t n = sizeof(head) - 1;
    FUZZ_CLAIM(link.n >= n && ml_str_ieq((ml_str){link.p, n}, ml_str_of(head)));
    ml_str rest = {link.p + n, link.n - n};
    if (ml_str_starts(rest, ML_LIT(":443"))) rest = (ml_str){rest.p + 4, rest.n - 4};
    /* :0443 is the same port */
    FUZZ_CLAIM(rest.n == 0 || strchr("/?#:", rest.p[0]));
}

static void check_id(ml_str id)
{
    ml_str collection, name, version;
    if (!ml_secret_id_parse(id, &collection, &name, &version)) return;
    FUZZ_CLAIM(ml_secret_name_check(name, NULL) == 0);
    FUZZ_CLAIM(version.n == 0 || ml_secret_name_check(version, NULL) == 0);
    FUZZ_CLAIM(ml_str_ieq(collection, ML_LIT("secrets")) ||
               ml_str_ieq(collection, ML_LIT("deletedsecrets")));
}

static void check_vault(ml_str text, const char *extra)
{
    ml_vault_url u, again;
    ml_err e = {0};
    if (ml_vault_url_parse(&u, text, extra, &e) != 0) {
        FUZZ_CLAIM(e.code == ML_EUSAGE && e.text[0]);
        return;
    }
    ml_str host = ml_str_of(u.host);
    FUZZ_CLAIM(u.is_loopback || u.audience[0] ||
               (extra && ml_str_ends(host, ml_str_of(extra))));
    FUZZ_CLAIM(ml_str_starts(ml_str_of(u.origin), ML_LIT("https://")));
    FUZZ_CLAIM(ml_vault_url_parse(&again, ml_str_of(u.origin), extra, &e) == 0);
    FUZZ_CLAIM(strcmp(again.origin, u.origin) == 0 && again.port == u.port);
    FUZZ_CLAIM(ml_next_link_is_safe(&u, ml_str_of(u.origin)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ml_str text = {(const char *)data, size};
    char out[300];
    ml_err e = {0};
    check_link(text);
    check_id(text);
    check_vault(text, NULL);
    check_vault(text, ".vault.local.example");
    if (ml_authority_check(text, out, sizeof(out), &e) == 0) {
        FUZZ_CLAIM(out[strlen(out) - 1] != '/' && !strpbrk(out, "?# \\") &&
                   !fuzz_has_userinfo(out));
    }
    ml_tenant_check(text, &e);
    ml_secret_name_check(text, &e);
    ml_secret_version_check(text, &e);
    return 0;
}
