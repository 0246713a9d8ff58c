/* test_proxy.c - the proxy's name in a text, and never who logs in there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "io/proxy.h"

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *text, *name;
        bool is_supported;
    } rows[] = {
        {NULL, "", true},
        {"", "", true},
        {"   ", "", true},
        {"proxy:3128", "proxy:3128", true},
        {"proxy", "proxy:1080", true},
        {"http://proxy:3128", "proxy:3128", true},
        {"HTTP://proxy:3128/", "proxy:3128", true},
        {"https://proxy", "proxy:443", true},
        {"socks5h://[::1]:9050", "[::1]:9050", true},
        {"[::1]", "[::1]:1080", true},
        {"http://user:canary@proxy:3128", "proxy:3128", true},
        {"user:can/ary@proxy:3128", "proxy:3128", true},
        {"http://user:can@ary@proxy:3128/x", "proxy:3128", true},
        {"http://user:canary@", "", true},
        {"ftp://proxy:21", "proxy:21", false},
        {"://proxy:21", "proxy:21", false},
        {"pro\nxy:1", "pro?xy:1", true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ml_proxy p;
        ml_proxy_parse(&p, rows[i].text);
        assert_string_equal(p.name, rows[i].name);
        assert_int_equal(p.is_supported, rows[i].is_supported);
        assert_null(strstr(p.name, "can"));
    }
}

static void test_exceptions(void **state)
{
    (void)state;
    static const struct {
        const char *list, *host;
        bool is_excepted;
    } rows[] = {
        {NULL, "a.example", false},
        {"", "a.example", false},
        {"*", "a.example", true},
        {"a.example", "a.example", true},
        {"A.Example", "a.example:8443", true},
        {"example", "a.example", true},
        {".example", "a.example", true},
        {".example", "example", true},
        {"ample", "a.example", false},
        {"b,, c  ,example", "a.example", true},
        {"b,c", "a.example", false},
        {"127.0.0.1", "127.0.0.1:80", true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool is = ml_proxy_is_excepted(rows[i].list, ml_str_of(rows[i].host));
        assert_int_equal(is, rows[i].is_excepted);
    }
}

static void test_environment(void **state)
{
    (void)state;
    static const char *const names[] = {"https_proxy", "HTTPS_PROXY", "all_proxy",
                                        "ALL_PROXY",   "no_proxy",    "NO_PROXY"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) unsetenv(names[i]);
    ml_proxy p;
    ml_str host = ML_LIT("v.vault.azure.net");
    ml_proxy_for(&p, NULL, host);
    assert_string_equal(p.name, "");
    setenv("ALL_PROXY", "all:1", 1);
    ml_proxy_for(&p, NULL, host);
    assert_string_equal(p.name, "all:1");
    setenv("HTTPS_PROXY", "https:2", 1);
    ml_proxy_for(&p, NULL, host);
    assert_string_equal(p.name, "https:2");
    ml_proxy_for(&p, "own:3", host);
    assert_string_equal(p.name, "own:3");
    setenv("NO_PROXY", "vault.azure.net", 1);
    ml_proxy_for(&p, "own:3", host);
    assert_string_equal(p.name, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_exceptions),
        cmocka_unit_test(test_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
