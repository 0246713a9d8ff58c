/* test_url.c - which vault addresses, names, ids and links are let through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "azure/url.h"

static const char extra[] = ".vault.local.example";

static void test_good_urls(void **state)
{
    (void)state;
    static const struct {
        const char *text, *extra, *origin, *host;
        int port;
        bool is_loopback;
        const char *audience, *authority;
    } rows[] = {
        {"https://acme.vault.azure.net", NULL, "https://acme.vault.azure.net",
         "acme.vault.azure.net", 443, false, "https://vault.azure.net",
         "https://login.microsoftonline.com"},
        {"HTTPS://Acme-1.VAULT.Azure.NET/", NULL, "https://acme-1.vault.azure.net",
         "acme-1.vault.azure.net", 443, false, "https://vault.azure.net",
         "https://login.microsoftonline.com"},
        {"https://acme.vault.azure.net:443/", "", "https://acme.vault.azure.net",
         "acme.vault.azure.net", 443, false, "https://vault.azure.net",
         "https://login.microsoftonline.com"},
        {"https://acme.vault.azure.cn", NULL, "https://acme.vault.azure.cn",
         "acme.vault.azure.cn", 443, false, "https://vault.azure.cn",
         "https://login.chinacloudapi.cn"},
        {"https://acme.vault.usgovcloudapi.net", NULL,
         "https://acme.vault.usgovcloudapi.net", "acme.vault.usgovcloudapi.net", 443,
         false, "https://vault.usgovcloudapi.net", "https://login.microsoftonline.us"},
        {"https://acme.vault.microsoftazure.de", NULL,
         "https://acme.vault.microsoftazure.de", "acme.vault.microsoftazure.de", 443,
         false, "https://vault.microsoftazure.de", "https://login.microsoftonline.de"},
        {"https://localhost", NULL, "https://localhost", "localhost", 443, true, "",
         ""},
        {"https://LOCALHOST:8443", NULL, "https://localhost:8443", "localhost", 8443,
         true, "", ""},
        {"https://acme.localhost:1/", NULL, "https://acme.localhost:1",
         "acme.localhost", 1, true, "", ""},
        {"https://127.0.0.1:65535", NULL, "https://127.0.0.1:65535", "127.0.0.1", 65535,
         true, "", ""},
        {"https://127.255.0.9", NULL, "https://127.255.0.9", "127.255.0.9", 443, true,
         "", ""},
        {"https://[::1]:8443/", NULL, "https://[::1]:8443", "::1", 8443, true, "", ""},
        {"https://a.vault.local.example", extra, "https://a.vault.local.example",
         "a.vault.local.example", 443, false, "", ""},
        {"https://a_b.c.Vault.Local.Example:8443", extra,
         "https://a_b.c.vault.local.example:8443", "a_b.c.vault.local.example", 8443,
         false, "", ""},
        {"https://a.b.example", "example", "https://a.b.example", "a.b.example", 443,
         false, "", ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ml_vault_url u;
        ml_err e = {0};
        int rc = ml_vault_url_parse(&u, ml_str_of(rows[i].text), rows[i].extra, &e);
        if (rc != 0) fail_msg("%s: %s", rows[i].text, e.text);
        assert_string_equal(u.origin, rows[i].origin);
        assert_string_equal(u.host, rows[i].host);
        assert_int_equal(u.port, rows[i].port);
        assert_int_equal(u.is_loopback, rows[i].is_loopback);
        assert_string_equal(u.audience, rows[i].audience);
        assert_string_equal(u.authority, rows[i].authority);
    }
}

/* Each is refused before the network, with the reason in the text. */
static void test_bad_urls(void **state)
{
    (void)state;
    static const struct {
        const char *text, *extra, *reason;
    } rows[] = {
        {"", NULL, "empty"},
        {"acme", NULL, "not an absolute"},
        {"acme.vault.azure.net", NULL, "not an absolute"},
        {"//acme.vault.azure.net", NULL, "not an absolute"},
        {"https:acme.vault.azure.net", NULL, "not an absolute"},
        {"https:/acme.vault.azure.net", NULL, "not an absolute"},
        {"https://", NULL, "not an absolute"},
        {"https:///", NULL, "not an absolute"},
        {"https://acme.vault.azure.net\n", NULL, "not an absolute"},
        {" https://acme.vault.azure.net", NULL, "not an absolute"},
        {"https://acme.vault.azure.net\\", NULL, "not an absolute"},
        {"https://acme.vault.azure.net\\@evil.example", NULL, "not an absolute"},
        {"https://acm\xc3\xa9.vault.azure.net", NULL, "not an absolute"},
        {"https://acme%2evault.azure.net", NULL, "not an absolute"},
        {"https://acme..vault.azure.net", NULL, "not an absolute"},
        {"https://.vault.azure.net", NULL, "not an absolute"},
        {"https://acme.vault.azure.net.", NULL, "not an absolute"},
        {"https://acme.vault.azure.net:", NULL, "not an absolute"},
        {"https://acme.vault.azure.net:0", NULL, "not an absolute"},
        {"https://acme.vault.azure.net:65536", NULL, "not an absolute"},
        {"https://acme.vault.azure.net:+443", NULL, "not an absolute"},
        {"https://acme.vault.azure.net:443:443", NULL, "not an absolute"},
        {"https://[::1", NULL, "not an absolute"},
        {"https://[::g]", NULL, "not an absolute"},
        {"https://[::1]x", NULL, "not an absolute"},
        {"https://[::1%25eth0]", NULL, "not an absolute"},
        {"http://acme.vault.azure.net", NULL, "http://"},
        {"HTTP://localhost:8080", NULL, "http://"},
        {"ftp://acme.vault.azure.net", NULL, "does not begin with https"},
        {"https://user@acme.vault.azure.net", NULL, "user name or password"},
        {"https://user:pa55@acme.vault.azure.net", NULL, "user name or password"},
        {"https://user:pa55@x@acme.vault.azure.net", NULL, "user name or password"},
        {"https://acme.vault.azure.net@evil.example", NULL, "user name or password"},
        {"https://@acme.vault.azure.net", NULL, "user name or password"},
        {"https://acme.vault.azure.net/secrets", NULL, "path"},
        {"https://acme.vault.azure.net//", NULL, "path"},
        {"https://acme.vault.azure.net?x=pa55", NULL, "query"},
        {"https://acme.vault.azure.net/?", NULL, "query"},
        {"https://acme.vault.azure.net#", NULL, "fragment"},
        {"https://acme.vault.azure.net:8443", NULL, "port 443"},
        {"https://evil.example", NULL, "known cloud"},
        {"https://vault.azure.net", NULL, "known cloud"},
        {"https://evilvault.azure.net", NULL, "known cloud"},
        {"https://acme.vault.azure.net.evil.example", NULL, "known cloud"},
        {"https://10.0.0.1", NULL, "known cloud"},
        {"https://128.0.0.1", NULL, "known cloud"},
        {"https://127.1", NULL, "known cloud"},
        {"https://[::2]", NULL, "known cloud"},
        {"https://[::ffff:127.0.0.1]", NULL, "known cloud"},
        {"https://evillocalhost", NULL, "known cloud"},
        {"https://localhost.evil.example", NULL, "known cloud"},
        {"https://evil.example", "", "known cloud"},
        {"https://evil.example", ".", "known cloud"},
        {"https://evil.example.", ".", "not an absolute"},
        {"https://vault.local.example", extra, "known cloud"},
        {"https://evilvault.local.example", extra, "known cloud"},
        {"https://10.0.0.1", ".0.0.1", "known cloud"},
        {"https://acme.privatelink.vaultcore.azure.net", NULL, "private link"},
        {"https://acme.vaultcore.azure.net", NULL, "private link"},
        {"https://acme.managedhsm.azure.net", NULL, "HSM"},
        {"https://a.acme.vault.azure.net", NULL, "not a vault's name"},
        {"https://ab.vault.azure.net", NULL, "not a vault's name"},
        {"https://a234567890123456789012345.vault.azure.net", NULL,
         "not a vault's name"},
        {"https://1acme.vault.azure.net", NULL, "not a vault's name"},
        {"https://-acme.vault.azure.net", NULL, "not a vault's name"},
        {"https://acme-.vault.azure.net", NULL, "not a vault's name"},
        {"https://ac--me.vault.azure.net", NULL, "not a vault's name"},
        {"https://ac_me.vault.azure.net", NULL, "not a vault's name"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ml_vault_url u = {.port = 7};
        ml_err e = {0};
        int rc = ml_vault_url_parse(&u, ml_str_of(rows[i].text), rows[i].extra, &e);
        if (rc != ML_EUSAGE || e.code != rc || !strstr(e.text, rows[i].reason)) {
            fail_msg("%s: %d '%s'", rows[i].text, rc, e.text);
        }
        assert_int_equal(u.port, 7);
        assert_null(strstr(e.text, "pa55"));
        assert_int_equal(ml_vault_url_parse(&u, ml_str_of(rows[i].text), rows[i].extra,
                                            NULL),
                         ML_EUSAGE);
    }
}

/* The longest host that DNS allows fits; one more byte is refused. */
static void test_long_hosts(void **state)
{
    (void)state;
    char text[400] = "https://";
    for (size_t n = 240; n < 300; n++) {
        memset(text + 8, 'a', n);
        memcpy(text + 8 + n, ".localhost:65535", 17);
        ml_vault_url u;
        int rc = ml_vault_url_parse(&u, ml_str_of(text), NULL, NULL);
        assert_int_equal(rc, n + 10 <= 253 ? 0 : ML_EUSAGE);
        if (rc == 0) assert_string_equal(u.origin, text);
    }
}

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *name, *reason; /* NULL: good */
    } rows[] = {
        {"a", NULL},          {"airflow-variables-hello", NULL},
        {"-", NULL},          {"0-9", NULL},
        {"AbC", NULL},        {"", "empty"},
        {"a_b", "'_'"},       {"a.b", "'.'"},
        {"a/b", "'/'"},       {"..", "'.'"},
        {"a%2fb", "'%'"},     {"a?b", "'?'"},
        {"a b", "0x20"},      {"a\nb", "0x0a"},
        {"\xc3\xa4", "0xc3"}, {"a#", "'#'"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ml_err e = {0};
        int rc = ml_secret_name_check(ml_str_of(rows[i].name), &e);
        assert_int_equal(rc, rows[i].reason ? ML_EUSAGE : 0);
        if (rows[i].reason && !strstr(e.text, rows[i].reason)) fail_msg("%s", e.text);
    }
    char name[129];
    memset(name, 'x', sizeof(name));
    assert_int_equal(ml_secret_name_check((ml_str){name, 127}, NULL), 0);
    assert_int_equal(ml_secret_name_check((ml_str){name, 128}, NULL), ML_EUSAGE);
    assert_int_equal(ml_secret_name_check((ml_str){"a\0b", 3}, NULL), ML_EUSAGE);
}

