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
    ml_cache_put(c, k, s, &(ml_cache_life){expires_ms, INT64_MAX});
    ml_secret_unref(s);
}

static bool holds(ml_cache *c, const ml_cache_key *k, int64_t now_ms, const char *text)
{
    ml_cache_due due;
    ml_secret *s = ml_cache_get(c, k, now_ms, &due);
    bool same = s && ml_str_eq(ml_secret_value(s), ml_str_of(text));
    ml_secret_unref(s);
    return same;
}

static void test_found_until_it_expires(void **state)
{
    (void)state;
    ml_cache *c = ml_cache_new(1024 * 1024, 65536);
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
    ml_cache *c = ml_cache_new(1024 * 1024, 65536);
    ml_pair team_a[] = {{"team", "a"}}, team_b[] = {{"team", "b"}},
            shifted[] = {{"tea", "ma"}};
    ml_cache_key keys[] = {
        {.name = "n"},
        {.name = "n", .generation = 1},
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
    ml_cache *c = ml_cache_new(64 * 1024, 65536);
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

static void test_bounded_by_entries(void **state)
{
    (void)state;
    ml_cache *c = ml_cache_new(1024 * 1024, 32);
    char name[16];
    int kept = 0;
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "%d", i);
        put(c, &(ml_cache_key){.name = name}, "v", 10);
    }
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "%d", i);
        kept += holds(c, &(ml_cache_key){.name = name}, 0, "v");
    }
    assert_int_equal(kept, 32);
    ml_cache_free(c);
}

/* What is too big is not kept, and what was there before is not true any more. */
static void test_too_big(void **state)
{
    (void)state;
    static char big[8192];
    ml_cache *c = ml_cache_new(64 * 1024, SIZE_MAX); /* as many as fit */
    ml_cache_key k = {.name = "a"};
    memset(big, 'b', sizeof(big) - 1);
    put(c, &k, "small", 10);
    put(c, &k, big, 10);
    assert_false(holds(c, &k, 0, "small"));
    assert_false(holds(c, &k, 0, big));
    char name[16];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "%d", i);
        put(c, &(ml_cache_key){.name = name}, "v", 10);
    }
    assert_int_equal(ml_cache_count(c).entries, 100);
    ml_cache_free(c);
}

/* What is asked for between the others stays, whenever it came. */
static void test_what_is_used_stays(void **state)
{
    (void)state;
    ml_cache *c = ml_cache_new(1024 * 1024, 32);
    char name[16];
    put(c, &(ml_cache_key){.name = "hot"}, "v", 10);
    put(c, &(ml_cache_key){.name = "cold"}, "v", 10);
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "%d", i);
        assert_true(holds(c, &(ml_cache_key){.name = "hot"}, 0, "v"));
        put(c, &(ml_cache_key){.name = name}, "v", 10);
    }
    assert_true(holds(c, &(ml_cache_key){.name = "hot"}, 0, "v"));
    assert_false(holds(c, &(ml_cache_key){.name = "cold"}, 0, "v"));
    ml_cache_free(c);
}

/* Late in its time an answer is due for one caller; the others are asked to help, once
 * a millisecond; when the refresh has failed it rests. */
static void test_due(void **state)
{
    (void)state;
    ml_cache *c = ml_cache_new(1024 * 1024, 100);
    ml_cache_key k = {.name = "a"};
    ml_secret *s = secret_of("one");
    static const struct {
        int64_t now_ms;
        ml_cache_due due;
    } steps[] = {{74, ML_CACHE_FINE}, {75, ML_CACHE_REFRESH}, {75, ML_CACHE_FINE},
                 {76, ML_CACHE_HELP}, {76, ML_CACHE_FINE},    {80, ML_CACHE_HELP}};
    ml_cache_put(c, &k, s, &(ml_cache_life){100, 75});
    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
        ml_cache_due due;
        ml_secret *got = ml_cache_get(c, &k, steps[i].now_ms, &due);
        assert_ptr_equal(got, s);
        assert_int_equal(due, steps[i].due);
        ml_secret_unref(got);
    }
    ml_cache_due due;
    ml_cache_rest(c, &k, 90);
    ml_secret_unref(ml_cache_get(c, &k, 89, &due));
    assert_int_equal(due, ML_CACHE_FINE);
    ml_secret_unref(ml_cache_get(c, &k, 90, &due));
    assert_int_equal(due, ML_CACHE_REFRESH);
    ml_cache_rest(c, &k, -1);
    assert_null(ml_cache_get(c, &k, 0, &due));
    ml_cache_rest(c, &k, -1); /* not there: nothing to do */
    ml_secret_unref(s);
    ml_cache_free(c);
}

static void test_forget(void **state)
{
    (void)state;
    ml_cache *c = ml_cache_new(1024 * 1024, 100);
    ml_pair team[] = {{"team", "a"}};
    ml_cache_key a = {.name = "a/x", .context = team, .n_context = 1},
                 b = {.name = "b/x"}, deep = {.name = "a/x/y", .generation = 3};
    put(c, &a, "1", 10);
    put(c, &b, "2", 10);
    put(c, &deep, "3", 10);
    ml_cache_forget(c, ML_LIT("a/*"));
    assert_false(holds(c, &a, 0, "1"));
    assert_true(holds(c, &b, 0, "2"));
    assert_true(holds(c, &deep, 0, "3"));
    ml_cache_forget(c, ML_LIT("a/**"));
    assert_false(holds(c, &deep, 0, "3"));
    ml_cache_forget(c, ML_LIT("b/x"));
    assert_false(holds(c, &b, 0, "2"));
    ml_cache_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found_until_it_expires),
        cmocka_unit_test(test_keys_do_not_mix),
        cmocka_unit_test(test_bounded_by_bytes),
        cmocka_unit_test(test_bounded_by_entries),
        cmocka_unit_test(test_what_is_used_stays),
        cmocka_unit_test(test_too_big),
        cmocka_unit_test(test_due),
        cmocka_unit_test(test_forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
