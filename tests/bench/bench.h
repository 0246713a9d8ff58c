/* bench.h - what the benchmark programs share: a clock, one sample a line, giving up.
 *
 * A program measures one thing once and prints "NAME VALUE"; repeating, medians and
 * ratios are the business of scripts/bench. */
#pragma once
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline int64_t bench_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline void bench_sample(const char *name, double value)
{
    printf("%s %.6g\n", name, value);
}

_Noreturn static inline void bench_die(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static inline const char *bench_env(const char *name)
{
    const char *value = getenv(name);
    if (!value || !*value) bench_die(name, "is not set");
    return value;
}

/* A positive number from the command line. */
static inline int bench_number(const char *text)
{
    char *end = NULL;
    long n = text ? strtol(text, &end, 10) : 0;
    if (!text || *end || n < 1 || n > 100000000) {
        bench_die("usage", "a positive number is needed");
    }
    return (int)n;
}
