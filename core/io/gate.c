/* gate.c - a limiter, and the requests that wait for it: first come, first served. */
#include "io/gate.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"

enum { NAME_BYTES = 300, WHAT_BYTES = 16, TIME_BYTES = 32 };

/* A time of the limiter that was told, in seconds of the wall: it is told alike the
 * next time, although these clocks do not tick together. */
typedef struct shown_time {
    int64_t at_ms, wall_s;
} shown_time;

struct ml_gate {
    ml_loop *loop;
    ml_limiter limiter;    /* or what was seen of the shared one */
    ml_shared *shared;     /* NULL: with nobody */
    const ml_clock *clock; /* of the limiter's times */
    char name[NAME_BYTES], what[WHAT_BYTES];
    ml_timer again;        /* when the limiter may say something else */
    ml_turn *first, *last; /* by ticket */
    size_t n_waiting;
    uint64_t last_ticket;
    bool is_pumping;
    int64_t told_ms; /* the end of the pause that those who wait know of */
    shown_time since, until;
};

ml_gate *ml_gate_new(ml_loop *loop, const char *name, const char *what, int limit)
{
    ml_gate *g = ml_calloc(1, sizeof(*g));
    if (!g) return NULL;
    g->loop = loop;
    g->clock = ml_loop_clock(loop);
    snprintf(g->name, sizeof(g->name), "%s", name);
    snprintf(g->what, sizeof(g->what), "%s", what);
    ml_limiter_init(&g->limiter, limit);
    return g;
}

bool ml_gate_share(ml_gate *g, const ml_budget_dir *dir, const ml_clock *clock)
{
    g->shared = ml_shared_new(dir, g->name, g->what, g->limiter.limit, clock,
                              ml_loop_log(g->loop));
    if (!g->shared) return false;
    g->clock = ml_shared_clock(g->shared);
    return true;
}

void ml_gate_free(ml_gate *g)
{
    if (!g) return;
    ml_shared_free(g->shared);
    ml_free(g);
}

bool ml_gate_is(const ml_gate *g, const char *name, const char *what)
{
    return strcmp(g->name, name) == 0 && strcmp(g->what, what) == 0;
}

const ml_limiter *ml_gate_limiter(const ml_gate *g)
{
    return &g->limiter;
}

/* ---- the limiter, own or shared ----------------------------------------------------
 */

static int64_t limiter_now_ms(const ml_gate *g)
{
    return ml_mono_ms(g->clock);
}

/* A time of the limiter, as the loop's timers and deadlines have it. */
static int64_t to_loop_ms(const ml_gate *g, int64_t at_ms)
{
    if (!g->shared || at_ms == INT64_MAX) return at_ms;
    return at_ms - limiter_now_ms(g) + ml_loop_now_ms(g->loop);
}

static void begin(ml_gate *g)
{
    if (g->shared) ml_shared_enter(g->shared, &g->limiter);
}

/* So many wait from now on, oldest first. */
static void end(ml_gate *g, const ml_turn *oldest, size_t waiting)
{
    if (!g->shared) return;
    ml_shared_leave(g->shared, &g->limiter, waiting, oldest ? oldest->came_ms : 0);
}

/* 0: there is none. */
static int64_t paused_until_ms(const ml_gate *g)
{
    int64_t at_ms = ml_limiter_paused_until(&g->limiter, limiter_now_ms(g));
    return at_ms ? to_loop_ms(g, at_ms) : 0;
}

/* ---- the queue --------------------------------------------------------------------
 */

/* Who has been here before stands before who came later: near the front. */
static void queue(ml_gate *g, ml_turn *t)
{
    ml_turn *after = g->last;
    if (g->first && t->ticket < g->last->ticket) {
        ml_turn *next = g->first;
        while (next->ticket < t->ticket) next = next->next;
        after = next->prev;
    }
    t->prev = after;
    t->next = after ? after->next : g->first;
    *(t->prev ? &t->prev->next : &g->first) = t;
    *(t->next ? &t->next->prev : &g->last) = t;
    t->is_waiting = true;
    g->n_waiting++;
}

static void unqueue(ml_gate *g, ml_turn *t)
{
    *(t->prev ? &t->prev->next : &g->first) = t->next;
    *(t->next ? &t->next->prev : &g->last) = t->prev;
    t->prev = t->next = NULL;
    t->is_waiting = false;
    g->n_waiting--;
    ml_timer_stop(g->loop, &t->late);
}

static void refuse(ml_gate *g, ml_turn *t, ml_turn_word word)
{
    unqueue(g, t);
    t->fn(t, word);
}

/* t is the first, waiting or not. */
static ml_limiter_word ask(ml_gate *g, ml_turn *t, int64_t *until_ms)
{
    ml_limiter_word word = ML_LIMITER_WAIT;
    begin(g);
    if (!g->shared || !ml_shared_yields(g->shared, &g->limiter, t->came_ms))
        word = ml_limiter_ask(&g->limiter, limiter_now_ms(g), &t->epoch, until_ms);
    t->is_going = word == ML_LIMITER_GO;
    if (word == ML_LIMITER_WAIT)
        end(g, t, g->n_waiting + !t->is_waiting);
    else
        end(g, t->next, g->n_waiting - t->is_waiting);
    return word;
}