static void test_versions(void **state)
{
    (void)state;
    static const char good[] = "0123456789abcdefABCDEF0123456789";
    assert_int_equal(ml_secret_version_check(ml_str_of(good), NULL), 0);
    assert_int_equal(ml_secret_version_check((ml_str){good, 31}, NULL), ML_EUSAGE);
    assert_int_equal(ml_secret_version_check((ml_str){good, 33}, NULL), ML_EUSAGE);
    assert_int_equal(ml_secret_version_check(ML_LIT(""), NULL), ML_EUSAGE);
    static const char *const bad[] = {
        "0123456789abcdefABCDEF012345678g", "0123456789abcdefABCDEF01234567-9",
        "0123456789abcdefABCDEF012345678/", "0123456789abcdefABCDEF012345678@",
        "0123456789abcdefABCDEF012345678 ", "0123456789abcdefABCDEF012345678!"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(ml_secret_version_check(ml_str_of(bad[i]), NULL), ML_EUSAGE);
    }
}

static void test_tenants(void **state)
{
    (void)state;
    static const char *const good[] = {"72f988bf-86f1-41af-91ab-2d7cd011db47",
                                       "contoso.onmicrosoft.com", "adfs", "common"};
    static const char *const bad[] = {"",    "a/b",  "..",        ".",   "a b",
                                      "a?b", "a%2f", "t\xc3\xa4", "a\n", "a_b"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(ml_tenant_check(ml_str_of(good[i]), NULL), 0);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(ml_tenant_check(ml_str_of(bad[i]), NULL), ML_EUSAGE);
    }
    char text[254];
    memset(text, 'x', sizeof(text));
    assert_int_equal(ml_tenant_check((ml_str){text, 253}, NULL), 0);
    assert_int_equal(ml_tenant_check((ml_str){text, 254}, NULL), ML_EUSAGE);
}

