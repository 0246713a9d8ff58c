/* test_allocator.c - memory of the host's own over a real vault: whatever it refuses, a
 * call ends well or with ML_ENOMEM, never as an outage, a refusal or an absence. */
#include "counting.h"
#include "support.h"

static server *vault;

static int set_up(void **state)
{
    clean_environment(state);
    vault = vault_start("--page-size", "2", NULL);
    ml_resolver *r = open_on(vault);
    put_text(r, "a", "value a");
    put_text(r, "b", "value b");
    put_text(r, "c", "value c");
    ml_close(r);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    server_stop(vault);
    return 0;
}

static void with_patience(ml_options *o)
{
    o->lua_deadline_ms = 60 * 1000; /* Lua without memory is slow */
}

/* Whatever is forgotten for want of memory is seen as an outage, and soon. */
static ml_resolver *open_it(void)
{
    return open_with(
        &(setup){.vault = vault, .deadline_ms = 20 * 1000, .adjust = with_patience});
}

/* ---- what a host does
 * ---------------------------------------------------------------- */

static int get(ml_resolver *r)
{
    ml_secret *s = NULL;
    int code = ml_get(r, "b", NULL, 0, &s, &last_error);
    if (code == 0) assert_memory_equal(ml_secret_data(s, NULL), "value b", 7);
    ml_secret_unref(s);
    return code;
}

static int list(ml_resolver *r)
{
    ml_answer *a = NULL;
    int code = ml_list(r, NULL, NULL, 0, &a, &last_error);
    if (code == 0) assert_int_equal(ml_answer_count(a), 3); /* two pages */
    ml_answer_free(a);
    return code;
}

static int put(ml_resolver *r)
{
    return ml_put(r, "a", "value a", 7, NULL, 0, &last_error);
}

static int explain(ml_resolver *r)
{
    ml_answer *a = NULL;
    int code = ml_explain(r, "b", NULL, 0, &a, &last_error);
    const char *text =
        ml_answer_text(a); /* a step's failure is no failure of explain */
    if (code == 0) assert_true(strstr(text, "found") || strstr(text, "out of memory"));
    ml_answer_free(a);
    return code;
}

static const struct {
    const char *what;
    int (*run)(ml_resolver *r);
    long least;
} steps[] = {
    {"get", get, 8}, {"list", list, 8}, {"put", put, 8}, {"explain", explain, 8}};
enum { N_STEPS = sizeof(steps) / sizeof(*steps) };

/* ---- tests
 * --------------------------------------------------------------------------- */

static void check(const char *what, long nth, int code, bool has_failed)
{
    if (code != 0 && !(has_failed && code == ML_ENOMEM))
        fail_msg("%s, %ld: %d %s", what, nth, code, last_error.text);
}

/* On one handle that lives through all of it. */
static void test_calls(void **state)
{
    bool and_after = **(const bool **)state;
    ml_resolver *r = open_it();
    assert_int_equal(get(r), 0); /* a token */
    for (int i = 0; i < N_STEPS; i++) {
        bool has_failed = true;
        long nth = 0;
        while (has_failed) {
            assert_int_equal(ml_forget(r, NULL, NULL), 0);
            counting_fail(++nth, and_after);
            int code = steps[i].run(r);
            has_failed = counting_stop();
            check(steps[i].what, nth, code, has_failed);
            if (has_failed) check("after it", nth, steps[i].run(r), false);
        }
        if (nth <= steps[i].least) fail_msg("%s: %ld only", steps[i].what, nth);
    }
    ml_close(r);
    assert_int_equal(counted.live, 0);
}

/* The first get of a handle logs in. */
static void test_first(void **state)
{
    bool and_after = **(const bool **)state;
    bool has_failed = true;
    long nth = 0;
    while (has_failed) {
        ml_resolver *r = open_it();
        counting_fail(++nth, and_after);
        int code = get(r);
        has_failed = counting_stop();
        check("first get", nth, code, has_failed);
        check("after it", nth, get(r), false);
        ml_close(r);
        if (counted.live) fail_msg("%ld: %ld blocks leak", nth, (long)counted.live);
    }
    assert_true(nth > 20);
}

int main(void)
{
    static const bool one = false, all = true;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_calls, (void *)(uintptr_t)&one),
        cmocka_unit_test_prestate(test_calls, (void *)(uintptr_t)&all),
        cmocka_unit_test_prestate(test_first, (void *)(uintptr_t)&one),
        cmocka_unit_test_prestate(test_first, (void *)(uintptr_t)&all),
    };
    counting_use();
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
