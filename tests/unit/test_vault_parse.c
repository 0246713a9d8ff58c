/* test_vault_parse.c - Key Vault answers on bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "azure/vault.h"

#define VERSION "0123456789abcdef0123456789abcdef"
#define ID      "https://acme.vault.azure.net/secrets/db-pass"

static int parse(const ml_vault_call *c, int status, const char *body,
                 ml_vault_answer *a, ml_err *e)
{
    *e = (ml_err){0};
    ml_vault_answer_init(a);
    return ml_vault_parse(c, "prod", status, ml_str_of(body), a, e);
}

static const ml_vault_call get = {.op = ML_VAULT_GET, .key = {"db-pass", 7}};

/* Every member lands where it belongs; unknown ones are passed over. */
static void test_bundle(void **state)
{
    (void)state;
    ml_vault_answer a;
    ml_err e;
    int rc = parse(
        &get, 200,
        "{\"value\":\"s3\\u00e4\\u0000\\ud83d\\ude00\",\"id\":\"" ID "/" VERSION
        "\",\"contentType\":\"text\\/plain\",\"attributes\":{\"enabled\":true,"
        "\"nbf\":1,\"exp\":\"2\",\"created\":1700000000,\"updated\":1700000001,"
        "\"recoveryLevel\":\"Recoverable\",\"recoverableDays\":90,\"new\":{\"x\":[]}},"
        "\"tags\":{\"env\":\"t\",\"\\u0071\":\"\",\"n\":null},\"managed\":true,"
        "\"kid\":\"k\",\"previousVersion\":\"p\",\"future\":[{\"value\":\"no\"}]}",
        &a, &e);
    if (rc) fail_msg("%s", e.text);
    assert_true(
        ml_str_eq(ml_secret_value(a.secret), ML_LIT("s3\xc3\xa4\0\xf0\x9f\x98\x80")));
    assert_string_equal(ml_secret_key(a.secret), "db-pass");
    assert_string_equal(ml_secret_version(a.secret), VERSION);
    assert_string_equal(ml_secret_source(a.secret), "prod");
    assert_string_equal(ml_secret_content_type(a.secret), "text/plain");
    assert_int_equal(ml_secret_tag_count(a.secret), 3);
    assert_string_equal(ml_secret_tag(a.secret, "env"), "t");
    assert_string_equal(ml_secret_tag(a.secret, "q"), "");
    assert_string_equal(ml_secret_tag(a.secret, "n"), "");
    ml_attributes at = ml_secret_attributes(a.secret);
    assert_true(at.enabled && at.managed);
    assert_int_equal(at.not_before_s, 1);
    assert_int_equal(at.expires_s, 2);
    assert_int_equal(at.created_s, 1700000000);
    assert_int_equal(at.updated_s, 1700000001);
    assert_int_equal(at.recoverable_days, 90);
    ml_vault_answer_fini(&a);
}

/* A name that is known beforehand is the secret's; otherwise it has none yet. */
static void test_name(void **state)
{
    (void)state;
    ml_vault_answer a;
    ml_err e;
    static const char body[] = "{\"value\":\"v\",\"id\":\"" ID "/" VERSION "\"}";
    ml_vault_call named = get;
    named.name = ML_LIT("billing/db");
    assert_int_equal(parse(&named, 200, body, &a, &e), 0);
    assert_string_equal(ml_secret_name(a.secret), "billing/db");
    assert_string_equal(ml_secret_key(a.secret), "db-pass");
    ml_vault_answer_fini(&a);
    assert_int_equal(parse(&get, 200, body, &a, &e), 0);
    assert_string_equal(ml_secret_name(a.secret), "");
    ml_vault_answer_fini(&a);
}

