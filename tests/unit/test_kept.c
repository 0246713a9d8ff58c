/* test_kept.c - what sources said: every state of an entry, its limits, and forgetting.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/glob.h"
#include "source/kept.h"

static const ml_keep keep = {
    .ttl_ms = 100, .negative_ttl_ms = 20, .stale_ttl_ms = 500, .stale_throttled = true};
static const ml_err missing = {.code = ML_EMISSING, .text = "not there"};
static const ml_err throttled = {.code = ML_ETHROTTLED, .text = "slow down"};
static const ml_err unavailable = {.code = ML_EUNAVAILABLE, .text = "dead"};

static ml_kept *new_kept(size_t max_bytes, size_t max_entries)
{
    return ml_kept_new(&(ml_kept_limits){.max_bytes = max_bytes,
                                         .max_entries = max_entries,
                                         .keep = keep,
                                         .refresh_percent = 75});
}

static ml_kept_key key_of(uint32_t source, const char *key)
{
    return (ml_kept_key){.source = source, .key = ml_str_of(key)};
}

/* A flight that ends so at this time.  text NULL: with *e. */
static void fly(ml_kept *c, const ml_kept_key *k, const char *text, const ml_err *e,
                int64_t now_ms)
{
    ml_entry *en = ml_kept_want(c, k, ML_LIT("n"));
    en->flight = (ml_flight *)c; /* somebody's */
    ml_secret *s = text ? ml_secret_of_bytes(ml_str_of(text)) : NULL;
    ml_kept_settle(c, en, s, e, &keep, now_ms, 50);
    ml_secret_unref(s);
}

static ml_kept_state state_at(ml_kept *c, const ml_kept_key *k, int64_t now_ms,
                              int64_t *ms)
{
    return ml_kept_state_of(c, ml_kept_peek(c, k), &keep, now_ms, ms);
}

static void assert_stale(ml_kept *c, const ml_kept_key *k, int64_t now_ms,
                         const char *text, int64_t age_ms)
{
    int64_t age = -1;
    ml_secret *s = ml_kept_stale(ml_kept_peek(c, k), keep.stale_ttl_ms, now_ms, &age);
    if (!text) {
        assert_null(s);
        return;
    }
    assert_true(ml_str_eq(ml_secret_value(s), ml_str_of(text)));
    assert_int_equal(age, age_ms);
    ml_secret_unref(s);
}

/* EMPTY -> FLIGHT -> FRESH -> LATE -> STALE -> EMPTY, by time alone. */
static void test_a_value_ages(void **state)
{
    (void)state;
    ml_kept *c = new_kept(10000, 10);
    ml_kept_key k = key_of(1, "a");
    static const struct {
        int64_t now_ms;
        ml_kept_state state;
        int64_t ms;
    } ages[] = {{0, ML_KEPT_FRESH, 100},   {74, ML_KEPT_FRESH, 26},
                {75, ML_KEPT_LATE, 25},    {99, ML_KEPT_LATE, 1},
                {100, ML_KEPT_STALE, 100}, {500, ML_KEPT_STALE, 500},
                {501, ML_KEPT_EMPTY, 501}};
    assert_int_equal(state_at(c, &k, 0, NULL), ML_KEPT_EMPTY);
    ml_entry *en = ml_kept_want(c, &k, ML_LIT("n"));
    assert_int_equal(state_at(c, &k, 0, NULL), ML_KEPT_EMPTY);
    en->flight = (ml_flight *)c;
    assert_int_equal(state_at(c, &k, 0, NULL), ML_KEPT_FLIGHT);
    fly(c, &k, "one", NULL, 0);
    for (size_t i = 0; i < sizeof(ages) / sizeof(*ages); i++) {
        int64_t ms;
        assert_int_equal(state_at(c, &k, ages[i].now_ms, &ms), ages[i].state);
        assert_int_equal(ms, ages[i].ms);
    }
    assert_stale(c, &k, 500, "one", 500);
    assert_stale(c, &k, 501, NULL, 0);
    fly(c, &k, "two", NULL, 501);
    assert_int_equal(state_at(c, &k, 501, NULL), ML_KEPT_FRESH);
    assert_stale(c, &k, 511, "two", 10);
    ml_kept_free(c);
}

