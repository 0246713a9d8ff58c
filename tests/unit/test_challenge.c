/* test_challenge.c - reading WWW-Authenticate, and refusing what asks for too much. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "azure/base64.h"
#include "azure/challenge.h"

static int parse_one(ml_challenge *c, const char *line, ml_err *e)
{
    ml_str lines[] = {ml_str_of(line)};
    return ml_challenge_parse(c, lines, 1, e);
}

#define TENANT "11111111-2222-3333-4444-555555555555"
#define KV     "https://vault.azure.net"
#define LOGIN  "https://login.microsoftonline.com/" TENANT

static void test_good(void **state)
{
    (void)state;
    static const struct {
        const char *line, *tenant, *resource, *error;
    } rows[] = {
        {"Bearer authorization=\"" LOGIN "\", resource=\"" KV "\"", TENANT, KV, ""},
        {"Bearer resource=\"" KV "\",authorization=\"" LOGIN "\"", TENANT, KV, ""},
        {"bEARER authorization_uri=\"" LOGIN "\" scope=\"" KV "/.default\"", TENANT, KV,
         ""},
        {"Bearer authorization_url=" LOGIN " resource=" KV, TENANT, KV, ""},
        {"Bearer authorization_uri=" LOGIN ",resource=" KV, TENANT, KV, ""},
        {"  Bearer\tAuthorization = \"" LOGIN "\" ,, RESOURCE = \"" KV "/\" ,", TENANT,
         KV, ""},
        {"Bearer authorization=\"" LOGIN "/oauth2/authorize?x=1#y\", resource=\"" KV
         "\"",
         TENANT, KV, ""},
        /* resource wins over scope, whatever the order */
        {"Bearer scope=\"https://x/.default\", resource=\"" KV "\"", "", KV, ""},
        {"Bearer resource=\"" KV "\", scope=\"https://x/.default\"", "", KV, ""},
        {"Bearer resource=\"\", scope=\"" KV "/.default\"", "", "", ""},
        {"Bearer resource=\"" KV "//\"", "", KV "/", ""},
        {"Bearer scope=\"" KV "//.default\"", "", KV, ""},
        /* several schemes, the Bearer first, last, between, bare */
        {"PoP nonce=\"a, Bearer resource=evil\", Bearer resource=\"" KV "\"", "", KV,
         ""},
        {"Basic realm=\"x\\\" Bearer resource=evil\", Bearer resource=" KV, "", KV, ""},
        {"Bearer resource=\"" KV "\", PoP resource=\"https://evil\"", "", KV, ""},
        {"Bearer resource=" KV ", Bearer resource=https://evil", "", KV, ""},
        {"Negotiate, Bearer resource=" KV, "", KV, ""},
        {"Negotiate abc+/d==, Bearer resource=" KV, "", KV, ""},
        {"Bearer", "", "", ""},
        {"Bearer, Basic realm=x", "", "", ""},
        /* the first of two equal names counts */
        {"Bearer resource=" KV ", resource=https://evil", "", KV, ""},
        {"Bearer resource=\"https:\\/\\/a\\\"b,c\"", "", "https://a\"b,c", ""},
        {"Bearer authorization=\"https://adfs.local/adfs\", "
         "resource=\"https://vault.adfs.local/5f4e\"",
         "adfs", "https://vault.adfs.local/5f4e", ""},
        /* an authority that gives no tenant is no error */
        {"Bearer authorization=\"https://login.example\", resource=" KV, "", KV, ""},
        {"Bearer authorization=\"https://login.example/\", resource=" KV, "", KV, ""},
        {"Bearer authorization=\"https://login.example/../x\", resource=" KV, "", KV,
         ""},
        {"Bearer authorization=\"https://login.example/a%2fb\", resource=" KV, "", KV,
         ""},
        {"Bearer authorization=\"nonsense\", resource=" KV, "", KV, ""},
        {"Bearer realm=\"\", error=\"invalid_token\", authorization_uri=\"" LOGIN "\"",
         TENANT, "", "invalid_token"},
        {"Bearer x=\"=,;\", resource=" KV "?a=b", "", KV "?a=b", ""},
    };
    ml_challenge c;
    ml_challenge_init(&c);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ml_err e = {0};
        if (parse_one(&c, rows[i].line, &e) != 0)
            fail_msg("%s: %s", rows[i].line, e.text);
        if (strcmp(c.tenant, rows[i].tenant) != 0 ||
            strcmp(c.resource, rows[i].resource) != 0 ||
            strcmp(c.error, rows[i].error) != 0) {
            fail_msg("%s: '%s' '%s' '%s'", rows[i].line, c.tenant, c.resource, c.error);
        }
        assert_int_equal(c.claims.len, 0);
    }
    ml_challenge_fini(&c);
}

