/* policy_dir.h - for tests: policies as files in a folder of their own. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "moonlatch.h"

#define HEAD "local ml = require 'moonlatch.policy'\n"

static char policy_dir[64];

static inline int make_policy_dir(void **state)
{
    (void)state;
    snprintf(policy_dir, sizeof(policy_dir), "/tmp/moonlatch-policy-XXXXXX");
    return mkdtemp(policy_dir) ? 0 : -1;
}

/* Below the folder; one of four static buffers. */
static inline const char *at(const char *name)
{
    static char paths[4][512];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", policy_dir, name);
    return path;
}

static inline void write_file(const char *name, const char *text)
{
    FILE *f = fopen(at(name), "we");
    assert_non_null(f);
    assert_int_equal(fputs(text, f) >= 0, 1);
    assert_int_equal(fclose(f), 0);
}

static inline void remove_all(int dir)
{
    static const char *const names[] = {"policy.lua", "a.lua",       "b.lua",
                                        "c.lua",      ".hidden.lua", "README",
                                        "link.lua",   "teams/a.lua", "teams/in",
                                        "teams/out",  "teams/pipe",  "teams",
                                        "data/a.lua", "data",        "d.lua"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (unlinkat(dir, names[i], 0) != 0) unlinkat(dir, names[i], AT_REMOVEDIR);
    }
}

static inline int remove_policy_dir(void **state)
{
    (void)state;
    int dir = open(policy_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) return -1;
    remove_all(dir);
    close(dir);
    return rmdir(policy_dir);
}

static const ml_pair policy_env[] = {{"ONE", "first"}, {"TWO", "second"}};

/* Any of: a path, or a text; NULL and *e on failure. */
static inline ml_resolver *open_policy(const char *path, const char *text,
                                       ml_log_fn *log, void *arg, ml_err *e)
{
    ml_resolver *r = NULL;
    ml_options o = {ML_OPTIONS_INIT,   .policy_file = path, .policy_text = text,
                    .env = policy_env, .n_env = 2,          .deadline_ms = 5000,
                    .log = log,        .log_arg = arg,      .log_level = ML_LOG_WARN};
    return ml_open(&r, &o, e) == 0 ? r : NULL;
}

static inline ml_resolver *must_open(const char *path)
{
    ml_err e;
    ml_resolver *r = open_policy(path, NULL, NULL, NULL, &e);
    if (!r) fail_msg("%s", e.text);
    return r;
}

/* Opening must fail as a policy error that says this. */
static inline void must_refuse(const char *path, const char *words)
{
    ml_err e;
    assert_null(open_policy(path, NULL, NULL, NULL, &e));
    assert_int_equal(e.code, ML_EPOLICY);
    if (!strstr(e.text, words)) fail_msg("'%s' is not in: %s", words, e.text);
}

static inline void must_get(ml_resolver *r, const char *name, const char *value)
{
    ml_secret *s = NULL;
    ml_err e;
    size_t n = 0;
    if (ml_get(r, name, NULL, 0, &s, &e) != 0) fail_msg("%s: %s", name, e.text);
    const void *p = ml_secret_data(s, &n);
    assert_int_equal(n, strlen(value));
    assert_memory_equal(p, value, n);
    ml_secret_unref(s);
}
