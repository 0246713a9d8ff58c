/* test_devvault_seed.c - seed files: what is read, what is refused, and where it says
 * so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "devvault/seed.h"
#include "devvault/text.h"

typedef struct seen {
    char text[1024]; /* what came, one line a vault or secret */
} seen;

static void note(seen *s, const char *line, ml_str value)
{
    size_t n = strlen(s->text);
    snprintf(s->text + n, sizeof(s->text) - n, "%s%.*s\n", line, (int)value.n,
             value.p ? value.p : "");
}

static int on_vault(void *arg, const char *vault, ml_err *e)
{
    (void)e;
    note(arg, "vault ", ml_str_of(vault));
    return 0;
}

static int on_secret(void *arg, const char *vault, ml_dv_record *r, ml_err *e)
{
    (void)e;
    char line[256];
    snprintf(line, sizeof(line), "%s/%s %d%d%d%d ", vault, r->name, r->enabled,
             r->has_nbf, r->has_exp, r->has_content_type);
    note(arg, line, ml_buf_str(&r->value));
    if (r->tags.len) note(arg, "tags ", ml_buf_str(&r->tags));
    return 0;
}

/* Strings and objects, vaults in their order, in any order. */
static void test_good(void **state)
{
    (void)state;
    seen s = {0};
    ml_err e = {0};
    ml_str text = ML_LIT("{\"one\":{\"a\":\"v\\u00fc\",\"B-2\":{\"value\":\"w\","
                         "\"contentType\":\"t\",\"tags\":{\"k\":\"x\"},"
                         "\"attributes\":{\"enabled\":false,\"exp\":5}}},\"two\":{}}");
    assert_int_equal(ml_dv_seed_read(text, "f", on_vault, on_secret, &s, &e), 0);
    assert_string_equal(s.text, "vault one\none/a 1000 v\xc3\xbc\none/B-2 0011 w\n"
                                "tags {\"k\":\"x\"}\nvault two\n");
}

/* Each refusal names the file; none repeats a value. */
static void test_bad(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "null",
        "{\"one\"}",
        "{\"one\":{}",
        "{\"one\":{}} x",
        "{\"one\":[]}",
        "{\"on\":{}}",
        "{\"1ne\":{}}",
        "{\"a--b\":{}}",
        "{\"abc-\":{}}",
        "{\"a_b\":{}}",
        "{\"one\":{\"\":\"canary\"}}",
        "{\"one\":{\"a_b\":\"canary\"}}",
        "{\"one\":{\"a\":7}}",
        "{\"one\":{\"a\":null}}",
        "{\"one\":{\"a\":{}}}",
        "{\"one\":{\"a\":{\"value\":null}}}",
        "{\"one\":{\"a\":{\"value\":1}}}",
        "{\"one\":{\"a\":\"canary\",}}",
        "{\"one\":{\"a\":\"canary\"} \"two\":{}}",
        "{\"one\":{\"a\":\"\xff\"}}",
        "{\"one\":{\"a\":\"\\ud800\"}}",
        "{\"one\":{\"a\":{\"value\":\"canary\",\"tags\":[]}}}",
        "{\"one\":{\"a\":{\"value\":\"canary\",\"attributes\":{\"exp\":\"5\"}}}}"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        seen s = {0};
        ml_err e = {0};
        int rc = ml_dv_seed_read(ml_str_of(texts[i]), "my.json", on_vault, on_secret,
                                 &s, &e);
        if (rc != ML_EUSAGE) fail_msg("taken: %s", texts[i]);
        assert_non_null(strstr(e.text, "my.json"));
        assert_null(strstr(e.text, "canary"));
    }
}

static int refuse(void *arg, const char *vault, ml_dv_record *r, ml_err *e)
{
    (void)arg;
    (void)vault;
    (void)r;
    (void)e;
    return ML_ESYSTEM;
}