static void test_bad(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "",
        " , ,, ",
        "Basic realm=\"x\"",
        "PoP nonce=\"a\"",
        "BearerX resource=" KV,
        "resource=" KV,
        "Bearer resource=\"" KV,
        "Bearer resource=\"" KV "\\\"",
        "Bearer resource=\"a\\",
        "Bearer \"" KV "\"",
        "Bearer =x",
        "Bearer resource=\"a\x01"
        "b\"",
        "Bearer resource=\"a\xc3\xa4\"",
        "Basic realm=\"open, Bearer resource=" KV,
        "Bearer claims=\"!!!!\"",
        "Bearer claims=\"e\"",
        "Bearer claims=\"bm90IGpzb24=\"", /* not json */
        "Bearer claims=\"WzFd\"",         /* [1] */
        "Bearer claims=\"e30=e30=\"",
        "Bearer claims=\"e30==\"",
    };
    ml_challenge c;
    ml_challenge_init(&c);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        ml_err e = {0};
        if (parse_one(&c, lines[i], &e) != ML_EINVALID) fail_msg("%s", lines[i]);
        assert_int_equal(e.code, ML_EINVALID);
        assert_string_equal(c.resource, "");
        assert_string_equal(c.tenant, "");
        assert_int_equal(c.claims.len, 0);
    }
    assert_int_equal(ml_challenge_parse(&c, NULL, 0, NULL), ML_EINVALID);
    ml_challenge_fini(&c);
}

/* What does not fit is refused, never cut: a cut resource would be another one. */
static void test_too_long(void **state)
{
    (void)state;
    char line[700] = "Bearer resource=https://";
    size_t head = strlen(line);
    ml_challenge c;
    ml_challenge_init(&c);
    for (size_t n = 200; n < 600; n++) {
        memset(line + head, 'a', n);
        line[head + n] = '\0';
        size_t length = n + 8;
        assert_int_equal(parse_one(&c, line, NULL), length < 256 ? 0 : ML_EINVALID);
    }
    ml_challenge_fini(&c);
}

/* Several header lines: the first Bearer counts; a broken line of another scheme does
 * not hide it. */
static void test_lines(void **state)
{
    (void)state;
    ml_str lines[] = {ML_LIT("Basic realm=\"open"), ML_LIT(""), ML_LIT("PoP x=1"),
                      ML_LIT("Bearer resource=" KV),
                      ML_LIT("Bearer resource=https://evil")};
    ml_challenge c;
    ml_challenge_init(&c);
    assert_int_equal(ml_challenge_parse(&c, lines, 5, NULL), 0);
    assert_string_equal(c.resource, KV);
    /* a new parse forgets the old one */
    assert_int_equal(ml_challenge_parse(&c, lines, 3, NULL), ML_EINVALID);
    assert_string_equal(c.resource, "");
    ml_challenge_fini(&c);
}

