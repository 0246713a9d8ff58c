/* limiter.c - how many requests a service gets from us, and when: a budget that adapts.
 *
 * Facts: Key Vault throttling guidance (limits are of ten seconds, 429 often comes
 * without Retry-After); RFC 5681 for the width's growth. */
#include "io/limiter.h"

#include <string.h>

#include "io/retry.h"

enum {
    RECOVERY_MS = 20000, /* from nothing to the whole quota */
    LEAST_PART = 100,    /* of the quota that stays, whatever happens */
    LEAST_WIDTH = 4,     /* in an outage that has not lasted yet */
    MAX_PAUSE_MS = 5 * 60 * 1000,
    PROBE_MS = 10000, /* so long others wait for the one that looks */
    BROKEN_ROUNDS = 10,
    BROKEN_AFTER_MS = 5000,
    FIRST_REST_MS = 5000,
    MAX_REST_MS = 60000,
    AHEAD_MS = 1000 /* another's clock was read a little later than ours */
};

static const ml_retry pauses = {.base_ms = 1000, .cap_ms = 16000};

static int at_least(int a, int b)
{
    return a > b ? a : b;
}

void ml_limiter_init(ml_limiter *l, int limit)
{
    *l = (ml_limiter){.limit = limit > 0 ? limit : 0,
                      .allowed = limit > 0 ? limit : 0,
                      .width = ML_LIMITER_FIRST_WIDTH,
                      .calm_width = ML_LIMITER_MAX_WIDTH};
}

int ml_limiter_allowed(const ml_limiter *l, int limit)
{
    if (limit <= 0) return 0;
    int64_t part = l->limit > 0 ? (int64_t)l->allowed * limit / l->limit : limit;
    return at_least((int)part, 1);
}

void ml_limiter_set_limit(ml_limiter *l, int limit)
{
    l->allowed = ml_limiter_allowed(l, limit);
    l->limit = limit > 0 ? limit : 0;
}

/* ---- quota ------------------------------------------------------------------------
 */

/* Tokens of slots that are ten seconds old come back. */
static void take_back(ml_limiter *l, int64_t now_ms)
{
    int64_t slot = now_ms / ML_LIMITER_SLOT_MS;
    if (slot <= l->slot) return;
    int64_t gone = slot - l->slot;
    if (gone > ML_LIMITER_SLOTS) gone = ML_LIMITER_SLOTS;
    for (; gone > 0; gone--) {
        int *spent = &l->spent[(slot - gone + 1) % ML_LIMITER_SLOTS];
        l->n_spent -= *spent;
        *spent = 0;
    }
    l->slot = slot;
}

static void recover(ml_limiter *l, int64_t now_ms)
{
    if (l->allowed >= l->limit) return;
    int64_t more = (now_ms - l->allowed_ms) * l->limit / RECOVERY_MS;
    if (more <= 0) return;
    l->allowed_ms += more * RECOVERY_MS / l->limit; /* the rest counts next time */
    l->allowed = more < l->limit - l->allowed ? l->allowed + (int)more : l->limit;
}

/* When the next token comes, by recovery or from the oldest slot. */
static int64_t next_token_ms(const ml_limiter *l, int64_t now_ms)
{
    int64_t until_ms = INT64_MAX;
    for (int64_t slot = l->slot - ML_LIMITER_SLOTS + 1; slot <= l->slot; slot++) {
        if (slot < 0 || l->spent[slot % ML_LIMITER_SLOTS] == 0) continue;
        until_ms = (slot + ML_LIMITER_SLOTS) * ML_LIMITER_SLOT_MS;
        break;
    }
    if (l->allowed < l->limit) {
        int64_t missing = l->n_spent + 1 - l->allowed;
        int64_t at_ms = l->allowed_ms + missing * RECOVERY_MS / l->limit + 1;
        if (at_ms < until_ms) until_ms = at_ms;
    }
    return until_ms > now_ms ? until_ms : now_ms + 1;
}