/* However short its time is, a value is late when so much of it is over, or never. */
static void test_late(void **state)
{
    (void)state;
    static const struct {
        int percent;
        int64_t ttl_ms, late_ms; /* the last: ttl_ms for never */
    } cases[] = {{75, 4, 3},    {75, 99, 74},    {75, 199, 149},
                 {1, 1000, 10}, {100, 99, 99},   {101, 99, 99},
                 {101, 1, 1},   {101, 199, 199}, {101, 10000, 10000}};
    ml_kept_limits limits = {.max_bytes = 10000, .max_entries = 10, .keep = keep};
    ml_kept_key k = key_of(1, "a");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        int64_t ttl_ms = cases[i].ttl_ms, late_ms = cases[i].late_ms;
        ml_keep one = {.ttl_ms = ttl_ms};
        limits.refresh_percent = cases[i].percent;
        ml_kept *c = ml_kept_new(&limits);
        fly(c, &k, "v", NULL, 0);
        const ml_entry *en = ml_kept_peek(c, &k);
        assert_int_equal(ml_kept_state_of(c, en, &one, late_ms - 1, NULL),
                         ML_KEPT_FRESH);
        if (late_ms < ttl_ms)
            assert_int_equal(ml_kept_state_of(c, en, &one, late_ms, NULL),
                             ML_KEPT_LATE);
        ml_kept_free(c);
    }
}

/* Rules that keep for longer or shorter see the same entry in another state. */
static void test_each_call_brings_its_own_times(void **state)
{
    (void)state;
    ml_kept *c = new_kept(10000, 10);
    ml_kept_key k = key_of(1, "a");
    fly(c, &k, "one", NULL, 0);
    ml_keep brief = {.ttl_ms = 10}, none = {0}, eternal = {.ttl_ms = 100000};
    const ml_entry *en = ml_kept_peek(c, &k);
    assert_int_equal(ml_kept_state_of(c, en, &brief, 50, NULL), ML_KEPT_EMPTY);
    assert_int_equal(ml_kept_state_of(c, en, &none, 0, NULL), ML_KEPT_STALE);
    assert_int_equal(ml_kept_state_of(c, en, &none, 1, NULL), ML_KEPT_EMPTY);
    assert_int_equal(ml_kept_state_of(c, en, &eternal, 50, NULL), ML_KEPT_FRESH);
    assert_int_equal(ml_kept_default(c, false).ttl_ms, 100);
    assert_int_equal(ml_kept_default(c, true).ttl_ms, 1000); /* a pinned version */
    ml_kept_free(c);
}

static void test_missing_is_believed_for_its_own_time(void **state)
{
    (void)state;
    ml_kept *c = new_kept(10000, 10);
    ml_kept_key k = key_of(1, "a");
    int64_t ms;
    fly(c, &k, NULL, &missing, 1000);
    assert_int_equal(state_at(c, &k, 1019, &ms), ML_KEPT_NEGATIVE);
    assert_int_equal(ms, 1);
    assert_string_equal(ml_kept_peek(c, &k)->failure->text, "not there");
    assert_int_equal(state_at(c, &k, 1020, NULL), ML_KEPT_EMPTY);
    fly(c, &k, "one", NULL, 1030);
    assert_int_equal(state_at(c, &k, 1030, NULL), ML_KEPT_FRESH);
    fly(c, &k, NULL, &missing, 1040); /* a value does not outlive a missing */
    assert_int_equal(state_at(c, &k, 1040, NULL), ML_KEPT_NEGATIVE);
    assert_stale(c, &k, 1040, NULL, 0);
    ml_kept_free(c);
}

/* Not what was in its memory before: it may be anything, and is kept for long. */
static void test_failure_alone_is_kept(void **state)
{
    (void)state;
    ml_kept *c = new_kept(10000, 10);
    ml_kept_key k = key_of(1, "a");
    ml_err want = {.code = ML_EMISSING, .key = "a", .text = "not there"}, spoilt = want;
    memset(spoilt.key + 2, 0xa5, sizeof(spoilt.key) - 2);
    memset(spoilt.text + sizeof("not there"), 0xa5,
           sizeof(spoilt.text) - sizeof("not there"));
    fly(c, &k, NULL, &spoilt, 0);
    assert_memory_equal(ml_kept_peek(c, &k)->failure, &want, sizeof(want));
    ml_kept_free(c);
}

