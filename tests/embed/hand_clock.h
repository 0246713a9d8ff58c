/* hand_clock.h - a clock that stands still until the test moves it. */
#pragma once
#include "moonlatch.h"

static int64_t now_ms = 1000000;

static int64_t mono_ms(void *arg)
{
    (void)arg;
    return now_ms;
}

static int64_t wall_s(void *arg)
{
    (void)arg;
    return 1700000000 + now_ms / 1000;
}

static const ml_clock hand_clock = {mono_ms, wall_s, NULL};
