/* test_entra.c - token requests on bytes: built, parsed, explained, renewed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "azure/entra.h"

#define HOST   "login.microsoftonline.com"
#define TENANT "contoso.example"
#define CLIENT "6e1f0000-0000-0000-0000-00000000c11e"

static int parse(int status, const char *body, int64_t wall_s, ml_token *t, ml_err *e)
{
    *e = (ml_err){0};
    return ml_entra_parse(status, ml_str_of(body), HOST, TENANT, CLIENT, wall_s, t, e);
}

static void test_build(void **state)
{
    (void)state;
    static const struct {
        const char *tenant, *claims, *url, *form;
    } rows[] = {
        {TENANT, "", "https://" HOST "/" TENANT "/oauth2/v2.0/token",
         "client_id=id&scope=https%3A%2F%2Fvault.azure.net%2F.default"
         "&client_secret=~%2B%26%25%2F%3D%20x&grant_type=client_credentials"},
        {"adfs", "", "https://" HOST "/adfs/oauth2/token",
         "client_id=id&scope=https%3A%2F%2Fvault.azure.net"
         "&client_secret=~%2B%26%25%2F%3D%20x&grant_type=client_credentials"},
        {TENANT, "{\"a\":1}", "https://" HOST "/" TENANT "/oauth2/v2.0/token",
         "client_id=id&scope=https%3A%2F%2Fvault.azure.net%2F.default"
         "&client_secret=~%2B%26%25%2F%3D%20x&grant_type=client_credentials"
         "&claims=%7B%22a%22%3A1%7D"},
    };
    ml_secret *secret = ml_secret_of_bytes(ML_LIT("~+&%/= x"));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ml_entra_request q = {.authority = "https://" HOST,
                              .tenant = rows[i].tenant,
                              .audience = "https://vault.azure.net",
                              .client_id = "id",
                              .client_secret = secret,
                              .claims = ml_str_of(rows[i].claims)};
        ml_buf url, form;
        ml_err e = {0};
        ml_buf_init(&url, 0);
        ml_buf_init(&form, 0);
        assert_int_equal(ml_entra_build(&q, &url, &form, &e), 0);
        assert_string_equal(url.data, rows[i].url);
        assert_string_equal(form.data, rows[i].form);
        ml_buf_fini(&url);
        ml_buf_fini(&form);
    }
    ml_secret_unref(secret);
}

static void test_success(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        int64_t wall_s, lifetime_s, refresh_s;
    } rows[] = {
        {"{\"token_type\":\"Bearer\",\"expires_in\":3599,\"ext_expires_in\":3599,"
         "\"access_token\":\"tok-1\"}",
         0, 3599, 0},
        {"{\"access_token\":\"tok-1\",\"expires_in\":\"3599\"}", 0, 3599, 0},
        {"{\"access_token\":\"tok-1\",\"expires_in\":0}", 0, 0, 0},
        {"{\"access_token\":\"tok-1\",\"expires_in\":2147483647}", 0, 2147483647, 0},
        {"{\"access_token\":\"tok-1\",\"expires_in\":86400,\"refresh_in\":43200}", 0,
         86400, 43200},
        {"{\"access_token\":\"tok-1\",\"expires_in\":10,\"refresh_in\":\"5\"}", 0, 10,
         5},
        {"{\"access_token\":\"tok-1\",\"expires_in\":10,\"refresh_in\":null}", 0, 10,
         0},
        {"{\"access_token\":\"tok-1\",\"expires_in\":10,\"refresh_in\":\"\"}", 0, 10,
         0},
        {"{\"access_token\":\"tok-1\",\"expires_in\":10,\"refresh_in\":[{}],\"x\":1}",
         0, 10, 0},
        {"{\"access_token\":\"tok-1\",\"expires_on\":1000100}", 1000000, 100, 0},
        {"{\"access_token\":\"tok-1\",\"expires_on\":\"1000100\"}", 1000000, 100, 0},
        {"{\"access_token\":\"tok-1\",\"expires_on\":999}", 1000, 0, 0},
        {"{\"access_token\":\"tok-1\",\"expires_on\":253402300799}", 0, 2147483647, 0},
        {"{\"access_token\":\"tok-1\",\"expires_on\":1000,\"expires_in\":7}", 0, 7, 0},
        {"{\"access_token\":\"tok-1\",\"expires_on\":9,\"expires_in\":null}", 2, 7, 0},
        {"{\"token_type\":1,\"access_token\":\"tok-1\",\"expires_in\":5}", 0, 5, 0},
        {"{\"token_type\":\"bEARER\",\"access_token\":\"tok-1\",\"expires_in\":5}", 0,
         5, 0},
        {" {\"x\":[{\"access_token\":\"no\"}],\"access_\\u0074oken\":\"t\\u006fk-1\","
         "\"expires_in\":5,\"y\":null} \r\n",
         0, 5, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ml_token t = {0};
        ml_err e;
        if (parse(200, rows[i].body, rows[i].wall_s, &t, &e) != 0) {
            fail_msg("%s: %s", rows[i].body, e.text);
        }
        assert_true(ml_str_eq(ml_secret_value(t.secret), ML_LIT("tok-1")));
        if (t.lifetime_s != rows[i].lifetime_s || t.refresh_s != rows[i].refresh_s) {
            fail_msg("%s: %d %d", rows[i].body, (int)t.lifetime_s, (int)t.refresh_s);
        }
        ml_secret_unref(t.secret);
    }
}

/* A 200 without a usable token is invalid; the text never shows a token. */
static void test_bad_success(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "",
        "<html>canary</html>",
        "null",
        "[]",
        "{}",
        "{\"expires_in\":5}",
        "{\"access_token\":\"canary\"}",
        "{\"access_token\":null,\"expires_in\":5}",
        "{\"access_token\":\"\",\"expires_in\":5}",
        "{\"access_token\":7,\"expires_in\":5}",
        "{\"access_token\":[\"canary\"],\"expires_in\":5}",
        "{\"access_token\":\"canary\\r\\nX-Evil: 1\",\"expires_in\":5}",
        "{\"access_token\":\"canary x\",\"expires_in\":5}",
        "{\"access_token\":\"canary\\u0000\",\"expires_in\":5}",
        "{\"access_token\":\"canary\\ud800\",\"expires_in\":5}",
        "{\"access_token\":\"canary\xc3\xa4\",\"expires_in\":5}",
        "{\"access_token\":\"canary\",\"expires_in\":-1}",
        "{\"access_token\":\"canary\",\"expires_in\":1.5}",
        "{\"access_token\":\"canary\",\"expires_in\":1e3}",
        "{\"access_token\":\"canary\",\"expires_in\":true}",
        "{\"access_token\":\"canary\",\"expires_in\":[5]}",
        "{\"access_token\":\"canary\",\"expires_in\":{}}",
        "{\"access_token\":\"canary\",\"expires_in\":null}",
        "{\"access_token\":\"canary\",\"expires_in\":\"\"}",
        "{\"access_token\":\"canary\",\"expires_in\":\"soon\"}",
        "{\"access_token\":\"canary\",\"expires_in\":2147483648}",
        "{\"access_token\":\"canary\",\"expires_in\":99999999999999999999}",
        "{\"access_token\":\"canary\",\"expires_on\":253402300800}",
        "{\"access_token\":\"canary\",\"expires_on\":\"2026-01-01T00:00:00Z\"}",
        "{\"access_token\":\"canary\",\"expires_in\":5,\"token_type\":\"pop\"}",
        "{\"access_token\":\"canary\",\"expires_in\":5",
        "{\"access_token\":\"canary\",\"expires_in\":5}}",
        "{\"access_token\":\"canary\",\"expires_in\":5,}",
        "{\"access_token\":\"canary",
    };
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        ml_token t = {.lifetime_s = 77};
        ml_err e;
        if (parse(200, bodies[i], 0, &t, &e) != ML_EINVALID) fail_msg("%s", bodies[i]);
        assert_int_equal(e.code, ML_EINVALID);
        assert_null(t.secret);
        assert_int_equal(t.lifetime_s, 77);
        assert_null(strstr(e.text, "canary"));
        assert_non_null(strstr(e.text, HOST));
    }
}

