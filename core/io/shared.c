/* shared.c - a limiter that all processes of this host use that ask one vault. */
#include "io/shared.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "io/budget_file.h"

enum {
    LOCK_MS = 250,     /* it is held for microseconds, unless its holder is stopped */
    RETRY_MS = 2000,   /* alone */
    NAME_MS = 2000,    /* so often the file is looked up by its name */
    SEAT_MS = 3000,    /* so long a seat is kept for who does not come */
    BEAT_MS = 1000,    /* so often who has requests in flight comes */
    LOOK_MS = 25,      /* once to twice that: so often who waits comes */
    PRESENT_MS = 250,  /* who waits and has not come for so long is not waited for */
    PATIENCE_MS = 100, /* who has waited so much longer goes first */
    NO_SEAT = -1
};

struct ml_shared {
    const ml_budget_dir *dir;
    const ml_clock *clock;
    const ml_log *log;
    char whose[ML_BUDGET_WHOSE];
    int limit;
    ml_budget_file *file; /* NULL: not mapped */
    ml_budget_found found;
    int64_t named_ms; /* when it was last seen to have its name */
    bool is_in;       /* the lock is ours */
    bool is_alone;
    bool is_from_elsewhere; /* what we saw last is of another file, or of our own */
    struct {
        bool is_together, was_damaged;
    } to_tell; /* logged when the lock is no longer ours */
    int64_t retry_ms, now_ms;

    uint64_t id; /* on our seat */
    int seat;
    int in_flight, of_epoch; /* ours */
    uint32_t epoch;

    ml_limiter entered, as_stored; /* what enter gave, and where that came from */
};

/* ---- alone -------------------------------------------------------------------------
 */

static void be_alone(ml_shared *s, const char *why)
{
    ml_log_level level = s->is_alone ? ML_LOG_DEBUG : ML_LOG_WARN;
    ml_logf(s->log, level, "budget",
            "%s: the budget is not shared with other processes for now: %s", s->whose,
            why);
    s->is_alone = s->is_from_elsewhere = true;
    s->retry_ms = s->now_ms + RETRY_MS;
}

static void be_together(ml_shared *s)
{
    s->to_tell.is_together = s->is_alone;
    s->is_alone = false;
}

static bool open_file(ml_shared *s)
{
    ml_err e = {0};
    ml_budget_file_unmap(s->file);
    s->file = ml_budget_file_map(s->dir, s->whose, s->limit, s->is_alone ? 0 : LOCK_MS,
                                 &s->found, &e);
    s->seat = NO_SEAT;
    s->named_ms = s->now_ms;
    s->is_from_elsewhere = true;
    if (s->found.news == ML_BUDGET_DAMAGED)
        ml_logf(s->log, ML_LOG_WARN, "budget",
                "%s: the file of the shared budget in %s was damaged: it is made anew",
                s->whose, s->dir->path);
    if (s->found.news == ML_BUDGET_OLD)
        ml_logf(s->log, ML_LOG_INFO, "budget",
                "%s: the shared budget is from before the host was started: it is made "
                "anew",
                s->whose);
    if (!s->file) be_alone(s, e.text);
    return s->file != NULL;
}

/* Who comes later finds another file, or none, when somebody has removed ours. */
static bool is_removed(ml_shared *s)
{
    if (s->now_ms < s->named_ms + NAME_MS) return false;
    s->named_ms = s->now_ms;
    if (ml_budget_file_is_named(s->dir, s->whose, &s->found)) return false;
    ml_logf(s->log, ML_LOG_WARN, "budget",
            "%s: the file of the shared budget in %s was removed: the one that is "
            "there now is used",
            s->whose, s->dir->path);
    return true;
}

/* ---- the lock ----------------------------------------------------------------------
 */

