/* retry.h - decide whether and when to try a request again.  Pure. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

typedef struct ml_retry {
    int max_attempts; /* 0: until the deadline */
    int base_ms;      /* first delay's upper bound */
    int cap_ms;       /* later delays' upper bound */
} ml_retry;

enum { ML_RETRY_STOP = -1 };

/* 408, 429, 500, 502, 503, 504. */
bool ml_retry_is_transient(int status);
/* Full jitter: 1 .. min(cap, base * 2^(attempt - 1)) milliseconds. */
int ml_retry_wait_ms(const ml_retry *r, int attempt, uint32_t random);
/* Milliseconds to wait before the next try, or ML_RETRY_STOP.
 * attempt: tries made so far (1 after the first).  status 0: no answer came.
 * server_ms: the service's wish, 0 for none; it is a lower bound.  left_ms: until the
 * deadline; a wait that would not end before it stops at once. */
int ml_retry_next(const ml_retry *r, int attempt, int status, int server_ms,
                  int64_t left_ms, uint32_t random);
/* The wait that the headers ask for, 0 when none or nonsense.  Order: retry-after-ms,
 * x-ms-retry-after-ms, Retry-After in seconds, Retry-After as an HTTP date.
 * Values views may be empty. */
int ml_retry_after_ms(ml_str retry_after_ms, ml_str x_ms_retry_after_ms,
                      ml_str retry_after, int64_t wall_s);