#define AADSTS(number, word)                                                           \
    "{\"error\":\"" word "\",\"error_description\":\"AADSTS" #number                   \
    ": canary. Trace ID: t Correlation ID: c\",\"error_codes\":[" #number              \
    "],\"timestamp\":\"x\",\"trace_id\":\"abc-1\",\"correlation_id\":\"c\"}"

static void test_errors(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *body;
        int code;
        const char *service_code, *text;
    } rows[] = {
        {401, AADSTS(7000215, "invalid_client"), ML_EUNAUTHENTICATED, "AADSTS7000215",
         "AADSTS7000215: the client secret is wrong (is it the secret's id instead of "
         "its "
         "value?)"},
        {401, AADSTS(7000222, "invalid_client"), ML_EUNAUTHENTICATED, "AADSTS7000222",
         "expired"},
        {401, AADSTS(7000218, "invalid_client"), ML_EUNAUTHENTICATED, "AADSTS7000218",
         "no client secret"},
        {400, AADSTS(700016, "unauthorized_client"), ML_EUNAUTHENTICATED,
         "AADSTS700016", "does not know the app"},
        {400, AADSTS(7000112, "unauthorized_client"), ML_EUNAUTHENTICATED,
         "AADSTS7000112", "disabled"},
        {400, AADSTS(90002, "invalid_request"), ML_EUNAUTHENTICATED, "AADSTS90002",
         "no such tenant"},
        {400, AADSTS(900023, "invalid_request"), ML_EUNAUTHENTICATED, "AADSTS900023",
         "neither a GUID"},
        {400, AADSTS(70011, "invalid_scope"), ML_EUNAUTHENTICATED, "AADSTS70011",
         "scope"},
        {400, AADSTS(500011, "invalid_resource"), ML_EUNAUTHENTICATED, "AADSTS500011",
         "another cloud"},
        {401, AADSTS(700024, "invalid_client"), ML_EUNAUTHENTICATED, "AADSTS700024",
         "clock"},
        {400, AADSTS(53003, "invalid_grant"), ML_EUNAUTHENTICATED, "AADSTS53003",
         "conditional access"},
        {400, AADSTS(90033, "temporarily_unavailable"), ML_EUNAVAILABLE, "AADSTS90033",
         "try again"},
        {400, AADSTS(90006, "server_error"), ML_EUNAVAILABLE, "AADSTS90006",
         "try again"},
        {400, AADSTS(99999, "temporarily_unavailable"), ML_EUNAVAILABLE, "AADSTS99999",
         "try again"},
        {400, AADSTS(99999, "invalid_client"), ML_EUNAUTHENTICATED, "AADSTS99999",
         "client id or client secret"},
        {400, AADSTS(99999, "something_new"), ML_EUNAUTHENTICATED, "AADSTS99999",
         "no reason that is known"},
        {429, AADSTS(90055, "temporarily_unavailable"), ML_ETHROTTLED, "AADSTS90055",
         "slow down"},
        {429, "", ML_ETHROTTLED, "", "slow down"},
        {408, "", ML_EUNAVAILABLE, "", "408"},
        {500, "<html>canary", ML_EUNAVAILABLE, "", "500"},
        {503, "{\"error\":null}", ML_EUNAVAILABLE, "", "503"},
        {599, "{", ML_EUNAVAILABLE, "", "599"},
        {401, "", ML_EUNAUTHENTICATED, "", "HTTP 401"},
        {400, "{\"error\":\"invalid_client\"}", ML_EUNAUTHENTICATED, "invalid_client",
         "client id or client secret"},
        {400, "{\"error_codes\":[7000215],\"error\":\"invalid_client\"}",
         ML_EUNAUTHENTICATED, "AADSTS7000215", "secret is wrong"},
        {400, "{\"error_codes\":[\"x\",{},7000215,1],\"error\":7}", ML_EUNAUTHENTICATED,
         "AADSTS7000215", "secret is wrong"},
        {400, "{\"error\":{\"code\":\"canary\",\"message\":\"canary\"}}",
         ML_EUNAUTHENTICATED, "", "HTTP 400"},
        {400, "{\"error\":\"canary word\"}", ML_EUNAUTHENTICATED, "", "HTTP 400"},
        {400, "{\"error\":\"x\",\"error_description\":\"AADSTS\"}", ML_EUNAUTHENTICATED,
         "x", "x: "},
        {400,
         "{\"error\":\"x\",\"error_description\":\"AADSTS99999999999999999999: \"}",
         ML_EUNAUTHENTICATED, "x", "x: "},
        {400, "{\"error\":\"invalid_scope\",\"error_description\":\"AADSTS70011",
         ML_EUNAUTHENTICATED, "invalid_scope", "scope"},
        {400, "[[[[", ML_EUNAUTHENTICATED, "", "HTTP 400"},
        {404, "<html>canary", ML_EINVALID, "", "AZURE_AUTHORITY_HOST"},
        {302, "", ML_EINVALID, "", "302"},
        {204, "", ML_EINVALID, "", "204"},
        {0, "", ML_EINVALID, "", "HTTP 0"},
        {404, "{\"error\":\"invalid_request\"}", ML_EUNAUTHENTICATED, "invalid_request",
         "tenant id"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ml_token t = {0};
        ml_err e;
        int rc = parse(rows[i].status, rows[i].body, 0, &t, &e);
        if (rc != rows[i].code || e.code != rc ||
            strcmp(e.service_code, rows[i].service_code) != 0 ||
            !strstr(e.text, rows[i].text)) {
            fail_msg("%d %s: %d '%s' '%s'", rows[i].status, rows[i].body, rc,
                     e.service_code, e.text);
        }
        assert_int_equal(e.http_status, rows[i].status);
        assert_non_null(strstr(e.text, HOST));
        assert_null(strstr(e.text, "canary"));
        assert_null(strstr(e.request_id, "canary"));
        if (rc == ML_EUNAUTHENTICATED) {
            assert_non_null(strstr(e.text, TENANT));
            assert_non_null(strstr(e.text, CLIENT));
        }
        /* no error struct is no crash, and no other code */
        assert_int_equal(ml_entra_parse(rows[i].status, ml_str_of(rows[i].body), HOST,
                                        TENANT, CLIENT, 0, &t, NULL),
                         rc);
    }
}