/* 0, or an error.  Not pthread_mutex_timedlock: its clock may be set back. */
static int lock(pthread_mutex_t *mutex, int bound_ms)
{
    int64_t waited_ns = 0, step_ns = 20 * 1000;
    for (;;) {
        int rc = pthread_mutex_trylock(mutex);
        if (rc == EOWNERDEAD) return pthread_mutex_consistent(mutex);
        if (rc != EBUSY || waited_ns >= bound_ms * (int64_t)1000000) return rc;
        nanosleep(&(struct timespec){.tv_nsec = (long)step_ns}, NULL);
        waited_ns += step_ns;
        if (step_ns < 1000 * 1000) step_ns *= 2;
    }
}

/* The lock is ours.  The clock is read now: others have written meanwhile. */
static void be_in(ml_shared *s)
{
    s->now_ms = ml_mono_ms(s->clock);
    be_together(s);
}

/* What a dead holder has left needs no repair: the state that `which` names is whole,
 * and its seat is given away in time. */
static bool get_in(ml_shared *s)
{
    if (s->is_alone && s->now_ms < s->retry_ms) return false;
    for (int i = 0; i < 2; i++) {
        if (!s->file || !ml_budget_file_is_good(s->file, s->whose) || is_removed(s)) {
            if (!open_file(s)) return false;
        }
        int rc = lock(&s->file->lock, s->is_alone ? 0 : LOCK_MS);
        if (rc == 0) {
            be_in(s);
            return true;
        }
        if (rc == EBUSY) {
            be_alone(s, "the process that holds the lock does not go on");
            return false;
        }
        atomic_store(&s->file->is_retired, 1); /* for all: it is replaced */
    }
    be_alone(s, "its lock is broken");
    return false;
}

/* ---- seats -------------------------------------------------------------------------
 */

/* Numbers of others are believed only so far as they do no harm. */
static int within(int value, int most)
{
    return value < 0 ? 0 : value < most ? value : most;
}

static uint32_t n_seats(const ml_shared *s)
{
    uint32_t n = s->file->n_seats;
    return n < ML_BUDGET_SEATS ? n : ML_BUDGET_SEATS;
}

static bool is_left(const ml_shared *s, const ml_budget_seat *t)
{
    return t->seen_ms < s->now_ms - SEAT_MS || t->seen_ms > s->now_ms + SEAT_MS;
}

/* Adds up what is in flight, and clears the seats of those who are gone. */
static void count_seats(ml_shared *s, ml_limiter *l)
{
    uint32_t n = n_seats(s), top = 0;
    l->in_flight = s->in_flight;
    l->n_of_epoch = s->of_epoch;
    s->seat = NO_SEAT;
    for (uint32_t i = 0; i < n; i++) {
        ml_budget_seat *t = &s->file->seats[i];
        if (t->owner != 0 && t->owner != s->id && is_left(s, t)) t->owner = 0;
        if (t->owner == 0) continue;
        top = i + 1;
        if (t->owner == s->id) {
            s->seat = (int)i;
            continue;
        }
        int in_flight = within(t->in_flight, ML_LIMITER_MAX_WIDTH);
        l->in_flight += in_flight;
        if (t->epoch == l->epoch) l->n_of_epoch += within(t->of_epoch, in_flight);
    }
    s->file->n_seats = top;
}

/* When all are taken, ours are not counted by others; all else is shared still. */
static void sit_down(ml_shared *s)
{
    uint32_t n = n_seats(s), i = 0;
    while (i < n && s->file->seats[i].owner != 0) i++;
    if (i == ML_BUDGET_SEATS) return;
    if (i == n) s->file->n_seats = n + 1;
    s->seat = (int)i;
}

static void write_seat(ml_shared *s, size_t waiting, int64_t since_ms)
{
    bool wants = s->in_flight > 0 || waiting > 0;
    if (wants && s->seat == NO_SEAT) sit_down(s);
    if (s->seat == NO_SEAT) return;
    ml_budget_seat *t = &s->file->seats[s->seat];
    t->seen_ms = s->now_ms;
    t->since_ms = since_ms;
    t->waiting = waiting < ML_LIMITER_MAX_WIDTH ? (int)waiting : ML_LIMITER_MAX_WIDTH;
    t->in_flight = s->in_flight;
    t->of_epoch = s->of_epoch;
    t->epoch = s->epoch;
    t->limit = s->limit;
    t->owner = wants ? s->id : 0;
    if (!wants) s->seat = NO_SEAT;
}

