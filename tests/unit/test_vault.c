/* test_vault.c - Key Vault requests and answers on bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "azure/vault.h"

#define VERSION "0123456789abcdef0123456789abcdef"
#define ID "https://acme.vault.azure.net/secrets/db-pass"

static ml_vault_url acme(void)
{
    ml_vault_url u;
    ml_err e;
    assert_int_equal(ml_vault_url_parse(&u, ML_LIT("https://acme.vault.azure.net"), NULL, &e),
                     0);
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
    expect_request(CALL(.op = ML_VAULT_SET, .key = key, .value = v, .has_content_type = true,
                        .content_type = ML_LIT("text/plain"), .has_tags = true, .tags = tags,
                        .n_tags = 2, .enabled = -1, .not_before_s = 5, .expires_s = 1893456000),
                   "PUT", "/secrets/Db-pass?api-version=7.5",
                   "{\"value\":\"pa\\\"ss\\n\",\"contentType\":\"text/plain\",\"tags\":{\"env\":"
                   "\"t\",\"q\\\"\":\"\"},\"attributes\":{\"enabled\":false,\"nbf\":5,\"exp\":"
                   "1893456000}}");
    expect_request(CALL(.op = ML_VAULT_SET, .key = key, .value = v, .content_type = version,
                        .tags = tags, .n_tags = 2),
                   "PUT", "/secrets/Db-pass?api-version=7.5", "{\"value\":\"pa\\\"ss\\n\"}");
    expect_request(CALL(.op = ML_VAULT_UPDATE, .key = key, .version = version, .enabled = 1),
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
        assert_int_equal(ml_vault_build(CALL(.op = ML_VAULT_LIST), &u, rows[i].version, &method,
                                        &url, &body, &has_body, NULL), 0);
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
    assert_int_equal(ml_vault_check(CALL(.op = ML_VAULT_SET, .key = key, .value = full), NULL),
                     0);
    assert_int_equal(ml_vault_check(CALL(.op = ML_VAULT_SET, .key = key, .value = empty), NULL),
                     0);
    assert_int_equal(ml_vault_check(CALL(.op = ML_VAULT_SET, .key = key, .value = nul), NULL),
                     0);
    assert_int_equal(ml_vault_check(CALL(.op = ML_VAULT_RESTORE, .value = over), NULL), 0);
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
    for (size_t i = 0; i < sizeof(text); i += 2) memcpy(text + i, "\xc3\xa4", 2);
    const ml_str chars_512 = {text, 1024}, chars_513 = {text, 1026}, chars_255 = {text, 510},
                 chars_256 = {text, 512}, half = {text, 3};
    ml_tag tags[16] = {{chars_512, chars_512}};
    char names[16];
    for (size_t i = 1; i < 16; i++) {
        names[i] = (char)('a' + i);
        tags[i] = (ml_tag){{&names[i], 1}, ML_LIT("")};
    }
#define UPDATE(...) CALL(.op = ML_VAULT_UPDATE, .key = key, __VA_ARGS__)
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
        ml_vault_check(UPDATE(.has_content_type = true, .content_type = chars_255), NULL), 0);
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

static int parse(const ml_vault_call *c, int status, const char *body, ml_vault_answer *a,
                 ml_err *e)
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
    int rc = parse(&get, 200,
                   "{\"value\":\"s3\\u00e4\\u0000\\ud83d\\ude00\",\"id\":\"" ID "/" VERSION
                   "\",\"contentType\":\"text\\/plain\",\"attributes\":{\"enabled\":true,"
                   "\"nbf\":1,\"exp\":\"2\",\"created\":1700000000,\"updated\":1700000001,"
                   "\"recoveryLevel\":\"Recoverable\",\"recoverableDays\":90,\"new\":{\"x\":[]}},"
                   "\"tags\":{\"env\":\"t\",\"\\u0071\":\"\",\"n\":null},\"managed\":true,"
                   "\"kid\":\"k\",\"previousVersion\":\"p\",\"future\":[{\"value\":\"no\"}]}",
                   &a, &e);
    if (rc) fail_msg("%s", e.text);
    assert_true(ml_str_eq(ml_secret_value(a.secret), ML_LIT("s3\xc3\xa4\0\xf0\x9f\x98\x80")));
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

static void test_good_bundles(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"value\":\"v\",\"id\":\"" ID "/" VERSION "\"}",
        "{\"id\":\"" ID "/" VERSION "\",\"value\":\"v\",\"attributes\":null,\"tags\":null,"
        "\"contentType\":null,\"managed\":null}",
        "{\"value\":\"v\",\"id\":\"https://ACME.vault.azure.net:443/secrets/DB-PASS/" VERSION
        "\",\"attributes\":{},\"tags\":{}}",
        "{\"value\":\"v\",\"id\":\"https://localhost:8443/secrets/db-pass/" VERSION
        "\",\"attributes\":{\"enabled\":null,\"nbf\":null,\"exp\":null,\"created\":null,"
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
        "", "canary", "<html>canary</html>", "null", "\"canary\"", "[]", "{}",
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
        if (parse(&get, 200, bodies[i], &a, &e) != ML_EINVALID) fail_msg("%s", bodies[i]);
        assert_int_equal(e.code, ML_EINVALID);
        assert_null(a.secret);
        assert_null(strstr(e.text, "canary"));
        assert_string_equal(e.source, "prod");
        assert_string_equal(e.key, "db-pass");
        assert_int_equal(e.http_status, 200);
        ml_vault_answer_fini(&a);
        assert_int_equal(ml_vault_parse(&get, "prod", 200, ml_str_of(bodies[i]), &a, NULL),
                         ML_EINVALID);
    }
    /* a pinned version must be answered with that version */
    ml_vault_answer a;
    ml_err e;
    ml_vault_call pinned = get;
    pinned.version = ML_LIT("ffffffffffffffffffffffffffffffff");
    assert_int_equal(parse(&pinned, 200, "{\"value\":\"v\",\"id\":\"" ID "/" VERSION "\"}", &a,
                           &e), ML_EINVALID);
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
    assert_int_equal(parse(&c, 200, "{\"value\":\"v\",\"id\":\"" ID "/" VERSION "\"}", &a, &e),
                     0);
    assert_null(ml_secret_data(a.secret, NULL));
    assert_string_equal(ml_secret_version(a.secret), VERSION);
    ml_vault_answer_fini(&a);

    c.op = ML_VAULT_DELETE;
    assert_int_equal(parse(&c, 200,
                           "{\"recoveryId\":\"https://acme.vault.azure.net/deletedsecrets/"
                           "db-pass\",\"deletedDate\":5,\"scheduledPurgeDate\":\"6\",\"id\":\"" ID
                           "/" VERSION "\"}", &a, &e), 0);
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
        {"{\"value\":[{\"id\":\"" ID "\",\"value\":\"canary\",\"attributes\":{\"enabled\":"
         "false},\"managed\":true,\"contentType\":\"x\",\"tags\":{\"a\":\"b\"}},{\"id\":\"" ID
         "2\"}],\"nextLink\":\"https://acme.vault.azure.net:443/secrets?api-version=7.5&"
         "$skiptoken=eyJ\\u002b%2F==&maxresults=2\"}", 2,
         "https://acme.vault.azure.net:443/secrets?api-version=7.5&$skiptoken=eyJ+%2F==&"
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
        if (rc != (rows[i].n < 0 ? ML_EINVALID : 0)) fail_msg("%s: %s", rows[i].body, e.text);
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
    assert_int_equal(parse(&versions, 200, "{\"value\":[{\"id\":\"" ID "/" VERSION "\"}]}", &a,
                           &e), 0);
    assert_string_equal(ml_secret_version(a.list.items[0]), VERSION);
    ml_vault_answer_fini(&a);
    assert_int_equal(parse(&versions, 200, "{\"value\":[{\"id\":\"" ID "2/" VERSION "\"}]}", &a,
                           &e), ML_EINVALID);
}

