/* url.c - vault URLs, ids and links: which addresses a credential may go to. */
#include "azure/url.h"

#include <stdio.h>
#include <string.h>

#include "azure/uri.h"
#include "base/err.h"

/* Which audience and authority belong to a vault's DNS suffix. */
typedef struct cloud {
    const char *suffix;
    const char *audience;
    const char *authority;
} cloud;

static const cloud clouds[] = {
    {".vault.azure.net", "https://vault.azure.net",
     "https://login.microsoftonline.com"},
    {".vault.azure.cn", "https://vault.azure.cn", "https://login.chinacloudapi.cn"},
    {".vault.usgovcloudapi.net", "https://vault.usgovcloudapi.net",
     "https://login.microsoftonline.us"},
    {".vault.microsoftazure.de", "https://vault.microsoftazure.de",
     "https://login.microsoftonline.de"},
};

static const cloud *cloud_of(ml_str host)
{
    for (size_t i = 0; i < sizeof(clouds) / sizeof(clouds[0]); i++) {
        if (ml_str_iends(host, ml_str_of(clouds[i].suffix))) return &clouds[i];
    }
    return NULL;
}

/* Does host end in "." + suffix, with something before it? */
static bool is_below(ml_str host, ml_str suffix)
{
    if (suffix.n > 0 && suffix.p[0] == '.')
        suffix = (ml_str){suffix.p + 1, suffix.n - 1};
    if (suffix.n == 0 || host.n < suffix.n + 2 || !ml_str_iends(host, suffix))
        return false;
    return host.p[host.n - suffix.n - 1] == '.';
}

static bool is_loopback(const ml_uri *uri)
{
    if (uri->is_ipv6) return ml_str_eq(uri->host, ML_LIT("::1"));
    if (uri->is_address) return ml_str_starts(uri->host, ML_LIT("127."));
    return ml_str_ieq(uri->host, ML_LIT("localhost")) ||
           is_below(uri->host, ML_LIT("localhost"));
}

/* 3-24 letters, digits and single hyphens; a letter first, no hyphen last. */
static bool is_vault_name(ml_str s)
{
    if (s.n < 3 || s.n > 24) return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool is_letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        bool is_inner = (c >= '0' && c <= '9') || (c == '-' && s.p[i - (i > 0)] != '-');
        if (!is_letter && (i == 0 || !is_inner)) return false;
    }
    return s.p[s.n - 1] != '-';
}

static int refuse_host(ml_str host, ml_err *e)
{
    int n = (int)host.n;
    if (ml_str_iends(host, ML_LIT(".vaultcore.azure.net"))) {
        return ml_fail(e, ML_EUSAGE,
                       "%.*s is a private link's name: use the vault's own, "
                       "https://NAME.vault.azure.net, which resolves to it",
                       n, host.p);
    }
    if (ml_str_iends(host, ML_LIT(".managedhsm.azure.net")) ||
        ml_str_iends(host, ML_LIT(".managedhsm.azure.cn")) ||
        ml_str_iends(host, ML_LIT(".managedhsm.usgovcloudapi.net"))) {
        return ml_fail(e, ML_EUSAGE, "%.*s is a managed HSM: those hold no secrets", n,
                       host.p);
    }
    return ml_fail(e, ML_EUSAGE,
                   "%.*s does not end in the name of a known cloud (such as "
                   ".vault.azure.net): fix the vault URL, or allow its suffix if it is "
                   "your own",
                   n, host.p);
}

/* The host must be a vault of a known cloud, below the extra suffix, or loopback. */
static int check_host(const ml_uri *uri, bool loopback, bool extra, ml_err *e)
{
    ml_str host = uri->host;
    const cloud *c = cloud_of(host);
    if (!loopback && !extra && (!c || uri->is_address)) return refuse_host(host, e);
    if (c && !extra) {
        ml_str name = {host.p, host.n - strlen(c->suffix)};
        if (!is_vault_name(name)) {
            return ml_fail(
                e, ML_EUSAGE,
                "%.*s is not a vault's name: one label of 3-24 letters, digits "
                "and single hyphens, a letter first, before %s",
                (int)name.n, name.p, c->suffix);
        }
    }
    if (uri->port && uri->port != 443 && !loopback && !extra) {
        return ml_fail(e, ML_EUSAGE, "%.*s: a vault answers on port 443, not %d",
                       (int)host.n, host.p, uri->port);
    }
    return 0;
}

/* What every address must be; what names it in the texts, which quote nothing that may
 * hold a password. */