static void pump(ml_gate *g);
static void send_home(ml_gate *g);

/* Also without a queue: who has requests in flight shows that it lives. */
static void on_again(ml_timer *timer, void *arg)
{
    (void)timer;
    ml_gate *g = arg;
    if (!g->first) {
        begin(g);
        end(g, NULL, 0);
    }
    pump(g);
}

/* When to pump again: until_ms as the limiter says it. */
static void set_again(ml_gate *g, int64_t until_ms)
{
    if (g->shared) {
        int64_t at_ms = ml_shared_again_ms(g->shared, &g->limiter, g->n_waiting,
                                           ml_loop_random(g->loop));
        if (at_ms < until_ms) until_ms = at_ms;
    }
    if (until_ms < INT64_MAX)
        ml_timer_start(g->loop, &g->again, to_loop_ms(g, until_ms), on_again, g);
    else
        ml_timer_stop(g->loop, &g->again);
}

/* Lets go whoever may, in order.  Their functions may come back here. */
static void pump(ml_gate *g)
{
    if (g->is_pumping) return;
    g->is_pumping = true;
    int64_t until_ms = INT64_MAX;
    while (g->first) {
        ml_turn *t = g->first;
        ml_limiter_word word = ask(g, t, &until_ms);
        if (word == ML_LIMITER_WAIT) break;
        unqueue(g, t);
        t->fn(t, word == ML_LIMITER_GO ? ML_TURN_GO : ML_TURN_REFUSED);
    }
    g->is_pumping = false;
    if (g->shared) send_home(g); /* another process may have begun a pause */
    set_again(g, g->first ? until_ms : INT64_MAX);
}

/* When a pause has begun: who cannot live through it is told now. */
static void send_home(ml_gate *g)
{
    if (g->told_ms == g->limiter.pause_ms) return;
    g->told_ms = g->limiter.pause_ms;
    int64_t until_ms = paused_until_ms(g);
    for (ml_turn *t = g->first, *next; t && until_ms; t = next) {
        next = t->next;
        if (t->deadline_ms <= until_ms) refuse(g, t, ML_TURN_REFUSED);
    }
}

/* ---- turns --------------------------------------------------------------------------
 */

static void on_late(ml_timer *timer, void *arg)
{
    ml_turn *t = (ml_turn *)((char *)timer - offsetof(ml_turn, late));
    refuse(arg, t, ML_TURN_LATE);
}

ml_turn_word ml_gate_enter(ml_gate *g, ml_turn *t, int64_t deadline_ms, ml_turn_fn *fn)
{
    int64_t until_ms = INT64_MAX;
    t->fn = fn;
    t->deadline_ms = deadline_ms;
    if (t->ticket == 0) {
        t->ticket = ++g->last_ticket;
        t->came_ms = g->shared ? limiter_now_ms(g) : 0;
    }
    if (!g->first) {
        ml_limiter_word word = ask(g, t, &until_ms);
        if (word == ML_LIMITER_GO && g->shared && !g->again.is_armed)
            set_again(g, INT64_MAX);
        if (word == ML_LIMITER_GO) return ML_TURN_GO;
        if (word == ML_LIMITER_BROKEN) return ML_TURN_REFUSED;
    }
    t->since_ms = ml_loop_now_ms(g->loop);
    if (deadline_ms <= paused_until_ms(g)) return ML_TURN_REFUSED;
    bool is_first = !g->first;
    queue(g, t);
    ml_timer_start(g->loop, &t->late, deadline_ms, on_late, g);
    if (is_first) set_again(g, until_ms);
    return ML_TURN_WAIT;
}

/* ---- what answers change
 * -------------------------------------------------------------
 */

static void tell_change(const ml_gate *g, const ml_limiter *before, int64_t now_ms)
{
    const ml_limiter *l = &g->limiter;
    const ml_log *log = ml_loop_log(g->loop);
    if (l->strikes > before->strikes) {
        ml_logf(log, before->strikes ? ML_LOG_INFO : ML_LOG_WARN, "budget",
                "%s: HTTP %d: all %s pause for %d ms, %zu wait", g->name,
                l->pause_status, g->what, (int)(l->pause_ms - now_ms), g->n_waiting);
    } else if (l->is_broken && !before->is_broken) {
        ml_logf(log, ML_LOG_WARN, "budget",
                "%s: no usable answer for %d s: %s are refused, and one is tried in "
                "%d ms",
                g->name, (int)((now_ms - l->failing_ms) / 1000), g->what,
                (int)(l->probe_ms - now_ms));
    } else if (before->is_broken && !l->is_broken) {
        ml_logf(log, ML_LOG_WARN, "budget", "%s answers again: %s go on", g->name,
                g->what);
    }
}

