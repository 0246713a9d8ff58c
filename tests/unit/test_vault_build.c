/* test_vault_build.c - Key Vault requests: checked before the network, built to the
 * byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "azure/vault.h"

#define VERSION "0123456789abcdef0123456789abcdef"

static ml_vault_url acme(void)
{
    ml_vault_url u;
    ml_err e;
    assert_int_equal(
        ml_vault_url_parse(&u, ML_LIT("https://acme.vault.azure.net"), NULL, &e), 0);
    return u;
}

/* Builds a checked call and compares "METHOD url body" ("-" for no body). */
static void expect_request(const ml_vault_call *c, const char *method, const char *path,
                           const char *body)
{
    ml_vault_url u = acme();
    ml_err e = {0};
    ml_buf url, out;
    bool has_body = false;
    const char *got = NULL;
    ml_buf_init(&url, 0);
    ml_buf_init(&out, 0);
    if (ml_vault_check(c, &e) != 0) fail_msg("%s: %s", path, e.text);
    assert_int_equal(ml_vault_build(c, &u, "7.5", &got, &url, &out, &has_body, &e), 0);
    assert_string_equal(got, method);
    assert_int_equal(strncmp(url.data, u.origin, strlen(u.origin)), 0);
    assert_string_equal(url.data + strlen(u.origin), path);
    assert_int_equal(has_body, body != NULL);
    assert_true(ml_str_eq(ml_buf_str(&out), ml_str_of(body)));
    ml_buf_fini(&url);
    ml_buf_fini(&out);
}

static void test_build(void **state)
{
    (void)state;
    ml_secret *v = ml_secret_of_bytes(ML_LIT("pa\"ss\n"));
    const ml_str key = ML_LIT("Db-pass"), version = ML_LIT(VERSION);
    const ml_tag tags[] = {{ML_LIT("env"), ML_LIT("t")}, {ML_LIT("q\""), ML_LIT("")}};
#define CALL(...) &(ml_vault_call){__VA_ARGS__}
    expect_request(CALL(.op = ML_VAULT_GET, .key = key), "GET",
                   "/secrets/Db-pass?api-version=7.5", NULL);
    expect_request(CALL(.op = ML_VAULT_GET, .key = key, .version = version), "GET",
                   "/secrets/Db-pass/" VERSION "?api-version=7.5", NULL);
    expect_request(CALL(.op = ML_VAULT_SET, .key = key, .value = v), "PUT",
                   "/secrets/Db-pass?api-version=7.5", "{\"value\":\"pa\\\"ss\\n\"}");
    expect_request(
        CALL(.op = ML_VAULT_SET, .key = key, .value = v, .has_content_type = true,
             .content_type = ML_LIT("text/plain"), .has_tags = true, .tags = tags,
             .n_tags = 2, .enabled = -1, .not_before_s = 5, .expires_s = 1893456000),
        "PUT", "/secrets/Db-pass?api-version=7.5",
        "{\"value\":\"pa\\\"ss\\n\",\"contentType\":\"text/plain\",\"tags\":{\"env\":"
        "\"t\",\"q\\\"\":\"\"},\"attributes\":{\"enabled\":false,\"nbf\":5,\"exp\":"
        "1893456000}}");
    expect_request(CALL(.op = ML_VAULT_SET, .key = key, .value = v,
                        .content_type = version, .tags = tags, .n_tags = 2),
                   "PUT", "/secrets/Db-pass?api-version=7.5",
                   "{\"value\":\"pa\\\"ss\\n\"}");
    expect_request(CALL(.op = ML_VAULT_UPDATE, .key = key, .version = version,
                        .enabled = 1),
                   "PATCH", "/secrets/Db-pass/" VERSION "?api-version=7.5",
                   "{\"attributes\":{\"enabled\":true}}");
    expect_request(CALL(.op = ML_VAULT_UPDATE, .key = key, .has_tags = true), "PATCH",
                   "/secrets/Db-pass/?api-version=7.5", "{\"tags\":{}}");
    expect_request(CALL(.op = ML_VAULT_UPDATE, .key = key), "PATCH",
                   "/secrets/Db-pass/?api-version=7.5", "{}");
    expect_request(CALL(.op = ML_VAULT_DELETE, .key = key), "DELETE",
                   "/secrets/Db-pass?api-version=7.5", NULL);
    expect_request(CALL(.op = ML_VAULT_LIST), "GET", "/secrets?api-version=7.5", NULL);
    expect_request(CALL(.op = ML_VAULT_LIST, .max_results = 25), "GET",
                   "/secrets?api-version=7.5&maxresults=25", NULL);
    expect_request(CALL(.op = ML_VAULT_VERSIONS, .key = key, .max_results = 1), "GET",
                   "/secrets/Db-pass/versions?api-version=7.5&maxresults=1", NULL);
    expect_request(CALL(.op = ML_VAULT_LIST_DELETED, .max_results = 2), "GET",
                   "/deletedsecrets?api-version=7.5&maxresults=2", NULL);
    expect_request(CALL(.op = ML_VAULT_GET_DELETED, .key = key), "GET",
                   "/deletedsecrets/Db-pass?api-version=7.5", NULL);
    expect_request(CALL(.op = ML_VAULT_RECOVER, .key = key), "POST",
                   "/deletedsecrets/Db-pass/recover?api-version=7.5", NULL);
    expect_request(CALL(.op = ML_VAULT_PURGE, .key = key), "DELETE",
                   "/deletedsecrets/Db-pass?api-version=7.5", NULL);
    expect_request(CALL(.op = ML_VAULT_BACKUP, .key = key), "POST",
                   "/secrets/Db-pass/backup?api-version=7.5", NULL);
    expect_request(CALL(.op = ML_VAULT_RESTORE, .value = v), "POST",
                   "/secrets/restore?api-version=7.5", "{\"value\":\"pa\\\"ss\\n\"}");
    ml_secret_unref(v);
}