static void test_authority(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out; /* NULL: refused */
    } rows[] = {
        {"https://login.microsoftonline.com", "https://login.microsoftonline.com"},
        {"https://login.microsoftonline.com/", "https://login.microsoftonline.com"},
        {"https://login.microsoftonline.com//", "https://login.microsoftonline.com"},
        {"https://localhost:8444/", "https://localhost:8444"},
        {"https://adfs.local.example/adfs/", "https://adfs.local.example/adfs"},
        {"http://login.microsoftonline.com", NULL},
        {"login.microsoftonline.com", NULL},
        {"https://", NULL},
        {"", NULL},
        {"https://u:p@login.microsoftonline.com", NULL},
        {"https://login.microsoftonline.com/?x", NULL},
        {"https://login.microsoftonline.com/#x", NULL},
        {"https://login.microsoftonline.com/ x", NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char out[300] = "untouched";
        int rc = ml_authority_check(ml_str_of(rows[i].in), out, sizeof(out), NULL);
        assert_int_equal(rc, rows[i].out ? 0 : ML_EUSAGE);
        assert_string_equal(out, rows[i].out ? rows[i].out : "untouched");
    }
    char tiny[8];
    assert_int_equal(ml_authority_check(ML_LIT("https://x.example"), tiny, sizeof(tiny),
                                        NULL),
                     ML_EUSAGE);
}