/* Claims in both alphabets, with and without padding. */
static void test_claims(void **state)
{
    (void)state;
    static const struct {
        const char *coded, *json;
    } rows[] = {
        {"eyJhIjoxfQ==", "{\"a\":1}"},
        {"eyJhIjoxfQ", "{\"a\":1}"},
        {"e30=", "{}"},
        {"e30", "{}"},
        {"eyJhIjoiPz8/fn5+In0=", "{\"a\":\"???~~~\"}"},
        {"eyJhIjoiPz8_fn5-In0", "{\"a\":\"???~~~\"}"},
    };
    ml_challenge c;
    ml_challenge_init(&c);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (int quoted = 0; quoted < 2; quoted++) {
            char line[200];
            snprintf(line, sizeof(line),
                     "Bearer realm=\"\", authorization_uri=\"" LOGIN
                     "\", error=\"insufficient_claims\", claims=%s%s%s",
                     quoted ? "\"" : "", rows[i].coded, quoted ? "\"" : "");
            ml_err e = {0};
            if (parse_one(&c, line, &e) != 0) fail_msg("%s: %s", line, e.text);
            assert_string_equal(c.error, "insufficient_claims");
            assert_string_equal(c.claims.data, rows[i].json);
        }
    }
    ml_challenge_fini(&c);
}

static void test_check(void **state)
{
    (void)state;
    static const struct {
        const char *vault, *resource, *expected;
        bool verify, is_good;
    } rows[] = {
        /* the dot rule */
        {"https://acme.vault.azure.net", KV, "", true, true},
        {"https://acme.vault.azure.net", "https://VAULT.Azure.net", "", true, true},
        {"https://acme.vault.azure.net", "HTTPS://vault.azure.net/some/path", "", true,
         true},
        {"https://acme.vault.azure.net", "https://acme.vault.azure.net", "", true,
         true},
        {"https://acme.vault.azure.net", "https://me.vault.azure.net", "", true, false},
        {"https://acme.vault.azure.net", "https://x.acme.vault.azure.net", "", true,
         false},
        {"https://acme.vault.azure.net", "https://management.azure.com", "", true,
         false},
        {"https://acme.vault.azure.net", "https://graph.microsoft.com", "", true,
         false},
        {"https://evilvault.azure.net", KV, "", true, false},
        {"https://localhost:8443", "https://localhost:8443", "", true, true},
        {"https://localhost:8443", "https://localhost", "", true, true},
        {"https://v.localhost:8443", "https://localhost:9", "", true, true},
        {"https://127.0.0.1:8443", "https://127.0.0.1", "", true, true},
        {"https://127.0.0.1:8443", "https://0.0.1", "", true, false},
        {"https://127.0.0.1:8443", "https://1", "", true, false},
        {"https://[::1]:8443", "https://[::1]:8443", "", true, true},
        {"https://localhost:8443", KV, "", true, false},
        /* verification off: any host, the syntax rules stay */
        {"https://localhost:8443", KV, "", false, true},
        {"https://evilvault.azure.net", KV, "", false, true},
        {"https://localhost:8443", "", "", false, false},
        {"https://localhost:8443", "http://vault.azure.net", "", false, false},
        {"https://localhost:8443", "vault.azure.net", "", false, false},
        {"https://localhost:8443", "/vault.azure.net", "", false, false},
        {"https://localhost:8443", "//vault.azure.net", "", false, false},
        {"https://localhost:8443", "https://", "", false, false},
        {"https://localhost:8443", "https:///x", "", false, false},
        {"https://localhost:8443", "https://:8443", "", false, false},
        {"https://localhost:8443", "https://.", "", false, false},
        {"https://localhost:8443", "https://u:p@vault.azure.net", "", false, false},
        {"https://localhost:8443", KV "?x", "", false, false},
        {"https://localhost:8443", KV "#x", "", false, false},
        {"https://localhost:8443", KV " https://x", "", false, false},
        {"https://localhost:8443", "https://[::1", "", false, false},
        {"https://acme.vault.azure.net", "", "", true, false},
        {"https://acme.vault.azure.net", "http://vault.azure.net", "", true, false},
        {"https://acme.vault.azure.net", "https://vault.azure.net@evil", "", true,
         false},
        {"https://acme.vault.azure.net", "https://evil@vault.azure.net", "", true,
         false},
        /* a configured audience must be met exactly, whatever the host */
        {"https://acme.vault.azure.net", KV, KV, true, true},
        {"https://acme.vault.azure.net", KV, KV "/", true, true},
        {"https://acme.vault.azure.net", "https://Vault.azure.net", KV, true, true},
        {"https://localhost:8443", KV, KV, true, true},
        {"https://acme.vault.azure.net", "https://azure.net", KV, true, false},
        {"https://acme.vault.azure.net", KV "/x", KV, true, false},
        {"https://acme.vault.azure.net", "https://acme.vault.azure.net", KV, true,
         false},
        {"https://acme.vault.azure.net", "", KV, true, false},
    };
    ml_challenge c;
    ml_challenge_init(&c);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ml_vault_url u;
        assert_int_equal(
            ml_vault_url_parse(&u, ml_str_of(rows[i].vault), "azure.net", NULL), 0);
        snprintf(c.resource, sizeof(c.resource), "%s", rows[i].resource);
        ml_err e = {0};
        int rc = ml_challenge_check(&c, &u, rows[i].expected, rows[i].verify, &e);
        if (rc != (rows[i].is_good ? 0 : ML_EUNAUTHENTICATED)) {
            fail_msg("%s %s: %d", rows[i].vault, rows[i].resource, rc);
        }
        assert_int_equal(e.code, rc);
    }
    ml_challenge_fini(&c);
}

