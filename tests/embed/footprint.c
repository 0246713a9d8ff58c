/* footprint.c - 10,000 kept secrets of 64 bytes: at most 12 MiB more than before the
 * handle was opened, because the caches share them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "moonlatch.h"

enum { SECRETS = 10000, BUDGET_KIB = 12 * 1024 };

static long resident_kib(void)
{
    char line[128];
    FILE *f = fopen("/proc/self/statm", "re");
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof(line), f));
    fclose(f);
    const char *resident = strchr(line, ' ');
    assert_non_null(resident);
    return strtol(resident, NULL, 10) * (sysconf(_SC_PAGESIZE) / 1024);
}

static ml_secret *get(ml_resolver *r, int i)
{
    char name[32];
    ml_secret *s = NULL;
    ml_err e;
    snprintf(name, sizeof(name), "ML_T_%d", i);
    if (ml_get(r, name, NULL, 0, &s, &e) < 0) fail_msg("%s", e.text);
    return s;
}

static void test_memory(void **state)
{
    (void)state;
    char name[32], value[65];
    for (int i = 0; i < SECRETS; i++) {
        snprintf(name, sizeof(name), "ML_T_%d", i);
        snprintf(value, sizeof(value), "%064d", i);
        setenv(name, value, 1);
    }
    long before_kib = resident_kib();
    ml_resolver *r = NULL;
    ml_err e;
    ml_options o = {ML_OPTIONS_INIT, .cache_ttl_ms = 3600000,
                    .policy_text = "local ml = require 'moonlatch.policy'\n"
                                   "return ml.policy { ml.rule '**' { from = "
                                   "ml.environment {} } }\n"};
    if (ml_open(&r, &o, &e) < 0) fail_msg("%s", e.text);
    for (int i = 0; i < SECRETS; i++) ml_secret_unref(get(r, i));
    long grown_kib = resident_kib() - before_kib;
    print_message("%d secrets: %ld KiB\n", SECRETS, grown_kib);
    assert_in_range(grown_kib, SECRETS * 64 / 1024, BUDGET_KIB);
    ml_secret *first = get(r, 0), *again = get(r, 0); /* the default limits have room */
    assert_ptr_equal(first, again);
    ml_secret_unref(first);
    ml_secret_unref(again);
    ml_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