/* A failure of the line leaves the value, and rests; what the source says about the
 * secret takes it away. */
static void test_failures(void **state)
{
    (void)state;
    static const int gone[] = {ML_EDISABLED, ML_EFORBIDDEN, ML_EUNAUTHENTICATED,
                               ML_EMISSING};
    static const int left[] = {ML_ETHROTTLED, ML_EUNAVAILABLE, ML_ECANCELED, ML_ENOMEM,
                               ML_EINVALID};
    ml_kept *c = new_kept(10000, 10);
    ml_kept_key k = key_of(1, "a");
    for (size_t i = 0; i < sizeof(gone) / sizeof(*gone); i++) {
        fly(c, &k, "one", NULL, 0);
        fly(c, &k, NULL, &(ml_err){.code = gone[i]}, 10);
        assert_stale(c, &k, 10, NULL, 0);
    }
    for (size_t i = 0; i < sizeof(left) / sizeof(*left); i++) {
        fly(c, &k, "one", NULL, 0);
        fly(c, &k, NULL, &(ml_err){.code = left[i]}, 110);
        assert_stale(c, &k, 110, "one", 110);
    }
    for (size_t i = 0; i < sizeof(left) / sizeof(*left); i++) {
        ml_kept_key none = key_of(2, "never-found");
        fly(c, &none, NULL, &(ml_err){.code = left[i]}, 0);
        assert_null(ml_kept_peek(c, &none));
    }
    ml_kept_free(c);
}

/* RESTING only for who would take the stale value for that very failure. */
static void test_rests_after_an_outage(void **state)
{
    (void)state;
    ml_kept *c = new_kept(10000, 10);
    ml_kept_key k = key_of(1, "a");
    int64_t ms;
    fly(c, &k, "one", NULL, 0);
    fly(c, &k, NULL, &throttled, 200);
    assert_int_equal(state_at(c, &k, 220, &ms), ML_KEPT_RESTING);
    assert_int_equal(ms, 30);
    assert_int_equal(state_at(c, &k, 250, NULL), ML_KEPT_STALE);
    ml_keep strict = {.ttl_ms = 100, .stale_ttl_ms = 500, .stale_unavailable = true};
    const ml_entry *en = ml_kept_peek(c, &k);
    assert_int_equal(ml_kept_state_of(c, en, &strict, 220, NULL), ML_KEPT_STALE);
    fly(c, &k, NULL, &unavailable, 300);
    assert_int_equal(state_at(c, &k, 310, NULL), ML_KEPT_STALE);
    fly(c, &k, NULL, &throttled, 490);
    assert_int_equal(state_at(c, &k, 501, NULL),
                     ML_KEPT_EMPTY); /* too old to rest on */
    fly(c, &k, "two", NULL, 600);    /* late, and a refresh ahead has failed */
    fly(c, &k, NULL, &throttled, 680);
    assert_int_equal(state_at(c, &k, 690, NULL), ML_KEPT_FRESH);
    fly(c, &k, "three", NULL, 700);
    assert_int_equal(state_at(c, &k, 780, NULL), ML_KEPT_LATE);
    ml_kept_free(c);
}

static void test_keys_fold_where_the_source_does(void **state)
{
    (void)state;
    ml_kept *c = new_kept(10000, 10);
    ml_kept_key upper = key_of(1, "KEY"), lower = key_of(1, "key");
    fly(c, &upper, "one", NULL, 0);
    assert_null(ml_kept_peek(c, &lower));
    upper.ignores_case = lower.ignores_case = true;
    upper.source = lower.source = 2;
    fly(c, &upper, "two", NULL, 0);
    assert_non_null(ml_kept_peek(c, &lower));
    lower.source = 3;
    assert_null(ml_kept_peek(c, &lower));
    ml_kept_free(c);
}