static void test_good_bundles(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"value\":\"v\",\"id\":\"" ID "/" VERSION "\"}",
        "{\"id\":\"" ID "/" VERSION
        "\",\"value\":\"v\",\"attributes\":null,\"tags\":null,"
        "\"contentType\":null,\"managed\":null}",
        "{\"value\":\"v\",\"id\":\"https://ACME.vault.azure.net:443/secrets/"
        "DB-PASS/" VERSION "\",\"attributes\":{},\"tags\":{}}",
        "{\"value\":\"v\",\"id\":\"https://localhost:8443/secrets/db-pass/" VERSION
        "\",\"attributes\":{\"enabled\":null,\"nbf\":null,\"exp\":null,\"created\":"
        "null,"
        "\"recoverableDays\":null}}",
        "{\"value\":\"v\",\"value\":\"second\",\"id\":\"" ID "\"}",
    };
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        ml_vault_answer a;
        ml_err e;
        if (parse(&get, 200, bodies[i], &a, &e)) fail_msg("%s: %s", bodies[i], e.text);
        assert_true(ml_str_eq(ml_secret_value(a.secret), ML_LIT("v")));
        assert_true(ml_secret_attributes(a.secret).enabled);
        assert_int_equal(ml_secret_attributes(a.secret).expires_s, 0);
        assert_int_equal(ml_secret_tag_count(a.secret), 0);
        assert_string_equal(ml_secret_content_type(a.secret), "");
        ml_vault_answer_fini(&a);
    }
}

/* A 200 that is not the asked-for secret is invalid, and nothing of it is shown. */
static void test_bad_bundles(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "",
        "canary",
        "<html>canary</html>",
        "null",
        "\"canary\"",
        "[]",
        "{}",
        "{\"value\":\"canary\"}",
        "{\"id\":\"" ID "\"}",
        "{\"value\":null,\"id\":\"" ID "\"}",
        "{\"value\":7,\"id\":\"" ID "\"}",
        "{\"value\":{\"canary\":1},\"id\":\"" ID "\"}",
        "{\"value\":\"canary\",\"id\":null}",
        "{\"value\":\"canary\",\"id\":7}",
        "{\"value\":\"canary\",\"id\":\"canary\"}",
        "{\"value\":\"canary\",\"id\":\"" ID "2/" VERSION "\"}",
        "{\"value\":\"canary\",\"id\":\"https://acme.vault.azure.net/keys/db-pass\"}",
        "{\"value\":\"canary\",\"id\":\"" ID "/" VERSION "/x\"}",
        "{\"value\":\"canary\",\"id\":\"" ID "\"",
        "{\"value\":\"canary\",\"id\":\"" ID "\"}}",
        "{\"value\":\"canary\",\"id\":\"" ID "\"} canary",
        "{\"value\":\"canary\\ud800\",\"id\":\"" ID "\"}",
        "{\"value\":\"canary\xff\",\"id\":\"" ID "\"}",
        "{\"value\":\"canary\",\"id\":\"" ID "\",\"attributes\":[]}",
        "{\"value\":\"canary\",\"id\":\"" ID "\",\"attributes\":{\"exp\":1.5}}",
        "{\"value\":\"canary\",\"id\":\"" ID "\",\"attributes\":{\"enabled\":\"yes\"}}",
        "{\"value\":\"canary\",\"id\":\"" ID "\",\"tags\":[\"canary\"]}",
        "{\"value\":\"canary\",\"id\":\"" ID "\",\"tags\":{\"a\":{}}}",
        "{\"value\":\"canary\",\"id\":\"" ID "\",\"contentType\":{}}",
        "{\"value\":\"canary\",\"id\":\"" ID "\",\"future\":nul}",
    };
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        ml_vault_answer a;
        ml_err e;
        if (parse(&get, 200, bodies[i], &a, &e) != ML_EINVALID)
            fail_msg("%s", bodies[i]);
        assert_int_equal(e.code, ML_EINVALID);
        assert_null(a.secret);
        assert_null(strstr(e.text, "canary"));
        assert_string_equal(e.source, "prod");
        assert_string_equal(e.key, "db-pass");
        assert_int_equal(e.http_status, 200);
        ml_vault_answer_fini(&a);
        assert_int_equal(ml_vault_parse(&get, "prod", 200, ml_str_of(bodies[i]), &a,
                                        NULL),
                         ML_EINVALID);
    }
    /* a pinned version must be answered with that version */
    ml_vault_answer a;
    ml_err e;
    ml_vault_call pinned = get;
    pinned.version = ML_LIT("ffffffffffffffffffffffffffffffff");
    assert_int_equal(parse(&pinned, 200,
                           "{\"value\":\"v\",\"id\":\"" ID "/" VERSION "\"}", &a, &e),
                     ML_EINVALID);
}

