/* test_vault_errors.c - Key Vault refusals: classes, codes and hints, never messages.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "azure/vault.h"

static int parse(const ml_vault_call *c, int status, const char *body,
                 ml_vault_answer *a, ml_err *e)
{
    *e = (ml_err){0};
    ml_vault_answer_init(a);
    return ml_vault_parse(c, "prod", status, ml_str_of(body), a, e);
}

static const ml_vault_call get = {.op = ML_VAULT_GET, .key = {"db-pass", 7}};

#define ERR(code, inner)                                                               \
    "{\"error\":{\"code\":\"" code                                                     \
    "\",\"message\":\"canary\",\"innererror\":{\"code\":\"" inner                      \
    "\",\"message\":\"canary\"}}}"

static void test_errors(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *body;
        int code;
        const char *service_code, *text;
    } rows[] = {
        {400, "{\"error\":{\"code\":\"BadParameter\",\"message\":\"canary\"}}",
         ML_EUSAGE, "BadParameter", "malformed"},
        {401,
         "{\"error\":{\"code\":\"Unauthorized\",\"message\":\"AKV10000: canary\"}}",
         ML_EUNAUTHENTICATED, "AKV10000", "no token"},
        {401,
         "{\"error\":{\"message\":\"AKV10022: canary\",\"code\":\"Unauthorized\"}}",
         ML_EUNAUTHENTICATED, "AKV10022", "audience"},
        {401,
         "{\"error\":{\"code\":\"Unauthorized\",\"message\":\"AKV10032: canary\"}}",
         ML_EUNAUTHENTICATED, "AKV10032", "another tenant"},
        {401,
         "{\"error\":{\"code\":\"Unauthorized\",\"message\":\"AKV10046: canary\"}}",
         ML_EUNAUTHENTICATED, "AKV10046", "signature"},
        {401, "{\"error\":{\"code\":\"Unauthorized\",\"message\":\"AKVcanary\"}}",
         ML_EUNAUTHENTICATED, "Unauthorized", "refused the token"},
        {401, "", ML_EUNAUTHENTICATED, "", "HTTP 401"},
        {401, "{\"error\":\"invalid_token\",\"error_description\":\"canary\"}",
         ML_EUNAUTHENTICATED, "", "HTTP 401"},
        {403, ERR("Forbidden", "SecretDisabled"), ML_EDISABLED, "SecretDisabled",
         "enable it"},
        {403, ERR("Forbidden", "ForbiddenByRbac"), ML_EFORBIDDEN, "ForbiddenByRbac",
         "'Key Vault Secrets User'"},
        {403, ERR("Forbidden", "ForbiddenByPolicy"), ML_EFORBIDDEN, "ForbiddenByPolicy",
         "--secret-permissions get"},
        {403, ERR("Forbidden", "AccessDenied"), ML_EFORBIDDEN, "AccessDenied",
         "az keyvault set-policy"},
        {403, ERR("Forbidden", "ForbiddenByFirewall"), ML_EFORBIDDEN,
         "ForbiddenByFirewall", "network-rule"},
        {403, ERR("Forbidden", "ForbiddenByConnection"), ML_EFORBIDDEN,
         "ForbiddenByConnection", "private endpoint"},
        {403, "{\"error\":{\"code\":\"Forbidden\",\"innererror\":null}}", ML_EFORBIDDEN,
         "Forbidden", "HTTP 403"},
        {403,
         "{\"error\":{\"innererror\":{\"innererror\":{\"code\":\"SecretDisabled\"},"
         "\"code\":"
         "\"B\"},\"code\":\"A\"}}",
         ML_EDISABLED, "SecretDisabled", "disabled"},
        {403,
         "{\"error\":{\"code\":\"SecretDisabled\",\"innererror\":{\"code\":\"\"}}}",
         ML_EDISABLED, "SecretDisabled", "disabled"},
        {403, "<html>canary", ML_EFORBIDDEN, "", "no code"},
        {403, "{\"error\":{\"code\":\"canary code!\"}}", ML_EFORBIDDEN, "", "no code"},
        {403,
         "{\"error\":{\"code\":\"Forbidden\",\"innererror\":{\"code\":\"SecretDisa",
         ML_EFORBIDDEN, "Forbidden", "HTTP 403"},
        {404, "{\"error\":{\"code\":\"SecretNotFound\",\"message\":\"canary\"}}",
         ML_EMISSING, "SecretNotFound", "no such secret"},
        {404, ERR("SecretNotFound", "Other"), ML_EMISSING, "Other", "no such secret"},
        {404, ERR("NotFound", "SecretNotFound"), ML_EMISSING, "SecretNotFound",
         "no such"},
        {404,
         "{\"error\":{\"code\":\"com.github.nagyesta.lowkeyvault.service.exception."
         "NotFoundException\"}}",
         ML_EMISSING, "NotFoundException", "no such"},
        {404, "", ML_EINVALID, "", "proxy"},
        {404, "<html>SecretNotFound</html>", ML_EINVALID, "", "proxy"},
        {404, "{\"error\":null}", ML_EINVALID, "", "proxy"},
        {404, "{\"error\":\"SecretNotFound\"}", ML_EINVALID, "", "proxy"},
        {404, "{\"error\":{\"code\":\"VaultNotFound\"}}", ML_EINVALID, "VaultNotFound",
         "proxy"},
        {404, "{\"code\":\"SecretNotFound\"}", ML_EINVALID, "", "proxy"},
        {409, ERR("Conflict", "ObjectIsDeletedButRecoverable"), ML_ECONFLICT,
         "ObjectIsDeletedButRecoverable", "recover it, or purge it"},
        {409, ERR("Conflict", "ObjectIsBeingDeleted"), ML_ECONFLICT,
         "ObjectIsBeingDeleted", "being deleted"},
        {409, ERR("Conflict", "ObjectIsBeingRecovered"), ML_ECONFLICT,
         "ObjectIsBeingRecovered", "being recovered"},
        {409, "", ML_ECONFLICT, "", "HTTP 409"},
        {429, "{\"error\":{\"code\":\"Throttled\",\"message\":\"canary\"}}",
         ML_ETHROTTLED, "Throttled", "slow down"},
        {429, "", ML_ETHROTTLED, "", "slow down"},
        {408, "", ML_EUNAVAILABLE, "", "408"},
        {500, "{\"error\":{\"code\":\"InternalServerError\"}}", ML_EUNAVAILABLE,
         "InternalServerError", "500"},
        {502, "<html>canary</html>", ML_EUNAVAILABLE, "", "502"},
        {503, "{\"error\":", ML_EUNAVAILABLE, "", "503"},
        {504, "", ML_EUNAVAILABLE, "", "504"},
        {301, "", ML_EINVALID, "", "redirects"},
        {307, "", ML_EINVALID, "", "redirects"},
        {418, "", ML_EINVALID, "", "418"},
        {100, "", ML_EINVALID, "", "100"},
        {0, "", ML_EINVALID, "", "HTTP 0"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ml_vault_answer a;
        ml_err e;
        int rc = parse(&get, rows[i].status, rows[i].body, &a, &e);
        if (rc != rows[i].code || e.code != rc ||
            strcmp(e.service_code, rows[i].service_code) != 0 ||
            !strstr(e.text, rows[i].text)) {
            fail_msg("%d %s: %d '%s' '%s'", rows[i].status, rows[i].body, rc,
                     e.service_code, e.text);
        }
        assert_int_equal(e.http_status, rows[i].status);
        assert_string_equal(e.source, "prod");
        assert_string_equal(e.key, "db-pass");
        assert_non_null(strstr(e.text, "'db-pass' of prod"));
        assert_null(strstr(e.text, "canary"));
        assert_null(a.secret);
        assert_int_equal(ml_vault_parse(&get, "prod", rows[i].status,
                                        ml_str_of(rows[i].body), &a, NULL),
                         rows[i].code);
    }
}

/* The hint fits the operation; the longest names still leave room for it. */
#define FIREWALL(message)                                                              \
    "{\"error\":{\"code\":\"Forbidden\",\"message\":\"" message                        \
    "\",\"innererror\":{\"code\":\"ForbiddenByFirewall\"}}}"