/* No version means the default one; a setting is encoded like everything else. */
static void test_api_version(void **state)
{
    (void)state;
    static const struct {
        const char *version, *want;
    } rows[] = {{NULL, "api-version=" ML_VAULT_API_VERSION},
                {"", "api-version=" ML_VAULT_API_VERSION},
                {"2025-07-01", "api-version=2025-07-01"},
                {"7&x=1", "api-version=7%26x%3D1"}};
    ml_vault_url u = acme();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ml_buf url, body;
        const char *method;
        bool has_body;
        ml_buf_init(&url, 0);
        ml_buf_init(&body, 0);
        assert_int_equal(ml_vault_build(CALL(.op = ML_VAULT_LIST), &u, rows[i].version,
                                        &method, &url, &body, &has_body, NULL),
                         0);
        assert_string_equal(strchr(url.data, '?') + 1, rows[i].want);
        ml_buf_fini(&url);
        ml_buf_fini(&body);
    }
}

static void refuse(const ml_vault_call *c, const char *reason)
{
    ml_err e = {0};
    int rc = ml_vault_check(c, &e);
    if (rc != ML_EUSAGE || !strstr(e.text, reason)) fail_msg("%d '%s'", rc, e.text);
    assert_null(strstr(e.text, "canary"));
    assert_int_equal(ml_vault_check(c, NULL), ML_EUSAGE);
}

static ml_secret *secret_of(size_t n)
{
    char *text = malloc(n + 1);
    memset(text, 'x', n + 1);
    ml_secret *s = ml_secret_of_bytes((ml_str){text, n});
    free(text);
    return s;
}