static void test_ids(void **state)
{
    (void)state;
    static const struct {
        const char *id, *collection, *name, *version; /* collection NULL: refused */
    } rows[] = {
        {"https://a.vault.azure.net/secrets/n/0123456789abcdef0123456789abcdef",
         "secrets", "n", "0123456789abcdef0123456789abcdef"},
        {"https://a.vault.azure.net:443/secrets/n", "secrets", "n", ""},
        {"https://localhost:8443/deletedsecrets/n", "deletedsecrets", "n", ""},
        {"https://[::1]:8443/secrets/n/v", "secrets", "n", "v"},
        {"HTTPS://A/Secrets/N", "Secrets", "N", ""},
        {"https://a/secrets", NULL, NULL, NULL},
        {"https://a/secrets/", NULL, NULL, NULL},
        {"https://a/secrets//v", NULL, NULL, NULL},
        {"https://a/secrets/n/", NULL, NULL, NULL},
        {"https://a/secrets/n/v/", NULL, NULL, NULL},
        {"https://a/secrets/n/v/x", NULL, NULL, NULL},
        {"https://a//secrets/n", NULL, NULL, NULL},
        {"https://a/keys/n/v", NULL, NULL, NULL},
        {"https://a/secrets/n_m", NULL, NULL, NULL},
        {"https://a/secrets/../v", NULL, NULL, NULL},
        {"https://a/secrets/n?x", NULL, NULL, NULL},
        {"https://a/secrets/n#x", NULL, NULL, NULL},
        {"https://u@a/secrets/n", NULL, NULL, NULL},
        {"http://a/secrets/n", NULL, NULL, NULL},
        {"/secrets/n", NULL, NULL, NULL},
        {"https://a", NULL, NULL, NULL},
        {"", NULL, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ml_str c, n, v;
        bool good = ml_secret_id_parse(ml_str_of(rows[i].id), &c, &n, &v);
        if (good != (rows[i].collection != NULL)) fail_msg("%s", rows[i].id);
        if (!good) continue;
        assert_true(ml_str_eq(c, ml_str_of(rows[i].collection)));
        assert_true(ml_str_eq(n, ml_str_of(rows[i].name)));
        assert_true(ml_str_eq(v, ml_str_of(rows[i].version)));
    }
}

static void test_next_links(void **state)
{
    (void)state;
    static const struct {
        const char *vault, *link;
        bool is_safe;
    } rows[] = {
        {"https://acme.vault.azure.net",
         "https://acme.vault.azure.net:443/"
         "secrets?api-version=7.5&$skiptoken=a%2Fb==&maxresults=2",
         true},
        {"https://acme.vault.azure.net", "https://acme.vault.azure.net/secrets?x",
         true},
        {"https://acme.vault.azure.net", "HTTPS://ACME.Vault.Azure.Net/secrets", true},
        {"https://localhost:8443", "https://localhost:8443/secrets", true},
        {"https://[::1]:8443", "https://[::1]:8443/secrets", true},
        {"https://localhost:8443", "https://localhost/secrets", false},
        {"https://localhost:8443", "https://localhost:443/secrets", false},
        {"https://acme.vault.azure.net", "https://acme.vault.azure.net:8443/secrets",
         false},
        {"https://acme.vault.azure.net", "http://acme.vault.azure.net/secrets", false},
        {"https://acme.vault.azure.net", "http://acme.vault.azure.net:443/secrets",
         false},
        {"https://acme.vault.azure.net", "https://evil.example/secrets", false},
        {"https://acme.vault.azure.net", "https://acme.vault.azure.net.evil.example/",
         false},
        {"https://acme.vault.azure.net", "https://xacme.vault.azure.net/secrets",
         false},
        {"https://acme.vault.azure.net", "https://acme.vault.azure.net@evil.example/",
         false},
        {"https://acme.vault.azure.net", "https://u@acme.vault.azure.net/secrets",
         false},
        {"https://acme.vault.azure.net", "https://@acme.vault.azure.net/secrets",
         false},
        {"https://acme.vault.azure.net", "https://evil.example\\@acme.vault.azure.net/",
         false},
        {"https://acme.vault.azure.net", "https://evil.example#@acme.vault.azure.net/",
         false},
        {"https://acme.vault.azure.net", "https://evil.example?@acme.vault.azure.net/",
         false},
        {"https://acme.vault.azure.net", "//acme.vault.azure.net/secrets", false},
        {"https://acme.vault.azure.net", "/secrets?$skiptoken=x", false},
        {"https://acme.vault.azure.net", "https://acme.vault.azure.net /secrets",
         false},
        {"https://acme.vault.azure.net", "https://acme.vault.azure.net/a\r\nb", false},
        {"https://acme.vault.azure.net", " https://acme.vault.azure.net/", false},
        {"https://acme.vault.azure.net", "https://acme.vault.azure.net./", false},
        {"https://acme.vault.azure.net", "https:///secrets", false},
        {"https://acme.vault.azure.net", "", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ml_vault_url u;
        assert_int_equal(ml_vault_url_parse(&u, ml_str_of(rows[i].vault), NULL, NULL),
                         0);
        if (ml_next_link_is_safe(&u, ml_str_of(rows[i].link)) != rows[i].is_safe) {
            fail_msg("%s", rows[i].link);
        }
    }
    ml_vault_url u;
    assert_int_equal(ml_vault_url_parse(&u, ML_LIT("https://localhost"), NULL, NULL),
                     0);
    assert_false(ml_next_link_is_safe(&u, ML_LIT("https://localhost/a\0b")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_urls),  cmocka_unit_test(test_bad_urls),
        cmocka_unit_test(test_long_hosts), cmocka_unit_test(test_names),
        cmocka_unit_test(test_versions),   cmocka_unit_test(test_tenants),
        cmocka_unit_test(test_authority),  cmocka_unit_test(test_ids),
        cmocka_unit_test(test_next_links)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
