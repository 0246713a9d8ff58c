/* clock.c - the only place that asks the system for the time. */
#include "base/clock.h"

#include <time.h>

static int64_t system_mono_ms(void *arg)
{
    (void)arg;
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t system_wall_s(void *arg)
{
    (void)arg;
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec;
}

const ml_clock ml_system_clock = {system_mono_ms, system_wall_s, NULL};

int64_t ml_mono_ms(const ml_clock *c)
{
    return c->mono_ms(c->arg);
}

int64_t ml_wall_s(const ml_clock *c)
{
    return c->wall_s(c->arg);
}
