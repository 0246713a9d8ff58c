/* test_texts.c - what a failure says: whose, of which secret, and what to try. */
#include "support.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

static server *vault;

static int start(void **state)
{
    clean_environment(state);
    vault = vault_start("--vault", "main", NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    server_stop(vault);
    return 0;
}

/* A port of loopback where nobody listens, or one that greets and hangs up. */
static int open_port(bool listens, int *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
    if (listens) assert_int_equal(listen(fd, 5), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

static void assert_says(const char *text)
{
    if (!strstr(last_error.text, text))
        fail_msg("not '%s' but: %s", text, last_error.text);
}

/* Gets `it` with a setup, and looks at what the failure names. */
static void assert_fails(const setup *s, int code, const char *text)
{
    ml_resolver *r = open_with(s);
    assert_int_equal(get_code(r, "it"), code);
    assert_says(text);
    assert_says("reading secret 'it' of ");
    assert_string_equal(last_error.key, "it");
    assert_true(last_error.source[0]);
    assert_null(strstr(last_error.text, "canary"));
    ml_close(r);
}

static void test_network(void **state)
{
    (void)state;
    int port;
    char url[64], text[128];
    int fd = open_port(false, &port);
    snprintf(url, sizeof(url), "https://localhost:%d", port);
    snprintf(text, sizeof(text), "cannot connect to localhost:%d", port);
    assert_fails(&(setup){.vault = vault, .url = url}, ML_EUNAVAILABLE, text);
    server other = *vault;
    snprintf(other.url, sizeof(other.url), "%s", url);
    assert_fails(&(setup){.vault = vault, .authority = &other}, ML_EUNAVAILABLE, text);
    static const char nowhere[] =
        "local ml = require 'moonlatch.policy'\n"
        "local kv = ml.azure_key_vault { vault_url = 'https://no-such.invalid',\n"
        "                                dns_suffix = '.invalid' }\n"
        "return ml.policy { ml.rule '**' { from = { kv } } }\n";
    assert_fails(&(setup){.vault = vault, .policy = nowhere}, ML_EUNAVAILABLE,
                 "host no-such.invalid does not resolve");
    close(fd);
}

static void test_token(void **state)
{
    (void)state;
    assert_fails(&(setup){.vault = vault, .client_secret = "canary-wrong"},
                 ML_EUNAUTHENTICATED, "AADSTS7000215");
}

/* The vault's answer has its own text, which begins the same way, once. */
static void test_once(void **state)
{
    (void)state;
    server *v = vault_start("--fault", "forbid=connection", NULL);
    assert_fails(&(setup){.vault = v}, ML_EFORBIDDEN, "closed to public networks");
    assert_null(strstr(strstr(last_error.text, "reading") + 1, "reading"));
    server_stop(v);
}

static void test_no_tls(void **state)
{
    (void)state;
    server *imds = vault_start("--imds-listen", "127.0.0.1:0", NULL);
    char url[64];
    snprintf(url, sizeof(url), "https://127.0.0.1:%d", imds->imds_port);
    assert_fails(&(setup){.vault = vault, .url = url}, ML_EUNAVAILABLE,
                 "is this a TLS port");
    server_stop(imds);
}

static void test_untrusted(void **state)
{
    (void)state;
    server *other = vault_start(NULL);
    assert_fails(&(setup){.vault = vault, .url = other->url}, ML_EUNAVAILABLE,
                 "is not trusted (unable to get local issuer certificate): set");
    server_stop(other);
}

static void test_another_hosts_certificate(void **state)
{
    (void)state;
    char url[64];
    const char *port = strrchr(vault->url, ':');
    snprintf(url, sizeof(url), "https://no-vault.localhost%s", port);
    assert_fails(&(setup){.vault = vault, .url = url}, ML_EUNAVAILABLE,
                 "is another host's: check the host in the URL");
}

static void test_proxy(void **state)
{
    (void)state;
    int port;
    char proxy[96], text[160];
    int fd = open_port(false, &port);
    snprintf(proxy, sizeof(proxy), "http://canary-user:canary-word@localhost:%d", port);
    snprintf(text, sizeof(text), "through the proxy localhost:%d", port);
    setenv("HTTPS_PROXY", proxy, 1);
    assert_fails(&(setup){.vault = vault}, ML_EUNAVAILABLE, text);
    setenv("HTTPS_PROXY", "http://canary-user@no-such.invalid:3128", 1);
    assert_fails(&(setup){.vault = vault}, ML_EUNAVAILABLE,
                 "the proxy no-such.invalid:3128 for localhost");
    setenv("HTTPS_PROXY", "ftp://localhost:21", 1);
    assert_fails(&(setup){.vault = vault}, ML_EUNAVAILABLE, "the scheme 'ftp'");
    unsetenv("HTTPS_PROXY");
    close(fd);
}

/* A proxy that refuses CONNECT: the plain-HTTP side of a dev vault. */
static void test_proxy_refuses(void **state)
{
    (void)state;
    server *imds = vault_start("--imds-listen", "127.0.0.1:0", NULL);
    char proxy[96], text[160];
    snprintf(proxy, sizeof(proxy), "http://canary@127.0.0.1:%d", imds->imds_port);
    snprintf(text, sizeof(text), "the proxy 127.0.0.1:%d does not let through",
             imds->imds_port);
    setenv("HTTPS_PROXY", proxy, 1);
    assert_fails(&(setup){.vault = vault}, ML_EUNAVAILABLE, text);
    unsetenv("HTTPS_PROXY");
    server_stop(imds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_network),
        cmocka_unit_test(test_token),
        cmocka_unit_test(test_once),
        cmocka_unit_test(test_no_tls),
        cmocka_unit_test(test_untrusted),
        cmocka_unit_test(test_another_hosts_certificate),
        cmocka_unit_test(test_proxy),
        cmocka_unit_test(test_proxy_refuses),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