static void tell(ml_gate *g, ml_turn *t, ml_heard heard, int server_ms)
{
    t->is_going = false;
    begin(g);
    int64_t now_ms = limiter_now_ms(g);
    if (heard == ML_HEARD_GOOD && !g->limiter.is_broken) { /* nothing to say */
        ml_limiter_tell(&g->limiter, t->epoch, heard, 0, now_ms, 0);
        end(g, g->first, g->n_waiting);
        return;
    }
    ml_limiter before = g->limiter;
    ml_limiter_tell(&g->limiter, t->epoch, heard, server_ms, now_ms,
                    ml_loop_random(g->loop));
    end(g, g->first, g->n_waiting);
    tell_change(g, &before, now_ms);
    if (g->limiter.strikes > before.strikes) send_home(g);
}

void ml_gate_leave(ml_gate *g, ml_turn *t, ml_heard heard, int server_ms)
{
    if (!t->is_going) return;
    tell(g, t, heard, server_ms);
    if (g->first)
        pump(g);
    else if (g->shared && ml_shared_in_flight(g->shared) == 0)
        ml_timer_stop(g->loop, &g->again);
}

void ml_gate_drop(ml_gate *g, ml_turn *t)
{
    if (t->is_going) {
        ml_gate_leave(g, t, ML_HEARD_NOTHING, 0);
    } else if (t->is_waiting) {
        unqueue(g, t);
    }
}

ml_gate_state ml_gate_look(ml_gate *g)
{
    if (g->shared && ml_shared_try(g->shared, &g->limiter))
        end(g, g->first, g->n_waiting);
    const ml_limiter *l = &g->limiter;
    return (ml_gate_state){
        .in_flight = g->shared ? ml_shared_in_flight(g->shared) : l->in_flight,
        .waiting = g->n_waiting,
        .is_paused = ml_limiter_paused_until(l, limiter_now_ms(g)) > 0,
        .is_broken = l->is_broken,
        .is_shared = g->shared && !ml_shared_is_alone(g->shared)};
}

/* ---- why ----------------------------------------------------------------------------
 */

/* A time of the limiter, for people. */
static const char *shown(const ml_gate *g, shown_time *t, int64_t at_ms,
                         char out[TIME_BYTES])
{
    if (t->wall_s == 0 || t->at_ms != at_ms) {
        int64_t left_ms = at_ms - limiter_now_ms(g);
        *t = (shown_time){at_ms, ml_loop_wall_s(g->loop) + left_ms / 1000};
    }
    time_t wall_s = (time_t)t->wall_s;
    struct tm tm;
    if (!gmtime_r(&wall_s, &tm) ||
        !strftime(out, TIME_BYTES, "%Y-%m-%d %H:%M:%S UTC", &tm)) {
        snprintf(out, TIME_BYTES, "some time");
    }
    return out;
}

static int left_ms(int64_t until_ms, int64_t now_ms)
{
    return until_ms > now_ms ? (int)(until_ms - now_ms) : 0;
}

void ml_gate_explain(ml_gate *g, ml_err *e)
{
    const ml_limiter *l = &g->limiter;
    int64_t now_ms = limiter_now_ms(g);
    char since[TIME_BYTES], until[TIME_BYTES];
    if (l->is_broken) {
        e->retry_after_ms = left_ms(l->probe_ms, now_ms);
        ml_fail(e, ML_EUNAVAILABLE,
                "%s has given no usable answer since %s: it is not asked before %s",
                g->name, shown(g, &g->since, l->failing_ms, since),
                shown(g, &g->until, l->probe_ms, until));
    } else if (now_ms < l->pause_ms) {
        e->http_status = l->pause_status;
        e->retry_after_ms = left_ms(l->pause_ms, now_ms);
        ml_fail(e, l->pause_status == 429 ? ML_ETHROTTLED : ML_EUNAVAILABLE,
                "%s asked to slow down (HTTP %d): no %s before %s, which is behind the "
                "deadline",
                g->name, l->pause_status, g->what,
                shown(g, &g->until, l->pause_ms, until));
    } else if (l->is_probing && l->pause_status == 429) {
        e->http_status = 429;
        ml_fail(e, ML_ETHROTTLED,
                "%s asked to slow down (HTTP 429), and the deadline passed before it "
                "was this request's turn",
                g->name);
    } else if (l->limit > 0 && l->n_spent >= l->allowed) {
        ml_fail(
            e, ML_ETHROTTLED,
            "the budget of %d %s in 10 s for %s is used up, and the deadline passed "
            "before it was this request's turn",
            l->allowed, g->what, g->name);
    } else {
        ml_fail(e, ML_EUNAVAILABLE,
                "the deadline passed before it was this request's turn: %d %s wait for "
                "%s",
                l->in_flight, g->what, g->name);
    }
}
