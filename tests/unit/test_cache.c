/* test_cache.c - kept answers: found until they expire, bounded, never mixed up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "io/cache.h"

static ml_secret *secret_of(const char *text)
{
    return ml_secret_of_bytes(ml_str_of(text));
}

static void put(ml_cache *c, const ml_cache_key *k, const char *text,
                int64_t expires_ms)
{
    ml_secret *s = secret_of(text);
    ml_cache_put(c, k, s, expires_ms);
    ml_secret_unref(s);
}

static bool holds(ml_cache *c, const ml_cache_key *k, int64_t now_ms, const char *text)
{
    ml_secret *s = ml_cache_get(c, k, now_ms);
    bool same = s && ml_str_eq(ml_secret_value(s), ml_str_of(text));
    ml_secret_unref(s);
    return same;
}

static void test_found_until_it_expires(void **state)
{
    (void)state;
    ml_cache *c = ml_cache_new(1024 * 1024);
    ml_cache_key k = {.name = "a"};
    put(c, &k, "one", 100);
    assert_true(holds(c, &k, 99, "one"));
    assert_int_equal(ml_cache_left_ms(c, &k, 60), 40);
    assert_int_equal(ml_cache_left_ms(c, &k, 100), 0);
    assert_int_equal(ml_cache_left_ms(c, &(ml_cache_key){.name = "b"}, 60), 0);
    put(c, &k, "two", 200);
    assert_true(holds(c, &k, 150, "two"));
    assert_false(holds(c, &k, 200, "two"));
    put(c, &k, "three", 300);
    ml_cache_clear(c);
    assert_false(holds(c, &k, 0, "three"));
    ml_cache_free(c);
}

/* Name, version and context are all part of the key, and can't be shifted into each
 * other. */
static void test_keys_do_not_mix(void **state)
{
    (void)state;
    ml_cache *c = ml_cache_new(1024 * 1024);
    ml_pair team_a[] = {{"team", "a"}}, team_b[] = {{"team", "b"}},
            shifted[] = {{"tea", "ma"}};
    ml_cache_key keys[] = {
        {.name = "n"},
        {.name = "n", .version = "v"},
        {.name = "n", .version = ""},
        {.name = "nv"},
        {.name = "n", .context = team_a, .n_context = 1},
        {.name = "n", .context = team_b, .n_context = 1},
        {.name = "n", .context = shifted, .n_context = 1},
    };
    enum { N = sizeof(keys) / sizeof(*keys) };
    char text[2] = "0";
    for (int i = 0; i < N; i++) {
        text[0] = (char)('0' + i);
        put(c, &keys[i], text, 10);
    }
    for (int i = 0; i < N; i++) {
        text[0] = (char)('0' + i);
        assert_true(holds(c, &keys[i], 0, text));
    }
    ml_cache_free(c);
}

/* Past its bytes the cache drops what was not used for longest; long names work too. */
static void test_bounded_by_bytes(void **state)
{
    (void)state;
    ml_cache *c = ml_cache_new(64 * 1024);
    char value[512], name[700];
    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    int kept = 0;
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "name-%0600d", i);
        put(c, &(ml_cache_key){.name = name}, value, 10);
    }
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "name-%0600d", i);
        kept += holds(c, &(ml_cache_key){.name = name}, 0, value);
    }
    assert_in_range(kept, 10, 64 * 1024 / 1100);
    assert_true(holds(c, &(ml_cache_key){.name = name}, 0, value));
    ml_cache_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found_until_it_expires),
        cmocka_unit_test(test_keys_do_not_mix),
        cmocka_unit_test(test_bounded_by_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