#define BAD(message)                                                                   \
    "{\"error\":{\"code\":\"BadParameter\",\"message\":\"" message "\"}}"

/* The two facts that a message may tell: an address, and a version's refusal. */
static void test_facts(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *body, *text, *absent;
    } rows[] = {
        {403, FIREWALL("canary. Client address: 192.0.2.7\\r\\nCaller: canary"),
         "machine's address 192.0.2.7 (", "canary"},
        {403, FIREWALL("canary\\r\\nClient address: 192.0.2.7."), " 192.0.2.7 (", "7."},
        {403, FIREWALL("client ADDRESS:  2001:db8::5 canary"), " 2001:db8::5 (",
         "canary"},
        {403, FIREWALL("Client address: canary"), "address (", "canary"},
        {403, FIREWALL("Client address: 192.0.2.777"), "address (", "192"},
        {403, FIREWALL("Client address: "), "address (", "canary"},
        {403, FIREWALL("Client address: 1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1"),
         "address (", "1.1"},
        {403, ERR("Client address: 192.0.2.7", "ForbiddenByFirewall"), "address (",
         "192"},
        {400, BAD("The specified api-version '9.9 canary' is not supported."),
         "does not support the API version", "canary"},
        {400, BAD("canary"), "malformed", "canary"},
        {403, BAD("api-version"), "HTTP 403", "API version"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ml_vault_answer a;
        ml_err e;
        assert_true(parse(&get, rows[i].status, rows[i].body, &a, &e) < 0);
        if (!strstr(e.text, rows[i].text)) fail_msg("row %zu: %s", i, e.text);
        if (strstr(e.text, rows[i].absent)) fail_msg("row %zu: %s", i, e.text);
        ml_vault_answer_fini(&a);
    }
}