static void test_limits(void **state)
{
    (void)state;
    ml_kept *c = new_kept(1000000, 10);
    char text[32];
    size_t bytes;
    ml_kept_key first = key_of(1, "first");
    fly(c, &first, "v", NULL, 0);
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof(text), "%d", i);
        ml_kept_key k = key_of(1, text);
        fly(c, &k, "v", NULL, 0);
        assert_non_null(ml_kept_find(c, &first)); /* what is used stays */
    }
    assert_int_equal(ml_kept_count(c, &bytes), 10);
    ml_kept_free(c);

    c = new_kept(8000, 1000);
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof(text), "%d", i);
        ml_kept_key k = key_of(1, text);
        fly(c, &k, "v", NULL, 0);
        size_t n = ml_kept_count(c, &bytes);
        assert_true(bytes <= 8000 && n > 0);
    }
    assert_in_range(ml_kept_count(c, NULL), 10, 40);
    ml_kept_free(c);

    c = new_kept(8000, 2); /* what is in flight is not dropped */
    ml_kept_key flying = key_of(1, "flying");
    ml_kept_want(c, &flying, (ml_str){0})->flight = (ml_flight *)c;
    for (int i = 0; i < 5; i++) {
        snprintf(text, sizeof(text), "%d", i);
        ml_kept_key k = key_of(1, text);
        fly(c, &k, "v", NULL, 0);
    }
    assert_non_null(ml_kept_peek(c, &flying));
    ml_kept_free(c);
}

/* It is not kept, and takes no other's place. */
static void test_a_value_above_the_limit(void **state)
{
    (void)state;
    static char big[9000];
    ml_kept *c = new_kept(8000, 1000);
    ml_kept_key small = key_of(1, "small"), large = key_of(1, "large");
    size_t before, after;
    memset(big, 'x', sizeof(big) - 1);
    fly(c, &small, "v", NULL, 0);
    fly(c, &large, "v", NULL, 0);
    assert_int_equal(ml_kept_count(c, &before), 2);
    fly(c, &large, big, NULL, 0);
    assert_null(ml_kept_peek(c, &large));
    assert_non_null(ml_kept_peek(c, &small));
    assert_int_equal(ml_kept_count(c, &after), 1);
    assert_true(after > 0 && after < before);
    ml_kept_free(c);
}

/* A value that no asker would use is not held; one that another would is. */
static void test_no_value_without_use(void **state)
{
    (void)state;
    ml_kept *c = new_kept(10000, 10);
    ml_kept_key k = key_of(1, "a");
    ml_keep none = {.stale_ttl_ms = 500};
    ml_secret *s = ml_secret_of_bytes(ML_LIT("v"));
    ml_kept_settle(c, ml_kept_want(c, &k, (ml_str){0}), s, NULL, &none, 0, 0);
    assert_null(ml_kept_peek(c, &k));
    fly(c, &k, "one", NULL, 0);
    ml_kept_settle(c, ml_kept_want(c, &k, (ml_str){0}), s, NULL, &none, 50, 0);
    assert_int_equal(ml_kept_peek(c, &k)->dies_ms, 1050); /* in whole seconds */
    ml_secret_unref(s);
    ml_kept_free(c);
}

/* Values that nobody may use any more go though there is room. */
static void test_the_dead_are_swept(void **state)
{
    (void)state;
    ml_kept *c = new_kept(1000000, 1000);
    char text[32];
    for (int i = 0; i < 50; i++) {
        snprintf(text, sizeof(text), "old-%d", i);
        ml_kept_key k = key_of(1, text);
        fly(c, &k, "v", NULL, 0);
    }
    for (int i = 0; i < 50; i++) {
        snprintf(text, sizeof(text), "new-%d", i);
        ml_kept_key k = key_of(1, text);
        fly(c, &k, "v", NULL, 1000);
    }
    assert_int_equal(ml_kept_count(c, NULL), 50);
    ml_kept_free(c);
}

static void fly_for(ml_kept *c, const ml_kept_key *k, const char *name)
{
    fly(c, k, "v", NULL, 0);
    ml_kept_want(c, k, ml_str_of(name));
}

/* Two sources of one store keep apart what each was told, and forget together. */
static void test_sources_of_one_store(void **state)
{
    (void)state;
    ml_kept *c = new_kept(1000000, 1000);
    ml_kept_key a = key_of(1, "a"), too = key_of(2, "a"), b = key_of(2, "b"),
                alone = key_of(3, "a");
    a.store = too.store = b.store = 77;
    fly(c, &a, "v", NULL, 0);
    assert_null(ml_kept_peek(c, &too));
    fly(c, &too, "v", NULL, 0);
    fly(c, &b, "v", NULL, 0);
    fly(c, &alone, "v", NULL, 0);
    ml_kept_forget_key(c, &a);
    assert_null(ml_kept_peek(c, &a));
    assert_null(ml_kept_peek(c, &too));
    assert_non_null(ml_kept_peek(c, &b));
    ml_kept_forget_store(c, &a);
    assert_null(ml_kept_peek(c, &b));
    assert_non_null(ml_kept_peek(c, &alone));
    ml_kept_forget_store(c, &alone);
    assert_int_equal(ml_kept_count(c, NULL), 0);
    ml_kept_free(c);
}

