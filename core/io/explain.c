/* explain.c - what curl's verdict means: an error that names the host and the cause. */
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "io/exchange.h"
#include "io/proxy.h"

enum { HOST_BYTES = 264, HOW_BYTES = HOST_BYTES + ML_PROXY_NAME + 32 };

/* The host of the URL, with its port. */
static void host_of(const ml_exchange *x, char out[HOST_BYTES])
{
    ml_str rest = ml_buf_str(&x->request->url);
    size_t scheme = strlen(x->request->is_plain ? "http://" : "https://");
    if (rest.n >= scheme) rest = (ml_str){rest.p + scheme, rest.n - scheme};
    rest.n = ml_str_find(rest, '?');
    ml_copy_printable(out, HOST_BYTES, rest.p, ml_str_find(rest, '/'));
}

/* Its answer has no room: within the limit, or in memory. */
static int fail_large(const ml_exchange *x, const char *host, ml_err *e)
{
    if (!x->response->body.is_full)
        return ml_fail(e, ML_ENOMEM, "out of memory for the answer of %s", host);
    return ml_fail(e, ML_EINVALID, "%s answered with more than %zu bytes%s", host,
                   x->response->body.max,
                   x->request->is_bare ? "" : ": is it really a Key Vault?");
}

static int fail_connect(const char *host, const ml_proxy *p, ml_err *e)
{
    if (!p->name[0]) {
        return ml_fail(e, ML_EUNAVAILABLE,
                       "cannot connect to %s: refused or unreachable; "
                       "check the port, the firewall and private endpoints",
                       host);
    }
    if (!p->is_supported) {
        return ml_fail(e, ML_EUNAVAILABLE,
                       "the proxy for %s has the scheme '%s': use http, https, socks4, "
                       "socks4a, socks5 or socks5h",
                       host, p->scheme);
    }
    return ml_fail(e, ML_EUNAVAILABLE,
                   "cannot connect to %s through the proxy %s: the proxy is refused or "
                   "unreachable; check HTTPS_PROXY and NO_PROXY",
                   host, p->name);
}

/* The proxy's own answer to CONNECT. */
static int fail_tunnel(const ml_exchange *x, const char *host, const ml_proxy *p,
                       ml_err *e)
{
    return ml_fail(
        e, ML_EUNAVAILABLE, "the proxy %s does not let through to %s: %s %d", p->name,
        host, x->proxy_status == 407 ? "it wants a user and password, HTTP" : "HTTP",
        x->proxy_status);
}

static int fail_broken(const ml_exchange *x, const char *how, ml_err *e)
{
    bool is_unsure = x->was_sent && !x->request->is_idempotent;
    return ml_fail(e, ML_EUNAVAILABLE, "%s closed the connection without an answer%s",
                   how,
                   is_unsure ? ": the change may have been made or not, look before "
                               "you repeat it"
                             : "");
}

/* libcurl compares names when OpenSSL has not refused the certificate before: it has no
 * word of its own for that. */
static int fail_trust(const ml_exchange *x, CURLcode code, const char *how, ml_err *e)
{
    bool is_refused = x->verified > X509_V_ERR_UNSPECIFIED;
    if (code == CURLE_PEER_FAILED_VERIFICATION && !is_refused) {
        return ml_fail(e, ML_EUNAVAILABLE,
                       "the TLS certificate that %s shows is another host's: check the "
                       "host in the URL, and who answers there",
                       how);
    }
    return ml_fail(
        e, ML_EUNAVAILABLE,
        "the TLS certificate of %s is not trusted%s%s%s: set SSL_CERT_FILE or "
        "the CA file option; never switch checking off",
        how, is_refused ? " (" : "",
        is_refused ? X509_verify_cert_error_string(x->verified) : "",
        is_refused ? ")" : "");
}

void ml_exchange_explain(const ml_exchange *x, CURLcode code, ml_err *e)
{
    char host[HOST_BYTES], how[HOW_BYTES]; /* how: the host, and the proxy if any */
    ml_proxy proxy;
    host_of(x, host);
    ml_proxy_for(&proxy, x->client->proxy, ml_str_of(host));
    if (x->request->is_plain) proxy = (ml_proxy){0};
    snprintf(how, sizeof(how), "%s%s%s", host,
             proxy.name[0] ? " (through the proxy " : "", proxy.name);
    if (proxy.name[0]) snprintf(how + strlen(how), sizeof(how) - strlen(how), ")");
    e->http_status = x->response->status;
    if (x->has_no_room) {
        fail_large(x, host, e);
        return;
    }
    if (x->proxy_status >= 300) {
        fail_tunnel(x, host, &proxy, e);
        return;
    }
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
        ml_fail(e, ML_EUNAVAILABLE, "host %s does not resolve: %s", host,
                x->request->is_bare ? "check its name and the name server"
                                    : "wrong vault name, wrong cloud suffix, or a "
                                      "missing private DNS zone");
        return;
    case CURLE_COULDNT_RESOLVE_PROXY:
        ml_fail(e, ML_EUNAVAILABLE,
                "the proxy %s for %s does not resolve: check HTTPS_PROXY", proxy.name,
                host);
        return;
    case CURLE_COULDNT_CONNECT: fail_connect(host, &proxy, e); return;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR: fail_trust(x, code, how, e); return;
    case CURLE_SSL_CONNECT_ERROR:
        ml_fail(e, ML_EUNAVAILABLE,
                "no TLS with %s: is this a TLS port, and of TLS 1.2 or newer?", how);
        return;
    case CURLE_OPERATION_TIMEDOUT:
        ml_fail(
            e, ML_EUNAVAILABLE,
            "no complete answer from %s in time: raise the deadline (--timeout), or "
            "look for a firewall that drops packets",
            how);
        return;
    case CURLE_SEND_FAIL_REWIND:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR: fail_broken(x, how, e); return;
    case CURLE_PARTIAL_FILE:
        ml_fail(e, ML_EINVALID, "the answer of %s broke off", how);
        return;
    case CURLE_OUT_OF_MEMORY:
        ml_fail(e, ML_ENOMEM, "out of memory while talking to %s", host);
        return;
    default:
        ml_fail(e, ML_EUNAVAILABLE, "talking to %s failed: %s", how,
                curl_easy_strerror(code));
    }
}
