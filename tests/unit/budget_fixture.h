/* budget_fixture.h - a directory for shared budgets, a clock that the test moves, and
 * what was logged. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "io/budget_file.h"

#include "../support/budget_home.h"

static int64_t now_ms;
static char logged[600];
static ml_log_level logged_level;

static inline int64_t mono_ms(void *arg)
{
    (void)arg;
    return now_ms;
}

static inline int64_t wall_s(void *arg)
{
    (void)arg;
    return 1700000000 + now_ms / 1000;
}

static inline void on_log(void *arg, ml_log_level level, const char *area,
                          const char *text)
{
    (void)arg;
    (void)area;
    logged_level = level;
    snprintf(logged, sizeof(logged), "%s", text);
}

static const ml_clock fake_clock = {mono_ms, wall_s, NULL};
static const ml_log fake_log = {on_log, NULL, ML_LOG_DEBUG};

static inline int make_dir(void **state)
{
    (void)state;
    now_ms = 1000000;
    logged[0] = '\0';
    return make_home();
}

static inline int remove_dir(void **state)
{
    (void)state;
    return remove_home();
}

/* Where the budget of this service and kind lies. */
static inline const char *file_path(const char *whose)
{
    static char path[200];
    char name[100];
    assert_true(ml_budget_file_name(whose, name, sizeof(name)));
    snprintf(path, sizeof(path), "%s/%s", dir_path, name);
    return path;
}
