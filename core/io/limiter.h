/* limiter.h - how many requests a service gets from us, and when: a budget that adapts.
 *
 * Pure: time and randomness are passed in; gate.c queues those who must wait.  Three
 * bounds, and a request goes when all of them let it:
 *
 *   quota    so many in any ten seconds, as the service counts them: a token that is
 *            spent comes back ten seconds later
 *   width    so many at once: +1 an answer up to what was calm before, then +1 a round
 *   pause    nobody, until the time that a 429 (or a 503 with Retry-After) sets
 *
 *            429: quota and width halved         good: width 1, 2, 4 ...
 *   OPEN -----------------------> PAUSED -probe-------------------------> OPEN
 *    |                             ^   | 429 again: a longer pause
 *    |                             +---+
 *    | no usable answer for 5 s and 10 rounds
 *    v            after 5 s, doubling to 60 s          good, or any 4xx
 *   BROKEN ------------------------------> one probe -----------------> OPEN, width 1
 *    ^                                      | no usable answer
 *    +--------------------------------------+
 *
 * An epoch begins with each failure that counts: what was sent before it and fails
 * later tells nothing new.  So a hundred failures at once are one. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum {
    ML_LIMITER_WINDOW_MS = 10000,
    ML_LIMITER_SLOT_MS = 500,
    ML_LIMITER_SLOTS = ML_LIMITER_WINDOW_MS / ML_LIMITER_SLOT_MS + 1,
    ML_LIMITER_FIRST_WIDTH = 64,
    ML_LIMITER_MAX_WIDTH = 1600 /* 16 connections of 100 HTTP/2 streams */
};

typedef struct ml_limiter {
    int limit;   /* of requests in ten seconds; 0: none */
    int allowed; /* of them just now */
    int64_t allowed_ms;
    int spent[ML_LIMITER_SLOTS]; /* in each half second */
    int64_t slot;                /* the newest */
    int n_spent;                 /* their sum */

    int width, calm_width, grown; /* grown: good answers since the last +1 */
    int in_flight;
    uint32_t epoch;
    int n_of_epoch; /* of those in flight */

    bool is_probing;   /* one at a time, until a good answer */
    int64_t probed_ms; /* when the last one went, if so, or while broken */
    int strikes;       /* pauses since the last good answer */
    int64_t pause_ms;
    int pause_status; /* 429 or 503 */

    bool is_broken;
    int rounds;         /* of failures without a good answer between */
    int64_t failing_ms; /* since the first of them */
    int64_t probe_ms;   /* when the next probe may go */
    int rest_ms;        /* from probe to probe */
} ml_limiter;

typedef enum ml_limiter_word {
    ML_LIMITER_GO,    /* it counts as sent: ml_limiter_tell must follow */
    ML_LIMITER_WAIT,  /* until *until_ms, or the next ml_limiter_tell */
    ML_LIMITER_BROKEN /* do not wait: nobody answers */
} ml_limiter_word;

typedef enum ml_heard {
    ML_HEARD_GOOD,      /* an answer, whatever it says */
    ML_HEARD_THROTTLED, /* 429 */
    ML_HEARD_OUTAGE,    /* 5xx, or no answer */
    ML_HEARD_NOTHING    /* canceled, or given up before it could mean anything */
} ml_heard;

/* limit: requests in ten seconds; 0: only what the service says counts. */
void ml_limiter_init(ml_limiter *l, int limit);
/* Another limit; what is left of the old one stays left in proportion. */
void ml_limiter_set_limit(ml_limiter *l, int limit);
/* What would be allowed now with another limit. */
int ml_limiter_allowed(const ml_limiter *l, int limit);
/* May a request go now?  *epoch is for ml_limiter_tell.  *until_ms: when asking again
 * makes sense, INT64_MAX: after the next answer. */
ml_limiter_word ml_limiter_ask(ml_limiter *l, int64_t now_ms, uint32_t *epoch,
                               int64_t *until_ms);
/* How one that went has ended; server_ms: its Retry-After, 0: none. */
void ml_limiter_tell(ml_limiter *l, uint32_t epoch, ml_heard heard, int server_ms,
                     int64_t now_ms, uint32_t random);
/* When the pause ends; 0: there is none. */
int64_t ml_limiter_paused_until(const ml_limiter *l, int64_t now_ms);
/* Could this have come about here?  For what lay in memory that others write to; times
 * may be a little ahead, and in_flight and n_of_epoch are not looked at. */
bool ml_limiter_is_sane(const ml_limiter *l, int64_t now_ms);