/* ---- asking ------------------------------------------------------------------------
 */

static ml_limiter_word go(ml_limiter *l, uint32_t *epoch, int64_t now_ms)
{
    if (l->is_probing || l->is_broken) l->probed_ms = now_ms;
    l->spent[l->slot % ML_LIMITER_SLOTS]++;
    l->n_spent++;
    l->in_flight++;
    l->n_of_epoch++;
    *epoch = l->epoch;
    return ML_LIMITER_GO;
}

/* One that never comes back does not hold up the others for ever. */
static bool is_looking(const ml_limiter *l, int64_t now_ms)
{
    return l->n_of_epoch > 0 && now_ms < l->probed_ms + PROBE_MS;
}

ml_limiter_word ml_limiter_ask(ml_limiter *l, int64_t now_ms, uint32_t *epoch,
                               int64_t *until_ms)
{
    *until_ms = INT64_MAX;
    take_back(l, now_ms);
    recover(l, now_ms);
    if (l->is_broken) {
        if (now_ms < l->probe_ms || is_looking(l, now_ms)) return ML_LIMITER_BROKEN;
        return go(l, epoch, now_ms);
    }
    if (now_ms < l->pause_ms) {
        *until_ms = l->pause_ms;
        return ML_LIMITER_WAIT;
    }
    if (l->is_probing && is_looking(l, now_ms)) {
        *until_ms = l->probed_ms + PROBE_MS;
        return ML_LIMITER_WAIT;
    }
    if (!l->is_probing && l->in_flight >= l->width) return ML_LIMITER_WAIT;
    if (l->limit > 0 && l->n_spent >= l->allowed) {
        *until_ms = next_token_ms(l, now_ms);
        return ML_LIMITER_WAIT;
    }
    return go(l, epoch, now_ms);
}

int64_t ml_limiter_paused_until(const ml_limiter *l, int64_t now_ms)
{
    return now_ms < l->pause_ms ? l->pause_ms : 0;
}

/* ---- what answers mean -------------------------------------------------------------
 */

static void begin_epoch(ml_limiter *l)
{
    l->epoch++;
    l->n_of_epoch = 0;
    l->grown = 0;
}

static void halve_width(ml_limiter *l, int least)
{
    if (l->width > least) l->width = at_least(l->width / 2, least);
    l->calm_width = l->width;
}

static void halve_quota(ml_limiter *l, int64_t now_ms)
{
    if (l->limit == 0) return;
    recover(l, now_ms);
    l->allowed = at_least(l->allowed / 2, at_least(l->limit / LEAST_PART, 1));
    l->allowed_ms = now_ms;
}

/* The service's wish, a little more lest all processes come at once; or our own. */
static void pause(ml_limiter *l, int status, int server_ms, int64_t now_ms,
                  uint32_t random)
{
    int ms = server_ms > MAX_PAUSE_MS ? MAX_PAUSE_MS : server_ms;
    l->strikes++;
    if (ms > 0)
        ms += (int)(random % (uint32_t)(ms / 8 + 1));
    else
        ms = ml_retry_wait_ms(&pauses, l->strikes, random);
    l->pause_ms = now_ms + ms;
    l->pause_status = status;
    l->is_probing = true;
}

static void on_good(ml_limiter *l)
{
    if (l->is_probing || l->is_broken) {
        l->is_probing = l->is_broken = false;
        l->strikes = 0;
        l->width = 1;
    }
    l->rounds = 0;
    if (l->in_flight + 1 < l->width / 2) return; /* it was not the width that held */
    if (l->width >= ML_LIMITER_MAX_WIDTH) return;
    if (l->width < l->calm_width) {
        l->width++;
    } else if (++l->grown >= l->width) {
        l->width++;
        l->grown = 0;
    }
}

static void on_throttled(ml_limiter *l, int server_ms, int64_t now_ms, uint32_t random)
{
    l->rounds = 0;
    if (!l->is_probing && !l->is_broken) {
        halve_quota(l, now_ms);
        halve_width(l, 1);
    }
    l->is_broken = false;
    begin_epoch(l);
    pause(l, 429, server_ms, now_ms, random);
}