/* ---- who goes first ----------------------------------------------------------------
 */

/* Its own limit keeps it from going, whoever lets it go first. */
static bool is_used_up(const ml_shared *s, const ml_budget_seat *t)
{
    const ml_limiter *l = &s->as_stored;
    return t->limit > 0 && l->n_spent >= ml_limiter_allowed(l, t->limit);
}

/* Waits, and can go as soon as there is room. */
static bool is_present(const ml_shared *s, const ml_budget_seat *t)
{
    return t->owner != 0 && t->owner != s->id && t->waiting > 0 &&
           t->seen_ms >= s->now_ms - PRESENT_MS && !is_used_up(s, t);
}

/* Of the width, for each who has something to do. */
static int fair_part(const ml_shared *s, const ml_limiter *l)
{
    int others = 0;
    uint32_t n = n_seats(s);
    for (uint32_t i = 0; i < n; i++) {
        const ml_budget_seat *t = &s->file->seats[i];
        if (is_present(s, t) || (t->owner && t->owner != s->id && t->in_flight > 0))
            others++;
    }
    int part = l->width / (others + 1);
    return part > 0 ? part : 1;
}

/* Only those who have less than their part are let go first, and the one of them who
 * came first waits for nobody: so somebody can always go. */
bool ml_shared_yields(const ml_shared *s, const ml_limiter *l, int64_t since_ms)
{
    if (!s->is_in || l->is_broken || s->now_ms < l->pause_ms) return false;
    int part = fair_part(s, l);
    int64_t kept_free = 0;
    uint32_t n = n_seats(s);
    for (uint32_t i = 0; i < n; i++) {
        const ml_budget_seat *t = &s->file->seats[i];
        int in_flight = within(t->in_flight, ML_LIMITER_MAX_WIDTH);
        if (!is_present(s, t) || in_flight >= part) continue;
        if (t->since_ms < since_ms - PATIENCE_MS) return true;
        kept_free += within(t->waiting, part - in_flight);
    }
    return s->in_flight >= part && l->in_flight + kept_free >= l->width;
}

int64_t ml_shared_again_ms(const ml_shared *s, const ml_limiter *l, size_t waiting,
                           uint32_t random)
{
    int64_t again_ms = s->in_flight > 0 ? s->now_ms + BEAT_MS : INT64_MAX;
    if (waiting == 0) return again_ms;
    int64_t look_ms = s->now_ms < l->pause_ms
                          ? l->pause_ms
                          : s->now_ms + LOOK_MS + random % (LOOK_MS + 1);
    return look_ms < again_ms ? look_ms : again_ms;
}

/* ---- in and out --------------------------------------------------------------------
 */

/* A pause that the others do not know of is theirs, too. */
static void bring_pause(ml_limiter *l, const ml_limiter *seen)
{
    if (seen->pause_ms <= l->pause_ms) return;
    l->pause_ms = seen->pause_ms;
    l->pause_status = seen->pause_status;
    l->strikes = seen->strikes;
    l->is_probing = true;
    l->epoch++; /* what they have in flight tells nothing of it */
}

/* A state that cannot be is not used: one looks, and the others follow. */
static void read_state(ml_shared *s, ml_limiter *l)
{
    ml_limiter seen = *l;
    *l = s->file->limiter[atomic_load(&s->file->which) & 1];
    if (!ml_limiter_is_sane(l, s->now_ms)) {
        s->to_tell.was_damaged = true;
        ml_limiter_init(l, s->limit);
        l->is_probing = true;
    }
    if (s->is_from_elsewhere && s->now_ms < seen.pause_ms) bring_pause(l, &seen);
    s->is_from_elsewhere = false;
    s->as_stored = *l;
    ml_limiter_set_limit(l, s->limit);
}

