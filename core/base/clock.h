/* clock.h - the only place that asks the system for the time. */
#pragma once
#include "moonlatch.h"

extern const ml_clock ml_system_clock;

int64_t ml_mono_ms(const ml_clock *c);
int64_t ml_wall_s(const ml_clock *c);
