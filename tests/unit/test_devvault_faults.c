/* test_devvault_faults.c - fault specifications: what they mean, and when they strike.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <string.h>

#include "devvault/faults.h"

static ml_dv_fault parsed(const char *spec)
{
    ml_dv_fault f;
    ml_err e = {0};
    if (ml_dv_fault_parse(&f, spec, &e) != 0) fail_msg("%s: %s", spec, e.text);
    return f;
}

/* A status with nothing behind it strikes always and has no Retry-After. */
static void test_status_defaults(void **state)
{
    (void)state;
    ml_dv_fault f = parsed("429");
    assert_int_equal(f.kind, ML_DV_STATUS);
    assert_int_equal(f.number, 429);
    assert_true(f.chance >= 1);
    assert_int_equal(f.first, -1);
    assert_int_equal(f.retry_after_s, -1);
    assert_int_equal(f.retry_after_ms, -1);
    assert_false(f.is_token);
    assert_true(parsed("429:always").chance >= 1);
}

/* Modifiers combine, in any order. */
static void test_modifiers(void **state)
{
    (void)state;
    ml_dv_fault f = parsed("503:first=3,0.25,retry-after=7,retry-after-ms=70,op=get");
    assert_int_equal(f.number, 503);
    assert_int_equal(f.first, 3);
    assert_true(f.chance > 0.2499 && f.chance < 0.2501);
    assert_int_equal(f.retry_after_s, 7);
    assert_int_equal(f.retry_after_ms, 70);
    assert_string_equal(f.op, "get");
    assert_int_equal(parsed("503:retry-after-date=9").retry_after_date_s, 9);
}

/* Each kind reads its value in its own way. */
static void test_values(void **state)
{
    (void)state;
    assert_int_equal(parsed("delay=200ms").number, 200);
    assert_int_equal(parsed("delay=2s").number, 2000);
    assert_int_equal(parsed("delay=30:0.5").number, 30);
    assert_int_equal(parsed("limbo=300ms").number, 300);
    assert_int_equal(parsed("html").number, 502);
    assert_int_equal(parsed("html=403:first=1").number, 403);
    assert_string_equal(parsed("disabled=team-*").text, "team-*");
    assert_string_equal(parsed("bad-next-link=https://a.b:1/c?d=e,f").text,
                        "https://a.b:1/c?d=e,f");
    assert_string_equal(parsed("redirect").text, "");
    assert_string_equal(parsed("challenge=scope").text, "scope");
    assert_int_equal(parsed("http-401-once").first, 1);
    ml_dv_fault f = parsed("forbid=rbac:a:b-*");
    assert_string_equal(f.text, "rbac");
    assert_string_equal(f.glob, "a:b-*");
}

/* token- turns a fault on the token endpoint, and opens kinds of its own. */
static void test_token_faults(void **state)
{
    (void)state;
    ml_dv_fault f = parsed("token-500:first=2");
    assert_true(f.is_token);
    assert_int_equal(f.number, 500);
    assert_int_equal(parsed("token-lifetime=5").number, 5);
    assert_string_equal(parsed("token-tenant=x.example").text, "x.example");
    assert_int_equal(parsed("token-expires-in-string").kind, ML_DV_EXPIRES_IN_STRING);
}

/* What cannot be read is refused with the spec in the message. */
static void test_nonsense(void **state)
{
    (void)state;
    static const char *const specs[] = {"",
                                        ":",
                                        "=",
                                        "nonsense",
                                        "399",
                                        "600",
                                        "4290",
                                        "42",
                                        "429=1",
                                        "429:",
                                        "429:2",
                                        "429:1.1",
                                        "429:0.5x",
                                        "429:.",
                                        "429:first=",
                                        "429:first=-1",
                                        "429:first=x",
                                        "429:,",
                                        "429:first=1,",
                                        "429:often",
                                        "429:always=1",
                                        "delay",
                                        "delay=",
                                        "delay=fast",
                                        "delay=-1ms",
                                        "delay=99999999ms",
                                        "delay=ms",
                                        "reset=1",
                                        "html=200",
                                        "html=x",
                                        "forbid",
                                        "forbid=",
                                        "forbid=me",
                                        "forbid=rbac:",
                                        "disabled",
                                        "disabled=",
                                        "challenge=both",
                                        "challenge= ",
                                        "next-link=",
                                        "bad-next-link=",
                                        "lifetime=5",
                                        "token-",
                                        "token-forbid=rbac",
                                        "token-lifetime",
                                        "token-lifetime=x",
                                        "429:op=",
                                        "429:op=nope",
                                        "429:op=a-name-that-is-much-too-long",
                                        "token-token-500"};
    for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
        ml_dv_fault f;
        ml_err e = {0};
        if (ml_dv_fault_parse(&f, specs[i], &e) != ML_EUSAGE)
            fail_msg("taken: '%s'", specs[i]);
        assert_non_null(strstr(e.text, specs[i]));
    }
    char longest[700];
    memset(longest, 'a', sizeof(longest));
    memcpy(longest, "disabled=", 9);
    longest[sizeof(longest) - 1] = '\0';
    ml_dv_fault f;
    assert_int_equal(ml_dv_fault_parse(&f, longest, NULL), ML_EUSAGE);
}