static int check_shape(ml_str text, const char *what, ml_uri *uri, ml_err *e)
{
    ml_str http = {text.p, text.n < 7 ? text.n : 7};
    if (text.n == 0) return ml_fail(e, ML_EUSAGE, "the %s is empty", what);
    if (ml_str_ieq(http, ML_LIT("http://"))) {
        return ml_fail(e, ML_EUSAGE,
                       "the %s begins with http://: only https:// is "
                       "allowed, tokens must not travel in the clear",
                       what);
    }
    bool is_uri = ml_uri_split(text, uri);
    if (!is_uri && !uri->has_userinfo) {
        return ml_fail(e, ML_EUSAGE,
                       "the %s is not an absolute https:// URL with a valid host",
                       what);
    }
    if (uri->has_userinfo) {
        return ml_fail(e, ML_EUSAGE,
                       "the %s holds a user name or password before an @: "
                       "take it out",
                       what);
    }
    if (!ml_str_ieq(uri->scheme, ML_LIT("https"))) {
        return ml_fail(e, ML_EUSAGE, "the %s does not begin with https://", what);
    }
    if (uri->has_query || uri->has_fragment) {
        return ml_fail(e, ML_EUSAGE,
                       "the %s of %.*s has a query or fragment: take it out", what,
                       (int)uri->host.n, uri->host.p);
    }
    return 0;
}

static void copy_lower(char *out, ml_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        bool is_upper = s.p[i] >= 'A' && s.p[i] <= 'Z';
        out[i] = is_upper ? (char)(s.p[i] + ('a' - 'A')) : s.p[i];
    }
    out[s.n] = '\0';
}

int ml_vault_url_parse(ml_vault_url *u, ml_str text, const char *extra_suffix,
                       ml_err *e)
{
    ml_uri uri;
    int rc = check_shape(text, "vault URL", &uri, e);
    if (rc) return rc;
    if (uri.path.n > 1) {
        return ml_fail(e, ML_EUSAGE,
                       "the vault URL of %.*s has a path: give only "
                       "https://HOST, names come later",
                       (int)uri.host.n, uri.host.p);
    }
    bool loopback = is_loopback(&uri);
    bool extra = !uri.is_address && is_below(uri.host, ml_str_of(extra_suffix));
    rc = check_host(&uri, loopback, extra, e);
    if (rc) return rc;

    const cloud *c = cloud_of(uri.host);
    *u = (ml_vault_url){.port = ml_uri_https_port(&uri), .is_loopback = loopback};
    copy_lower(u->host, uri.host);
    int n = snprintf(u->origin, sizeof(u->origin),
                     uri.is_ipv6 ? "https://[%s]" : "https://%s", u->host);
    if (u->port != 443) {
        snprintf(u->origin + n, sizeof(u->origin) - (size_t)n, ":%d", u->port);
    }
    snprintf(u->audience, sizeof(u->audience), "%s", c ? c->audience : "");
    snprintf(u->authority, sizeof(u->authority), "%s", c ? c->authority : "");
    return 0;
}

int ml_authority_check(ml_str text, char *out, size_t size, ml_err *e)
{
    ml_uri uri;
    int rc = check_shape(text, "authority host", &uri, e);
    if (rc) return rc;
    while (text.p[text.n - 1] == '/') text.n--;
    if (text.n >= size) {
        return ml_fail(e, ML_EUSAGE, "the authority host is longer than %zu bytes",
                       size - 1);
    }
    memcpy(out, text.p, text.n);
    out[text.n] = '\0';
    return 0;
}

/* Takes the segment after the slash that path begins with. */
static ml_str next_segment(ml_str *path)
{
    ml_str rest = {path->p + 1, path->n - 1};
    size_t end = ml_str_find(rest, '/');
    *path = (ml_str){rest.p + end, rest.n - end};
    return (ml_str){rest.p, end};
}

bool ml_secret_id_parse(ml_str id, ml_str *collection, ml_str *name, ml_str *version)
{
    ml_uri uri;
    if (!ml_uri_split(id, &uri) || uri.has_userinfo || uri.has_query ||
        uri.has_fragment) {
        return false;
    }
    if (!ml_str_ieq(uri.scheme, ML_LIT("https")) || uri.path.n == 0) return false;
    ml_str path = uri.path;
    ml_str parts[3] = {next_segment(&path), ML_LIT(""), ML_LIT("")};
    size_t n = 1;
    while (path.n > 0 && n < 3) parts[n++] = next_segment(&path);
    if (path.n > 0 || n < 2) return false;
    if (!ml_str_ieq(parts[0], ML_LIT("secrets")) &&
        !ml_str_ieq(parts[0], ML_LIT("deletedsecrets"))) {
        return false;
    }
    if (ml_secret_name_check(parts[1], NULL) != 0) return false;
    if (n == 3 && ml_secret_name_check(parts[2], NULL) != 0) return false;
    *collection = parts[0];
    *name = parts[1];
    *version = parts[2];
    return true;
}

bool ml_next_link_is_safe(const ml_vault_url *u, ml_str link)
{
    ml_uri uri;
    return ml_uri_split(link, &uri) && !uri.has_userinfo &&
           ml_str_ieq(uri.scheme, ML_LIT("https")) &&
           ml_str_ieq(uri.host, ml_str_of(u->host)) &&
           ml_uri_https_port(&uri) == u->port;
}