#define ERR(code, inner)                                                                \
    "{\"error\":{\"code\":\"" code "\",\"message\":\"canary\",\"innererror\":{\"code\":\"" inner \
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
        {400, "{\"error\":{\"code\":\"BadParameter\",\"message\":\"canary\"}}", ML_EUSAGE,
         "BadParameter", "malformed"},
        {401, "{\"error\":{\"code\":\"Unauthorized\",\"message\":\"AKV10000: canary\"}}",
         ML_EUNAUTHENTICATED, "AKV10000", "no token"},
        {401, "{\"error\":{\"message\":\"AKV10022: canary\",\"code\":\"Unauthorized\"}}",
         ML_EUNAUTHENTICATED, "AKV10022", "audience"},
        {401, "{\"error\":{\"code\":\"Unauthorized\",\"message\":\"AKV10032: canary\"}}",
         ML_EUNAUTHENTICATED, "AKV10032", "another tenant"},
        {401, "{\"error\":{\"code\":\"Unauthorized\",\"message\":\"AKV10046: canary\"}}",
         ML_EUNAUTHENTICATED, "AKV10046", "signature"},
        {401, "{\"error\":{\"code\":\"Unauthorized\",\"message\":\"AKVcanary\"}}",
         ML_EUNAUTHENTICATED, "Unauthorized", "refused the token"},
        {401, "", ML_EUNAUTHENTICATED, "", "HTTP 401"},
        {401, "{\"error\":\"invalid_token\",\"error_description\":\"canary\"}",
         ML_EUNAUTHENTICATED, "", "HTTP 401"},
        {403, ERR("Forbidden", "SecretDisabled"), ML_EDISABLED, "SecretDisabled", "enable it"},
        {403, ERR("Forbidden", "ForbiddenByRbac"), ML_EFORBIDDEN, "ForbiddenByRbac",
         "'Key Vault Secrets User'"},
        {403, ERR("Forbidden", "ForbiddenByPolicy"), ML_EFORBIDDEN, "ForbiddenByPolicy",
         "--secret-permissions get"},
        {403, ERR("Forbidden", "AccessDenied"), ML_EFORBIDDEN, "AccessDenied",
         "az keyvault set-policy"},
        {403, ERR("Forbidden", "ForbiddenByFirewall"), ML_EFORBIDDEN, "ForbiddenByFirewall",
         "network-rule"},
        {403, ERR("Forbidden", "ForbiddenByConnection"), ML_EFORBIDDEN,
         "ForbiddenByConnection", "private endpoint"},
        {403, "{\"error\":{\"code\":\"Forbidden\",\"innererror\":null}}", ML_EFORBIDDEN,
         "Forbidden", "HTTP 403"},
        {403, "{\"error\":{\"innererror\":{\"innererror\":{\"code\":\"SecretDisabled\"},\"code\":"
              "\"B\"},\"code\":\"A\"}}", ML_EDISABLED, "SecretDisabled", "disabled"},
        {403, "{\"error\":{\"code\":\"SecretDisabled\",\"innererror\":{\"code\":\"\"}}}",
         ML_EDISABLED, "SecretDisabled", "disabled"},
        {403, "<html>canary", ML_EFORBIDDEN, "", "no code"},
        {403, "{\"error\":{\"code\":\"canary code!\"}}", ML_EFORBIDDEN, "", "no code"},
        {403, "{\"error\":{\"code\":\"Forbidden\",\"innererror\":{\"code\":\"SecretDisa",
         ML_EFORBIDDEN, "Forbidden", "HTTP 403"},
        {404, "{\"error\":{\"code\":\"SecretNotFound\",\"message\":\"canary\"}}", ML_EMISSING,
         "SecretNotFound", "no such secret"},
        {404, ERR("SecretNotFound", "Other"), ML_EMISSING, "Other", "no such secret"},
        {404, ERR("NotFound", "SecretNotFound"), ML_EMISSING, "SecretNotFound", "no such"},
        {404, "{\"error\":{\"code\":\"com.github.nagyesta.lowkeyvault.service.exception."
              "NotFoundException\"}}", ML_EMISSING, "NotFoundException", "no such"},
        {404, "", ML_EINVALID, "", "proxy"},
        {404, "<html>SecretNotFound</html>", ML_EINVALID, "", "proxy"},
        {404, "{\"error\":null}", ML_EINVALID, "", "proxy"},
        {404, "{\"error\":\"SecretNotFound\"}", ML_EINVALID, "", "proxy"},
        {404, "{\"error\":{\"code\":\"VaultNotFound\"}}", ML_EINVALID, "VaultNotFound",
         "proxy"},
        {404, "{\"code\":\"SecretNotFound\"}", ML_EINVALID, "", "proxy"},
        {409, ERR("Conflict", "ObjectIsDeletedButRecoverable"), ML_ECONFLICT,
         "ObjectIsDeletedButRecoverable", "recover it, or purge it"},
        {409, ERR("Conflict", "ObjectIsBeingDeleted"), ML_ECONFLICT, "ObjectIsBeingDeleted",
         "being deleted"},
        {409, ERR("Conflict", "ObjectIsBeingRecovered"), ML_ECONFLICT,
         "ObjectIsBeingRecovered", "being recovered"},
        {409, "", ML_ECONFLICT, "", "HTTP 409"},
        {429, "{\"error\":{\"code\":\"Throttled\",\"message\":\"canary\"}}", ML_ETHROTTLED,
         "Throttled", "slow down"},
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
            strcmp(e.service_code, rows[i].service_code) || !strstr(e.text, rows[i].text)) {
            fail_msg("%d %s: %d '%s' '%s'", rows[i].status, rows[i].body, rc, e.service_code,
                     e.text);
        }
        assert_int_equal(e.http_status, rows[i].status);
        assert_string_equal(e.source, "prod");
        assert_string_equal(e.key, "db-pass");
        assert_non_null(strstr(e.text, "'db-pass' of prod"));
        assert_null(strstr(e.text, "canary"));
        assert_null(a.secret);
        assert_int_equal(ml_vault_parse(&get, "prod", rows[i].status, ml_str_of(rows[i].body),
                                        &a, NULL), rows[i].code);
    }
}

/* The hint fits the operation; the longest names still leave room for it. */
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
                                        ML_LIT(ERR("Forbidden", "ForbiddenByRbac")), &a, &e),
                         ML_EFORBIDDEN);
        assert_non_null(strstr(e.text, "some minutes to work"));
        assert_int_equal(ml_vault_parse(&c, source, 403,
                                        ML_LIT(ERR("Forbidden", "ForbiddenByConnection")), &a,
                                        &e), ML_EFORBIDDEN);
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_build),          cmocka_unit_test(test_api_version),
        cmocka_unit_test(test_check),          cmocka_unit_test(test_check_metadata),
        cmocka_unit_test(test_idempotent),     cmocka_unit_test(test_bundle),
        cmocka_unit_test(test_good_bundles),   cmocka_unit_test(test_bad_bundles),
        cmocka_unit_test(test_hostile_bundles), cmocka_unit_test(test_other_operations),
        cmocka_unit_test(test_lists),          cmocka_unit_test(test_errors),
        cmocka_unit_test(test_error_words)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
