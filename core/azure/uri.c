/* uri.c - the parts of an absolute URI, as views of its bytes. */
#include "azure/uri.h"

#include <arpa/inet.h>
#include <string.h>

static ml_str tail(ml_str s, size_t from)
{
    return (ml_str){s.p + from, s.n - from};
}

static bool is_plain(ml_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == '\\') return false;
    }
    return true;
}

static bool is_address(int family, ml_str host)
{
    char text[64];
    unsigned char bytes[16];
    if (host.n >= sizeof(text)) return false;
    memcpy(text, host.p, host.n);
    text[host.n] = '\0';
    return inet_pton(family, text, bytes) == 1;
}

/* Labels of letters, digits, '-' and '_', with single dots between them. */
static bool is_host_name(ml_str host)
{
    if (host.n == 0 || host.n > ML_HOST_MAX) return false;
    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];
        if (c == '.' && (i == 0 || i == host.n - 1 || host.p[i + 1] == '.'))
            return false;
        if (c != '.' && c != '-' && c != '_' && !ml_is_alnum(c)) return false;
    }
    return true;
}

static bool split_port(ml_str text, ml_uri *u)
{
    uint64_t port = 0;
    if (text.n == 0) return true;
    if (text.p[0] != ':' || text.n > 6) return false;
    if (!ml_str_to_u64(tail(text, 1), &port) || port == 0 || port > 65535) return false;
    u->port = (int)port;
    return true;
}

static bool split_host(ml_str text, ml_uri *u)
{
    if (text.n > 0 && text.p[0] == '[') {
        size_t end = ml_str_find(text, ']');
        if (end == text.n) return false;
        u->host = (ml_str){text.p + 1, end - 1};
        u->is_ipv6 = u->is_address = true;
        return is_address(AF_INET6, u->host) && split_port(tail(text, end + 1), u);
    }
    size_t end = ml_str_find(text, ':');
    u->host = (ml_str){text.p, end};
    if (!is_host_name(u->host)) return false;
    char last = u->host.p[end - 1]; /* few names end in a digit, all addresses do */
    u->is_address = last >= '0' && last <= '9' && is_address(AF_INET, u->host);
    return split_port(tail(text, end), u);
}

bool ml_uri_split(ml_str text, ml_uri *u)
{
    *u = (ml_uri){.path = ML_LIT("")};
    size_t colon = ml_str_find(text, ':');
    if (!is_plain(text) || colon == 0 || colon == text.n) return false;
    u->scheme = (ml_str){text.p, colon};
    for (size_t i = 0; i < colon; i++) {
        if (!ml_is_alnum(text.p[i])) return false;
    }
    ml_str rest = tail(text, colon + 1);
    if (!ml_str_starts(rest, ML_LIT("//"))) return false;
    rest = tail(rest, 2);

    size_t fragment = ml_str_find(rest, '#');
    u->has_fragment = fragment < rest.n;
    rest.n = fragment;
    size_t query = ml_str_find(rest, '?');
    u->has_query = query < rest.n;
    rest.n = query;
    size_t path = ml_str_find(rest, '/');
    u->path = tail(rest, path);
    rest.n = path;

    size_t at = ml_str_find(rest, '@');
    u->has_userinfo = at < rest.n;
    return split_host(u->has_userinfo ? tail(rest, at + 1) : rest, u);
}

int ml_uri_https_port(const ml_uri *u)
{
    return u->port ? u->port : 443;
}