static void test_forgetting(void **state)
{
    (void)state;
    ml_kept *c = new_kept(1000000, 1000);
    ml_kept_key a = key_of(1, "a"), pinned = key_of(1, "a"), b = key_of(1, "b"),
                other = key_of(2, "a");
    pinned.version = ML_LIT("v1");
    fly(c, &a, "v", NULL, 0);
    fly(c, &pinned, "v", NULL, 0);
    fly(c, &b, "v", NULL, 0);
    fly(c, &other, "v", NULL, 0);
    ml_kept_forget_key(c, &a);
    assert_null(ml_kept_peek(c, &a));
    assert_null(ml_kept_peek(c, &pinned));
    assert_non_null(ml_kept_peek(c, &b));
    ml_kept_forget_source(c, 1);
    assert_null(ml_kept_peek(c, &b));
    assert_non_null(ml_kept_peek(c, &other));
    ml_kept_forget(c, ML_LIT("x"));
    assert_non_null(ml_kept_peek(c, &other)); /* "n" asked for it */
    ml_kept_forget(c, ML_LIT("*"));
    assert_int_equal(ml_kept_count(c, NULL), 0);
    fly_for(c, &a, "x"); /* "n" and "x" */
    ml_kept_forget(c, ML_LIT("x"));
    assert_null(ml_kept_peek(c, &a));
    fly(c, &b, "v", NULL, 0);
    ml_kept_forget(c, (ml_str){0});
    assert_int_equal(ml_kept_count(c, NULL), 0);
    ml_kept_free(c);
}

static void test_patterns(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *name;
        bool matches;
    } table[] = {
        {"a", "a", true},
        {"a", "b", false},
        {"a/*", "a/b", true},
        {"a/*", "a/", false},
        {"a/*", "a/b/c", false},
        {"a/b*", "a/b", true},
        {"a/*b*c", "a/xbybzc", true},
        {"a/*b*c", "a/xbybz", false},
        {"**", "a", true},
        {"**", "a/b/c", true},
        {"a/**", "a", false},
        {"a/**", "a/b/c", true},
        {"**/z", "z", true},
        {"**/z", "a/b/z", true},
        {"**/z", "a/z/b", false},
        {"a/**/b/*", "a/b/c/b/d", true},
        {"a/**/b", "a/b", true},
        {"{x}/b", "/b", false},
        {"{x}/b", "a/b", true},
        {"p-{x}-*", "p-1-", true},
        {"p-{x}-*", "p--", false},
        {"", "", true},
        {"a/**/b", "a/x/c", false},
        {"a", "a/b", false},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        bool got = ml_glob_match(ml_str_of(table[i].pattern), ml_str_of(table[i].name));
        if (got != table[i].matches)
            fail_msg("%s on %s: %d", table[i].pattern, table[i].name, got);
    }
    ml_err e;
    assert_int_equal(ml_glob_check(ML_LIT("a/**/{x}-*"), &e), 0);
    assert_int_equal(ml_glob_check(ML_LIT(""), &e), ML_EUSAGE);
    assert_int_equal(ml_glob_check(ML_LIT("a**/b"), &e), ML_EUSAGE);
    assert_int_equal(ml_glob_check(ML_LIT("a/{x"), &e), ML_EUSAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_value_ages),
        cmocka_unit_test(test_late),
        cmocka_unit_test(test_each_call_brings_its_own_times),
        cmocka_unit_test(test_missing_is_believed_for_its_own_time),
        cmocka_unit_test(test_failure_alone_is_kept),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_rests_after_an_outage),
        cmocka_unit_test(test_keys_fold_where_the_source_does),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_a_value_above_the_limit),
        cmocka_unit_test(test_no_value_without_use),
        cmocka_unit_test(test_the_dead_are_swept),
        cmocka_unit_test(test_sources_of_one_store),
        cmocka_unit_test(test_forgetting),
        cmocka_unit_test(test_patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