static int count(ml_dv_faults *fs, const char *op, int tries)
{
    int n = 0;
    for (int i = 0; i < tries; i++)
        n += ml_dv_faults_of(fs, ML_DV_STATUS, false, op) != NULL;
    return n;
}

/* for=S begins with the first strike, and ends when the clock says so. */
static void test_for(void **state)
{
    (void)state;
    ml_dv_fault f;
    assert_int_equal(ml_dv_fault_parse(&f, "429:for=5s,op=get", NULL), 0);
    assert_int_equal(f.for_ms, 5000);
    ml_dv_faults fs;
    assert_int_equal(
        ml_dv_faults_init(&fs, (const char *const[]){"503:for=600s"}, 1, 1, NULL), 0);
    assert_int_equal(count(&fs, "get", 3), 3);
    fs.items[0].began_ms -= 600000;
    assert_int_equal(count(&fs, "get", 3), 0);
    ml_dv_faults_fini(&fs);
    assert_int_equal(ml_dv_fault_parse(&f, "429:for=soon", NULL), ML_EUSAGE);
}

/* first=N strikes N times, op= only its operation, a chance about its share. */
static void test_strikes(void **state)
{
    (void)state;
    ml_dv_faults fs;
    assert_int_equal(ml_dv_faults_init(&fs, (const char *const[]){"429:first=3,op=get"},
                                       1, 1, NULL),
                     0);
    assert_int_equal(count(&fs, "set", 5), 0);
    assert_int_equal(count(&fs, "get", 5), 3);
    ml_dv_faults_fini(&fs);
    assert_int_equal(
        ml_dv_faults_init(&fs, (const char *const[]){"429:0.2"}, 1, 7, NULL), 0);
    int n = count(&fs, "get", 1000);
    assert_in_range(n, 140, 260);
    ml_dv_faults_fini(&fs);
    assert_int_equal(ml_dv_faults_init(&fs, (const char *const[]){"429:0"}, 1, 7, NULL),
                     0);
    assert_int_equal(count(&fs, "get", 100), 0);
    ml_dv_faults_fini(&fs);
}

/* The same seed gives the same story. */
static void test_seed(void **state)
{
    (void)state;
    bool story[2][100];
    for (int run = 0; run < 2; run++) {
        ml_dv_faults fs;
        assert_int_equal(
            ml_dv_faults_init(&fs, (const char *const[]){"503:0.5"}, 1, 9, NULL), 0);
        for (int i = 0; i < 100; i++) story[run][i] = count(&fs, "get", 1) == 1;
        ml_dv_faults_fini(&fs);
    }
    assert_memory_equal(story[0], story[1], sizeof(story[0]));
}

/* One bad spec refuses all, and leaves nothing behind. */
static void test_bad_list(void **state)
{
    (void)state;
    ml_dv_faults fs;
    ml_err e = {0};
    const char *const specs[] = {"429", "nonsense"};
    assert_int_equal(ml_dv_faults_init(&fs, specs, 2, 0, &e), ML_EUSAGE);
    assert_null(fs.items);
    assert_int_equal(fs.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_defaults), cmocka_unit_test(test_modifiers),
        cmocka_unit_test(test_values),          cmocka_unit_test(test_token_faults),
        cmocka_unit_test(test_nonsense),        cmocka_unit_test(test_for),
        cmocka_unit_test(test_strikes),         cmocka_unit_test(test_seed),
        cmocka_unit_test(test_bad_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