/* Hostile shapes end in an error: very deep, very many tags. */
static void test_hostile_bundles(void **state)
{
    (void)state;
    ml_buf b;
    ml_vault_answer a;
    ml_err e;
    ml_buf_init(&b, 0);
    ml_buf_add_text(&b, "{\"value\":\"v\",\"x\":");
    for (int i = 0; i < 100000; i++) ml_buf_add_char(&b, '[');
    assert_int_equal(parse(&get, 200, b.data, &a, &e), ML_EINVALID);
    ml_buf_clear(&b);
    ml_buf_add_text(&b, "{\"value\":\"v\",\"id\":\"" ID "\",\"tags\":{\"t0\":\"\"");
    for (int i = 1; i < 64; i++) ml_buf_addf(&b, ",\"t%d\":\"\"", i);
    size_t len = b.len;
    ml_buf_add_text(&b, "}}");
    assert_int_equal(parse(&get, 200, b.data, &a, &e), 0);
    assert_int_equal(ml_secret_tag_count(a.secret), 64);
    ml_vault_answer_fini(&a);
    b.len = len;
    ml_buf_add_text(&b, ",\"t64\":\"\"}}");
    assert_int_equal(parse(&get, 200, b.data, &a, &e), ML_EINVALID);
    ml_buf_clear(&b);
    ml_buf_add_text(&b, "{\"error\":");
    for (int i = 0; i < 100000; i++) ml_buf_add_text(&b, "{\"innererror\":");
    assert_int_equal(parse(&get, 403, b.data, &a, &e), ML_EFORBIDDEN);
    ml_buf_fini(&b);
}

/* Only a get and a backup bring bytes; an echoed value is not kept. */
static void test_other_operations(void **state)
{
    (void)state;
    ml_vault_answer a;
    ml_err e;
    ml_vault_call c = get;
    c.op = ML_VAULT_SET;
    assert_int_equal(
        parse(&c, 200, "{\"value\":\"v\",\"id\":\"" ID "/" VERSION "\"}", &a, &e), 0);
    assert_null(ml_secret_data(a.secret, NULL));
    assert_string_equal(ml_secret_version(a.secret), VERSION);
    ml_vault_answer_fini(&a);

    c.op = ML_VAULT_DELETE;
    assert_int_equal(
        parse(&c, 200,
              "{\"recoveryId\":\"https://acme.vault.azure.net/deletedsecrets/"
              "db-pass\",\"deletedDate\":5,\"scheduledPurgeDate\":\"6\",\"id\":\"" ID
              "/" VERSION "\"}",
              &a, &e),
        0);
    assert_null(ml_secret_data(a.secret, NULL));
    assert_string_equal(ml_secret_recovery_id(a.secret),
                        "https://acme.vault.azure.net/deletedsecrets/db-pass");
    assert_int_equal(ml_secret_attributes(a.secret).deleted_s, 5);
    assert_int_equal(ml_secret_attributes(a.secret).scheduled_purge_s, 6);
    ml_vault_answer_fini(&a);

    c.op = ML_VAULT_BACKUP;
    assert_int_equal(parse(&c, 200, "{\"value\":\"AbC_-\"}", &a, &e), 0);
    assert_true(ml_str_eq(ml_secret_value(a.secret), ML_LIT("AbC_-")));
    assert_string_equal(ml_secret_key(a.secret), "db-pass");
    ml_vault_answer_fini(&a);
    assert_int_equal(parse(&c, 200, "{}", &a, &e), ML_EINVALID);

    c = (ml_vault_call){.op = ML_VAULT_RESTORE};
    assert_int_equal(parse(&c, 200, "{\"id\":\"" ID "/" VERSION "\"}", &a, &e), 0);
    assert_string_equal(ml_secret_key(a.secret), "db-pass");
    ml_vault_answer_fini(&a);

    c.op = ML_VAULT_PURGE;
    assert_int_equal(parse(&c, 204, "", &a, &e), 0);
    assert_null(a.secret);
    assert_int_equal(parse(&get, 204, "", &a, &e), ML_EINVALID);
    assert_int_equal(parse(&get, 201, "{\"value\":\"v\",\"id\":\"" ID "\"}", &a, &e),
                     ML_EINVALID);
}