static void rest(ml_limiter *l, int64_t now_ms, uint32_t random)
{
    if (l->is_broken) {
        l->rest_ms = l->rest_ms < MAX_REST_MS / 2 ? l->rest_ms * 2 : MAX_REST_MS;
    } else {
        l->is_broken = true;
        l->rest_ms = FIRST_REST_MS;
    }
    l->probe_ms = now_ms + l->rest_ms * 3 / 4 + random % (uint32_t)(l->rest_ms / 4);
}

static void on_outage(ml_limiter *l, int server_ms, int64_t now_ms, uint32_t random)
{
    if (l->rounds++ == 0) l->failing_ms = now_ms;
    begin_epoch(l);
    if (l->is_broken ||
        (l->rounds >= BROKEN_ROUNDS && now_ms - l->failing_ms >= BROKEN_AFTER_MS)) {
        rest(l, now_ms, random);
        return;
    }
    if (!l->is_probing) halve_width(l, LEAST_WIDTH);
    if (server_ms > 0) pause(l, 503, server_ms, now_ms, random);
}

void ml_limiter_tell(ml_limiter *l, uint32_t epoch, ml_heard heard, int server_ms,
                     int64_t now_ms, uint32_t random)
{
    l->in_flight--;
    if (epoch != l->epoch) return;
    l->n_of_epoch--;
    switch (heard) {
    case ML_HEARD_GOOD: on_good(l); break;
    case ML_HEARD_THROTTLED: on_throttled(l, server_ms, now_ms, random); break;
    case ML_HEARD_OUTAGE: on_outage(l, server_ms, now_ms, random); break;
    case ML_HEARD_NOTHING: break;
    }
}

/* ---- what may be believed ----------------------------------------------------------
 */

/* Its byte: to look at a bool that is neither is not allowed. */
static bool is_bool(const bool *b)
{
    unsigned char byte;
    memcpy(&byte, b, 1);
    return byte <= 1;
}

static bool is_in(int64_t value, int64_t least, int64_t most)
{
    return value >= least && value <= most;
}

static bool is_quota_sane(const ml_limiter *l, int64_t soon_ms)
{
    int64_t sum = 0;
    for (int i = 0; i < ML_LIMITER_SLOTS; i++) {
        if (l->spent[i] < 0) return false;
        sum += l->spent[i];
    }
    return sum == l->n_spent && l->limit >= 0 &&
           is_in(l->allowed, l->limit > 0, l->limit) &&
           is_in(l->allowed_ms, 0, soon_ms) &&
           is_in(l->slot, 0, soon_ms / ML_LIMITER_SLOT_MS);
}

bool ml_limiter_is_sane(const ml_limiter *l, int64_t now_ms)
{
    int64_t soon_ms = now_ms + AHEAD_MS;
    return is_bool(&l->is_probing) && is_bool(&l->is_broken) &&
           is_quota_sane(l, soon_ms) && is_in(l->width, 1, ML_LIMITER_MAX_WIDTH) &&
           is_in(l->calm_width, 1, ML_LIMITER_MAX_WIDTH) &&
           is_in(l->grown, 0, ML_LIMITER_MAX_WIDTH) &&
           is_in(l->strikes, 0, INT32_MAX - 1) && is_in(l->rounds, 0, INT32_MAX - 1) &&
           is_in(l->pause_status, 0, 599) && is_in(l->probed_ms, 0, soon_ms) &&
           is_in(l->pause_ms, 0, soon_ms + MAX_PAUSE_MS + MAX_PAUSE_MS / 8) &&
           is_in(l->failing_ms, 0, soon_ms) &&
           is_in(l->probe_ms, 0, soon_ms + MAX_REST_MS) &&
           is_in(l->rest_ms, l->is_broken ? FIRST_REST_MS : 0, MAX_REST_MS);
}
