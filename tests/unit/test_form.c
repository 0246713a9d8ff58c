/* test_form.c - what enters a URL or a form is percent-encoded, without exception. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "io/form.h"

/* Unreserved bytes stay; the ones that secrets are full of do not. */
static void test_escape(void **state)
{
    (void)state;
    static const struct {
        ml_str in;
        const char *out;
    } rows[] = {
        {{"", 0}, ""},
        {{"AZaz09-._~", 10}, "AZaz09-._~"},
        {{"a b+c", 5}, "a%20b%2Bc"},
        {{"~+&%/=?#", 8}, "~%2B%26%25%2F%3D%3F%23"},
        {{"\0\n\r\x7f", 4}, "%00%0A%0D%7F"},
        {{"\xc3\xa4\xff", 3}, "%C3%A4%FF"},
        {{"%41", 3}, "%2541"},
        {{"https://vault.azure.net/.default", 32},
         "https%3A%2F%2Fvault.azure.net%2F.default"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ml_buf b;
        ml_buf_init(&b, 0);
        ml_form_escape(&b, rows[i].in);
        assert_true(ml_buf_ok(&b));
        assert_true(ml_str_eq(ml_buf_str(&b), ml_str_of(rows[i].out)));
        ml_buf_fini(&b);
    }
}

/* Every single byte: kept exactly when RFC 3986 calls it unreserved. */
static void test_escape_every_byte(void **state)
{
    (void)state;
    static const char keep[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                               "0123456789-._~";
    for (int c = 0; c < 256; c++) {
        char byte = (char)c;
        ml_buf b;
        ml_buf_init(&b, 0);
        ml_form_escape(&b, (ml_str){&byte, 1});
        bool is_kept = memchr(keep, c, sizeof(keep) - 1) != NULL;
        assert_int_equal(b.len, is_kept ? 1 : 3);
        if (is_kept) assert_int_equal(b.data[0], byte);
        ml_buf_fini(&b);
    }
}

/* Pairs are joined by '&', also after an empty value; both sides are encoded. */
static void test_add(void **state)
{
    (void)state;
    ml_buf b;
    ml_buf_init(&b, 0);
    ml_form_add(&b, "empty", ML_LIT(""));
    ml_form_add(&b, "a=b", ML_LIT("c&d"));
    ml_form_add(&b, "x", ML_LIT("1"));
    assert_string_equal(b.data, "empty=&a%3Db=c%26d&x=1");
    ml_buf_fini(&b);
}

/* A form that does not fit is failed, not shortened. */
static void test_full(void **state)
{
    (void)state;
    ml_buf b;
    ml_buf_init(&b, 8);
    ml_form_add(&b, "secret", ML_LIT("+++"));
    assert_false(ml_buf_ok(&b));
    ml_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_escape),
                                       cmocka_unit_test(test_escape_every_byte),
                                       cmocka_unit_test(test_add),
                                       cmocka_unit_test(test_full)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