static void test_check(void **state)
{
    (void)state;
    const ml_str key = ML_LIT("k");
    ml_secret *full = secret_of(25600), *over = secret_of(25601), *empty = secret_of(0);
    ml_secret *binary = ml_secret_of_bytes(ML_LIT("canary\xff"));
    ml_secret *nul = ml_secret_of_bytes(ML_LIT("a\0b\n"));
    ml_secret *none = ml_secret_new(&(ml_secret_fields){0});
    assert_int_equal(
        ml_vault_check(CALL(.op = ML_VAULT_SET, .key = key, .value = full), NULL), 0);
    assert_int_equal(
        ml_vault_check(CALL(.op = ML_VAULT_SET, .key = key, .value = empty), NULL), 0);
    assert_int_equal(
        ml_vault_check(CALL(.op = ML_VAULT_SET, .key = key, .value = nul), NULL), 0);
    assert_int_equal(ml_vault_check(CALL(.op = ML_VAULT_RESTORE, .value = over), NULL),
                     0);
    refuse(CALL(.op = ML_VAULT_SET, .key = key, .value = over), "25600");
    refuse(CALL(.op = ML_VAULT_SET, .key = key, .value = binary), "UTF-8");
    refuse(CALL(.op = ML_VAULT_SET, .key = key, .value = none), "no value");
    refuse(CALL(.op = ML_VAULT_SET, .key = key), "no value");
    refuse(CALL(.op = ML_VAULT_RESTORE), "no value");
    refuse(CALL(.op = ML_VAULT_RESTORE, .value = empty), "empty");
    refuse(CALL(.op = ML_VAULT_GET), "empty");
    refuse(CALL(.op = ML_VAULT_GET, .key = ML_LIT("a_b")), "'_'");
    refuse(CALL(.op = ML_VAULT_GET, .key = ML_LIT("../x")), "'.'");
    refuse(CALL(.op = ML_VAULT_PURGE, .key = ML_LIT("a/b")), "'/'");
    refuse(CALL(.op = ML_VAULT_GET, .key = key, .version = ML_LIT("../x")), "version");
    refuse(CALL(.op = ML_VAULT_UPDATE, .key = key, .version = ML_LIT("1")), "version");
    refuse(CALL(.op = ML_VAULT_LIST, .max_results = 26), "25");
    refuse(CALL(.op = ML_VAULT_LIST, .max_results = -1), "25");
    refuse(CALL(.op = ML_VAULT_OP_COUNT), "unknown");
    refuse(CALL(.op = (ml_vault_op)-1), "unknown");
    refuse(CALL(.op = ML_VAULT_UPDATE, .key = key, .expires_s = -1), "1970");
    refuse(CALL(.op = ML_VAULT_UPDATE, .key = key, .expires_s = 5, .not_before_s = 6),
           "expire before");
    ml_secret_unref(full);
    ml_secret_unref(over);
    ml_secret_unref(empty);
    ml_secret_unref(binary);
    ml_secret_unref(nul);
    ml_secret_unref(none);
}

static void test_check_metadata(void **state)
{
    (void)state;
    const ml_str key = ML_LIT("k");
    char text[1100];
    for (size_t i = 0; i < sizeof(text); i += 2) {
        text[i] = '\xc3';
        text[i + 1] = '\xa4';
    }
    const ml_str chars_512 = {text, 1024}, chars_513 = {text, 1026},
                 chars_255 = {text, 510}, chars_256 = {text, 512}, half = {text, 3};
    ml_tag tags[16] = {{chars_512, chars_512}};
    char names[16];
    for (size_t i = 1; i < 16; i++) {
        names[i] = (char)('a' + i);
        tags[i] = (ml_tag){{&names[i], 1}, ML_LIT("")};
    }
#define UPDATE(...)   CALL(.op = ML_VAULT_UPDATE, .key = key, __VA_ARGS__)
#define TAGS(list, n) UPDATE(.has_tags = true, .tags = (list), .n_tags = (n))
    assert_int_equal(ml_vault_check(TAGS(tags, 15), NULL), 0);
    refuse(TAGS(tags, 16), "at most 15");
    tags[1].name = chars_513;
    refuse(TAGS(tags, 2), "tag 2 is longer");
    tags[1] = (ml_tag){ML_LIT("x"), chars_513};
    refuse(TAGS(tags, 2), "tag 2 is longer");
    tags[1] = (ml_tag){half, ML_LIT("")};
    refuse(TAGS(tags, 2), "UTF-8");
    tags[1] = (ml_tag){ML_LIT("x"), half};
    refuse(TAGS(tags, 2), "UTF-8");
    tags[1] = (ml_tag){ML_LIT(""), ML_LIT("x")};
    refuse(TAGS(tags, 2), "no name");
    tags[1] = tags[0];
    refuse(TAGS(tags, 2), "same name");
    assert_int_equal(
        ml_vault_check(UPDATE(.has_content_type = true, .content_type = chars_255),
                       NULL),
        0);
    refuse(UPDATE(.has_content_type = true, .content_type = chars_256), "content type");
    refuse(UPDATE(.has_content_type = true, .content_type = half), "content type");
}

static void test_idempotent(void **state)
{
    (void)state;
    for (int op = 0; op < ML_VAULT_OP_COUNT; op++) {
        bool want = op != ML_VAULT_SET && op != ML_VAULT_RESTORE;
        assert_int_equal(ml_vault_is_idempotent((ml_vault_op)op), want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_build),
                                       cmocka_unit_test(test_api_version),
                                       cmocka_unit_test(test_check),
                                       cmocka_unit_test(test_check_metadata),
                                       cmocka_unit_test(test_idempotent)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