/* The text names both sides, and holds neither query nor userinfo of the resource. */
static void test_check_text(void **state)
{
    (void)state;
    ml_vault_url u;
    ml_challenge c;
    ml_err e;
    ml_challenge_init(&c);
    assert_int_equal(
        ml_vault_url_parse(&u, ML_LIT("https://acme.vault.azure.net"), NULL, &e), 0);
    snprintf(c.resource, sizeof(c.resource), "https://management.azure.com");
    assert_int_equal(ml_challenge_check(&c, &u, NULL, true, &e), ML_EUNAUTHENTICATED);
    assert_non_null(strstr(e.text, "acme.vault.azure.net"));
    assert_non_null(strstr(e.text, "management.azure.com"));
    snprintf(c.resource, sizeof(c.resource), "https://x/?canary=1");
    assert_int_equal(ml_challenge_check(&c, &u, NULL, true, &e), ML_EUNAUTHENTICATED);
    assert_null(strstr(e.text, "canary"));
    snprintf(c.resource, sizeof(c.resource), "https://u:canary@x/");
    assert_int_equal(ml_challenge_check(&c, &u, NULL, true, &e), ML_EUNAUTHENTICATED);
    assert_null(strstr(e.text, "canary"));
    ml_challenge_fini(&c);
}

/* RFC 4648 vectors, and the lengths no encoder makes. */
static void test_base64(void **state)
{
    (void)state;
    static const struct {
        const char *coded, *plain; /* NULL: refused */
    } rows[] = {
        {"", ""},
        {"Zg==", "f"},
        {"Zg", "f"},
        {"Zm8=", "fo"},
        {"Zm8", "fo"},
        {"Zm9v", "foo"},
        {"Zm9vYg==", "foob"},
        {"Zm9vYmE=", "fooba"},
        {"Zm9vYmFy", "foobar"},
        {"Z", NULL},
        {"Zm9vY", NULL},
        {"Zg=", NULL},
        {"=", NULL},
        {"==", NULL},
        {"Zg===", NULL},
        {"Z g=", NULL},
        {"Zm9v\n", NULL},
        {"Zm=v", NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ml_buf b;
        ml_buf_init(&b, 0);
        bool good = ml_base64_decode(ml_str_of(rows[i].coded), &b);
        if (good != (rows[i].plain != NULL)) fail_msg("'%s'", rows[i].coded);
        if (good) assert_true(ml_str_eq(ml_buf_str(&b), ml_str_of(rows[i].plain)));
        ml_buf_fini(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),       cmocka_unit_test(test_bad),
        cmocka_unit_test(test_too_long),   cmocka_unit_test(test_lines),
        cmocka_unit_test(test_claims),     cmocka_unit_test(test_check),
        cmocka_unit_test(test_check_text), cmocka_unit_test(test_base64)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