static void test_lists(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        int n; /* -1: refused */
        const char *next;
    } rows[] = {
        {"{\"value\":[{\"id\":\"" ID
         "\",\"value\":\"canary\",\"attributes\":{\"enabled\":"
         "false},\"managed\":true,\"contentType\":\"x\",\"tags\":{\"a\":\"b\"}},{"
         "\"id\":\"" ID "2\"}],\"nextLink\":\"https://acme.vault.azure.net:443/"
         "secrets?api-version=7.5&"
         "$skiptoken=eyJ\\u002b%2F==&maxresults=2\"}",
         2,
         "https://acme.vault.azure.net:443/"
         "secrets?api-version=7.5&$skiptoken=eyJ+%2F==&"
         "maxresults=2"},
        {"{\"nextLink\":\"https://x\",\"value\":[]}", 0, "https://x"},
        {"{\"value\":[],\"nextLink\":null}", 0, ""},
        {"{\"value\":[],\"nextLink\":\"\"}", 0, ""},
        {"{\"value\":[]}", 0, ""},
        {"{\"value\":null}", 0, ""},
        {"{\"value\":[],\"future\":{\"value\":[{}]}}", 0, ""},
        {"{}", -1, NULL},
        {"{\"nextLink\":\"https://x\"}", -1, NULL},
        {"[]", -1, NULL},
        {"", -1, NULL},
        {"<html>", -1, NULL},
        {"{\"value\":{}}", -1, NULL},
        {"{\"value\":[null]}", -1, NULL},
        {"{\"value\":[{}]}", -1, NULL},
        {"{\"value\":[{\"id\":\"" ID "\"},]}", -1, NULL},
        {"{\"value\":[{\"id\":\"" ID "\"}", -1, NULL},
        {"{\"value\":[{\"id\":\"" ID "\"}]", -1, NULL},
        {"{\"value\":[{\"id\":\"" ID "\"}]}x", -1, NULL},
        {"{\"value\":[{\"id\":\"http://x/secrets/a\"}]}", -1, NULL},
        {"{\"value\":[],\"nextLink\":7}", -1, NULL},
        {"{\"value\":[],\"nextLink\":[]}", -1, NULL},
    };
    static const ml_vault_call list = {.op = ML_VAULT_LIST};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ml_vault_answer a;
        ml_err e;
        int rc = parse(&list, 200, rows[i].body, &a, &e);
        if (rc != (rows[i].n < 0 ? ML_EINVALID : 0))
            fail_msg("%s: %s", rows[i].body, e.text);
        assert_int_equal(a.list.n, rows[i].n < 0 ? 0 : rows[i].n);
        assert_true(ml_str_eq(ml_buf_str(&a.next_link), ml_str_of(rows[i].next)));
        if (a.list.n == 2) {
            assert_null(ml_secret_data(a.list.items[0], NULL));
            assert_string_equal(ml_secret_key(a.list.items[0]), "db-pass");
            assert_string_equal(ml_secret_tag(a.list.items[0], "a"), "b");
            assert_false(ml_secret_attributes(a.list.items[0]).enabled);
            assert_true(ml_secret_attributes(a.list.items[0]).managed);
            assert_string_equal(ml_secret_key(a.list.items[1]), "db-pass2");
            assert_true(ml_secret_attributes(a.list.items[1]).enabled);
        }
        ml_vault_answer_fini(&a);
    }
    /* versions are those of the asked secret */
    ml_vault_call versions = get;
    ml_vault_answer a;
    ml_err e;
    versions.op = ML_VAULT_VERSIONS;
    assert_int_equal(parse(&versions, 200,
                           "{\"value\":[{\"id\":\"" ID "/" VERSION "\"}]}", &a, &e),
                     0);
    assert_string_equal(ml_secret_version(a.list.items[0]), VERSION);
    ml_vault_answer_fini(&a);
    assert_int_equal(parse(&versions, 200,
                           "{\"value\":[{\"id\":\"" ID "2/" VERSION "\"}]}", &a, &e),
                     ML_EINVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bundle),
                                       cmocka_unit_test(test_name),
                                       cmocka_unit_test(test_good_bundles),
                                       cmocka_unit_test(test_bad_bundles),
                                       cmocka_unit_test(test_hostile_bundles),
                                       cmocka_unit_test(test_other_operations),
                                       cmocka_unit_test(test_lists)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