/* The trace id is what Microsoft asks for; a header's id, if there was one, stays. */
static void test_request_id(void **state)
{
    (void)state;
    ml_token t;
    ml_err e;
    parse(401, AADSTS(7000215, "invalid_client"), 0, &t, &e);
    assert_string_equal(e.request_id, "abc-1");
    parse(401, "{\"error\":\"x\",\"trace_id\":\"two words\"}", 0, &t, &e);
    assert_string_equal(e.request_id, "");
    snprintf(e.request_id, sizeof(e.request_id), "from-header");
    ml_entra_parse(401, ML_LIT(AADSTS(7000215, "invalid_client")), HOST, TENANT, CLIENT,
                   0, &t, &e);
    assert_string_equal(e.request_id, "from-header");
}

static void test_renewal(void **state)
{
    (void)state;
    static const struct {
        int64_t lifetime_s, refresh_s, renew_s, usable_s;
    } rows[] = {
        {3599, 0, 3299, 3479}, {86400, 43000, 43000, 86280},
        {7200, 0, 3600, 7080}, {7199, 0, 6899, 7079},
        {600, 0, 300, 480},    {599, 0, 299, 479},
        {400, 0, 200, 280},    {240, 0, 120, 120},
        {100, 0, 50, 50},      {1, 0, 0, 0},
        {0, 0, 0, 0},          {2147483647, 0, 1073741823, 2147483527},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ml_token t = {.lifetime_s = rows[i].lifetime_s, .refresh_s = rows[i].refresh_s};
        assert_int_equal(ml_token_renew_after_s(&t), rows[i].renew_s);
        assert_int_equal(ml_token_usable_s(&t), rows[i].usable_s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_build),       cmocka_unit_test(test_success),
        cmocka_unit_test(test_bad_success), cmocka_unit_test(test_errors),
        cmocka_unit_test(test_request_id),  cmocka_unit_test(test_renewal)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