/* A callback's refusal ends the reading. */
static void test_stop(void **state)
{
    (void)state;
    ml_err e = {0};
    assert_int_equal(ml_dv_seed_read(ML_LIT("{\"one\":{\"a\":\"v\"}}"), "f", NULL,
                                     refuse, NULL, &e),
                     ML_ESYSTEM);
}

/* The longest value fits, one byte more does not. */
static void test_limit(void **state)
{
    (void)state;
    for (size_t n = 25600; n <= 25601; n++) {
        ml_buf b;
        ml_buf_init(&b, 0);
        ml_buf_add_text(&b, "{\"one\":{\"a\":\"");
        for (size_t i = 0; i < n; i++) ml_buf_add_char(&b, 'x');
        ml_buf_add_text(&b, "\"}}");
        int rc = ml_dv_seed_read(ml_buf_str(&b), "f", NULL, NULL, NULL, NULL);
        assert_int_equal(rc, n == 25600 ? 0 : ML_EUSAGE);
        ml_buf_fini(&b);
    }
}

/* A seed fills an empty store once; what is there is left alone. */
static void test_add(void **state)
{
    (void)state;
    ml_dv_store *s = NULL;
    ml_dv_record r;
    ml_err e = {0};
    assert_int_equal(ml_dv_store_open(&s, NULL, &e), 0);
    for (int i = 0; i < 2; i++) {
        ml_dv_record_init(&r);
        snprintf(r.name, sizeof(r.name), "Name");
        ml_buf_add_text(&r.value, i == 0 ? "first" : "second");
        assert_int_equal(ml_dv_seed_add(s, "vault", &r, &e), 0);
        ml_dv_record_fini(&r);
    }
    ml_dv_record_init(&r);
    assert_int_equal(ml_dv_store_find(s, "VAULT", "name", NULL, &r, &e), 0);
    assert_true(ml_str_eq(ml_buf_str(&r.value), ML_LIT("first")));
    assert_int_equal(strlen(r.version), 32);
    assert_int_equal(ml_dv_store_find(s, "other", "name", NULL, &r, &e), ML_EMISSING);
    ml_dv_record_fini(&r);
    ml_dv_store_close(s);
}

/* Forms and base64: the conversions under everything. */
static void test_text(void **state)
{
    (void)state;
    ml_buf b;
    ml_buf_init(&b, 0);
    ml_str form = ML_LIT("a=1&b+c=%7e%2B+x&empty=&flag&bad=%2&a=2");
    assert_true(ml_dv_form_get(form, "a", &b) && strcmp(b.data, "1") == 0);
    assert_true(ml_dv_form_get(form, "b c", &b) && strcmp(b.data, "~+ x") == 0);
    assert_true(ml_dv_form_get(form, "empty", &b) && b.len == 0);
    assert_true(ml_dv_form_get(form, "flag", &b) && b.len == 0);
    assert_false(ml_dv_form_get(form, "bad", &b));
    assert_false(ml_dv_form_get(form, "none", &b));
    for (size_t n = 0; n < 9; n++) {
        ml_buf text;
        ml_buf_init(&text, 0);
        ml_buf_clear(&b);
        ml_str bytes = {"\xff\x00\xfe\x10\x80 ab", n};
        ml_dv_base64url(&text, bytes);
        assert_true(ml_dv_base64url_read(&b, ml_buf_str(&text)));
        assert_true(ml_str_eq(ml_buf_str(&b), bytes));
        ml_buf_fini(&text);
    }
    ml_buf_clear(&b);
    assert_false(ml_dv_base64url_read(&b, ML_LIT("A")));
    assert_false(ml_dv_base64url_read(&b, ML_LIT("AA+A")));
    ml_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good), cmocka_unit_test(test_bad),
        cmocka_unit_test(test_stop), cmocka_unit_test(test_limit),
        cmocka_unit_test(test_add),  cmocka_unit_test(test_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