/* Another limit is ours only: what it is a part of stays as exact as it was. */
static void write_state(ml_shared *s, const ml_limiter *l)
{
    uint32_t other = 1 - (atomic_load(&s->file->which) & 1);
    ml_limiter *out = &s->file->limiter[other];
    *out = *l;
    if (l->allowed == s->entered.allowed) {
        out->limit = s->as_stored.limit;
        out->allowed = s->as_stored.allowed;
    }
    atomic_store(&s->file->which, other);
}

static void tell(ml_shared *s)
{
    if (s->to_tell.is_together)
        ml_logf(s->log, ML_LOG_INFO, "budget",
                "%s: the budget is shared with other processes again", s->whose);
    if (s->to_tell.was_damaged)
        ml_logf(s->log, ML_LOG_WARN, "budget",
                "%s: the shared budget was damaged: it begins anew", s->whose);
    s->to_tell.is_together = s->to_tell.was_damaged = false;
}

/* Copies what there is: of all, or of ourselves. */
static void begin(ml_shared *s, ml_limiter *l)
{
    if (s->is_in) read_state(s, l);
    if (s->epoch != l->epoch) {
        s->epoch = l->epoch;
        s->of_epoch = 0;
    }
    if (s->is_in) {
        count_seats(s, l);
    } else {
        l->in_flight = s->in_flight;
        l->n_of_epoch = s->of_epoch;
    }
    s->entered = *l;
}

void ml_shared_enter(ml_shared *s, ml_limiter *l)
{
    s->now_ms = ml_mono_ms(s->clock);
    s->is_in = get_in(s);
    begin(s, l);
}

bool ml_shared_try(ml_shared *s, ml_limiter *l)
{
    if (!s->file || !ml_budget_file_is_good(s->file, s->whose)) return false;
    s->is_in = lock(&s->file->lock, 0) == 0;
    if (!s->is_in) return false;
    be_in(s);
    begin(s, l);
    return true;
}

void ml_shared_leave(ml_shared *s, const ml_limiter *l, size_t waiting,
                     int64_t since_ms)
{
    s->in_flight += l->in_flight - s->entered.in_flight;
    int of_epoch = s->of_epoch + l->n_of_epoch - s->entered.n_of_epoch;
    s->of_epoch = s->epoch == l->epoch ? within(of_epoch, s->in_flight) : 0;
    s->epoch = l->epoch;
    if (!s->is_in) return;
    write_state(s, l);
    write_seat(s, waiting, since_ms);
    s->is_in = false;
    pthread_mutex_unlock(&s->file->lock);
    tell(s);
}

int ml_shared_in_flight(const ml_shared *s)
{
    return s->in_flight;
}

bool ml_shared_is_alone(const ml_shared *s)
{
    return s->is_alone;
}

const ml_clock *ml_shared_clock(const ml_shared *s)
{
    return s->clock;
}

/* ---- the beginning and the end -----------------------------------------------------
 */

static bool choose_id(ml_shared *s)
{
    while (s->id == 0) {
        ssize_t n = getrandom(&s->id, sizeof(s->id), 0);
        if (n < 0 && errno != EINTR) return false;
    }
    return true;
}

ml_shared *ml_shared_new(const ml_budget_dir *dir, const char *name, const char *what,
                         int limit, const ml_clock *clock, const ml_log *log)
{
    ml_shared *s = ml_calloc(1, sizeof(*s));
    if (!s) return NULL;
    s->dir = dir;
    s->clock = clock ? clock : &ml_system_clock;
    s->log = log;
    s->limit = limit > 0 ? limit : 0;
    s->seat = NO_SEAT;
    snprintf(s->whose, sizeof(s->whose), "%s %s", name, what);
    if (!choose_id(s)) {
        ml_free(s);
        return NULL;
    }
    s->now_ms = ml_mono_ms(s->clock);
    open_file(s);
    return s;
}

void ml_shared_free(ml_shared *s)
{
    if (!s) return;
    ml_budget_file_unmap(s->file);
    ml_free(s);
}