static void test_error_words(void **state)
{
    (void)state;
    char key[127];
    memset(key, 'k', sizeof(key));
    char source[64];
    memset(source, 's', sizeof(source));
    source[63] = '\0';
    for (int op = 0; op < ML_VAULT_OP_COUNT; op++) {
        ml_vault_call c = {.op = (ml_vault_op)op, .key = {key, sizeof(key)}};
        ml_vault_answer a;
        ml_err e = {0};
        ml_vault_answer_init(&a);
        assert_int_equal(ml_vault_parse(&c, source, 403,
                                        ML_LIT(ERR("Forbidden", "ForbiddenByRbac")), &a,
                                        &e),
                         ML_EFORBIDDEN);
        assert_non_null(strstr(e.text, "some minutes to work"));
        assert_int_equal(
            ml_vault_parse(&c, source, 403,
                           ML_LIT(ERR("Forbidden", "ForbiddenByConnection")), &a, &e),
            ML_EFORBIDDEN);
        assert_non_null(strstr(e.text, "private address here"));
    }
    ml_vault_call purge = {.op = ML_VAULT_PURGE, .key = {"k", 1}};
    ml_vault_answer a;
    ml_err e;
    parse(&purge, 403, ERR("Forbidden", "ForbiddenByPolicy"), &a, &e);
    assert_non_null(strstr(e.text, "--secret-permissions purge"));
    parse(&purge, 404, "{\"error\":{\"code\":\"SecretNotFound\"}}", &a, &e);
    assert_non_null(strstr(e.text, "no such deleted secret"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_errors),
                                       cmocka_unit_test(test_facts),
                                       cmocka_unit_test(test_error_words)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
