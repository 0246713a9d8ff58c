/* proxy.c - which proxy a request goes through, for error texts: libcurl decides.
 *
 * Facts: libcurl's documentation of CURLOPT_PROXY, CURLOPT_NOPROXY and its environment
 * variables.  Address ranges in NO_PROXY are not understood here. */
#include "io/proxy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

static bool is_supported(ml_str scheme)
{
    static const char *const known[] = {"http",    "https",  "socks",  "socks4",
                                        "socks4a", "socks5", "socks5h"};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (ml_str_ieq(scheme, ml_str_of(known[i]))) return true;
    }
    return false;
}

static bool has_port(ml_str s)
{
    size_t n = s.n;
    while (n > 0 && s.p[n - 1] >= '0' && s.p[n - 1] <= '9') n--;
    return n > 0 && n < s.n && s.p[n - 1] == ':';
}

void ml_proxy_parse(ml_proxy *p, const char *text)
{
    *p = (ml_proxy){.is_supported = true};
    ml_str rest = ml_str_trim(ml_str_of(text)), scheme = ML_LIT("http");
    const char *mark = rest.n ? strstr(rest.p, "://") : NULL;
    if (mark) {
        scheme = (ml_str){rest.p, (size_t)(mark - rest.p)};
        rest = (ml_str){mark + 3, rest.n - scheme.n - 3};
    }
    for (size_t i = rest.n; i > 0; i--) { /* a password may hold anything but '@' */
        if (rest.p[i - 1] != '@') continue;
        rest = (ml_str){rest.p + i, rest.n - i};
        break;
    }
    rest.n = ml_str_find(rest, '/');
    if (rest.n == 0) return;
    p->is_supported = is_supported(scheme);
    ml_copy_printable(p->scheme, sizeof(p->scheme), scheme.p, scheme.n);
    ml_copy_printable(p->name, sizeof(p->name), rest.p, rest.n);
    size_t n = strlen(p->name);
    bool is_https = ml_str_ieq(scheme, ML_LIT("https"));
    if (!has_port(rest))
        snprintf(p->name + n, sizeof(p->name) - n, "%s", is_https ? ":443" : ":1080");
}

bool ml_proxy_is_excepted(const char *list, ml_str host)
{
    ml_str rest = ml_str_trim(ml_str_of(list));
    if (has_port(host)) host.n = (size_t)(strrchr(host.p, ':') - host.p);
    if (ml_str_eq(rest, ML_LIT("*"))) return true;
    while (rest.n > 0) {
        size_t n = 0;
        while (n < rest.n && rest.p[n] != ',' && rest.p[n] != ' ') n++;
        ml_str one = {rest.p, n};
        rest = (ml_str){rest.p + n, rest.n - n};
        if (rest.n) rest = (ml_str){rest.p + 1, rest.n - 1};
        if (one.n && one.p[0] == '.') one = (ml_str){one.p + 1, one.n - 1};
        if (one.n == 0 || !ml_str_iends(host, one)) continue;
        if (host.n == one.n || host.p[host.n - one.n - 1] == '.') return true;
    }
    return false;
}

static const char *first_set(const char *const *names)
{
    for (; *names; names++) {
        const char *text = getenv(*names);
        if (text && *text) return text;
    }
    return NULL;
}

void ml_proxy_for(ml_proxy *p, const char *configured, ml_str host)
{
    static const char *const proxies[] = {"https_proxy", "HTTPS_PROXY", "all_proxy",
                                          "ALL_PROXY", NULL};
    static const char *const exceptions[] = {"no_proxy", "NO_PROXY", NULL};
    bool is_excepted = ml_proxy_is_excepted(first_set(exceptions), host);
    ml_proxy_parse(p, is_excepted  ? NULL
                      : configured ? configured
                                   : first_set(proxies));
}
