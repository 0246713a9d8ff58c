/* loop.c - one descriptor that is readable exactly when there is something to do.
 *
 * What is in the epoll set: curl's sockets, a timerfd for the earliest timer (curl's
 * own time-out is one of them), an eventfd that is written when an op becomes ready
 * outside of a turn, or by ml_loop_wake, and what others asked to have watched. */
#include "io/loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "io/socks.h"
#include "io/timers.h"
#include "io/watches.h"

enum {
    EVENTS_A_TURN = 64,
    MAX_HOST_CONNECTIONS = 16,
    SOCKETS_AT_ONCE = 3, /* of one transfer: IPv6, IPv4, and curl's resolver */
    MAX_IDLE_HANDLES = 64,
    LONGEST_WAIT_MS = 3600 * 1000,
    POLL_MS = 10,
    LAG_MS = 500
};

struct ml_loop {
    const ml_clock *clock;
    const ml_log *log;
    ml_meter *meter;
    int epoll_fd;
    int timer_fd;
    int event_fd;
    CURLM *multi;
    ml_socks socks;
    ml_timers timers;
    ml_timer curl_timer;
    ml_watches watches;
    ml_handle idle[MAX_IDLE_HANDLES];
    int n_idle;
    size_t n_transfers;
    ml_op *ready_first, *ready_last;
    ml_op *live;      /* every op that is not destroyed yet */
    int64_t armed_ms; /* what timer_fd is set to, -1: off */
    int64_t lagged_ms;
    bool in_turn;
    bool is_rung; /* by ring, and not drained yet */
    uint64_t random;
};

/* ---- descriptors ---------------------------------------------------------------- */

static bool watch(ml_loop *l, int fd, int op, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.fd = fd};
    return epoll_ctl(l->epoll_fd, op, fd, &ev) == 0;
}

static void drain(int fd)
{
    uint64_t count;
    while (read(fd, &count, sizeof(count)) == (ssize_t)sizeof(count)) continue;
}

static void signal_event(const ml_loop *l)
{
    uint64_t one = 1;
    ssize_t n;
    do {
        n = write(l->event_fd, &one, sizeof(one));
    } while (n < 0 && errno == EINTR);
}

/* The next turn is due now. */
static void ring(ml_loop *l)
{
    if (l->is_rung) return;
    l->is_rung = true;
    signal_event(l);
}

/* Sets the timerfd to the earliest timer, if that changed: to program a clock costs as
 * much as a small request, so what is due at once rings instead. */
static void arm(ml_loop *l)
{
    const ml_timer *first = ml_timers_first(&l->timers);
    int64_t at_ms = first ? first->at_ms : -1;
    if (at_ms == l->armed_ms) return;
    struct itimerspec spec = {0};
    if (first) {
        int64_t wait_ms = at_ms - ml_loop_now_ms(l);
        if (wait_ms <= 0) {
            ring(l);
            return;
        }
        if (wait_ms > LONGEST_WAIT_MS) wait_ms = LONGEST_WAIT_MS;
        spec.it_value.tv_sec = wait_ms / 1000;
        spec.it_value.tv_nsec = (wait_ms % 1000) * 1000000;
    }
    timerfd_settime(l->timer_fd, 0, &spec, NULL);
    l->armed_ms = at_ms;
}

static bool open_descriptors(ml_loop *l)
{
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    l->watches.epoll_fd = l->epoll_fd;
    l->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    l->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (l->epoll_fd < 0 || l->timer_fd < 0 || l->event_fd < 0) return false;
    l->socks.epoll_fd = l->epoll_fd;
    return watch(l, l->timer_fd, EPOLL_CTL_ADD, EPOLLIN) &&
           watch(l, l->event_fd, EPOLL_CTL_ADD, EPOLLIN);
}

static void close_descriptors(ml_loop *l)
{
    if (l->event_fd >= 0) close(l->event_fd);
    if (l->timer_fd >= 0) close(l->timer_fd);
    if (l->epoll_fd >= 0) close(l->epoll_fd);
}

bool ml_loop_watch(ml_loop *l, ml_watch *w, int fd, void (*fn)(ml_watch *, void *),
                   void *arg)
{
    return ml_watches_add(&l->watches, w, fd, fn, arg);
}

void ml_loop_unwatch(ml_loop *l, ml_watch *w)
{
    ml_watches_remove(&l->watches, w);
}

/* ---- curl ----------------------------------------------------------------------- */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
    (void)easy;
    ml_loop *l = arg;
    ml_sock *s = known;
    if (what == CURL_POLL_REMOVE) {
        curl_multi_assign(l->multi, fd, NULL);
        if (s) ml_socks_remove(&l->socks, s);
        return 0;
    }
    if (!s) s = ml_socks_add(&l->socks, fd);
    if (!s) return -1;
    curl_multi_assign(l->multi, fd, s);
    ml_sock_want(s, (what & CURL_POLL_IN ? (uint32_t)EPOLLIN : 0) |
                        (what & CURL_POLL_OUT ? (uint32_t)EPOLLOUT : 0));
    if (!l->in_turn) ml_socks_tell(&l->socks);
    return 0;
}

static void on_curl_time(ml_timer *t, void *arg)
{
    (void)t;
    ml_loop *l = arg;
    int running;
    curl_multi_socket_action(l->multi, CURL_SOCKET_TIMEOUT, 0, &running);
}

static int on_timer(CURLM *multi, long wait_ms, void *arg)
{
    (void)multi;
    ml_loop *l = arg;
    ml_timer_stop(l, &l->curl_timer);
    if (wait_ms >= 0) {
        ml_timer_start(l, &l->curl_timer, ml_loop_now_ms(l) + wait_ms, on_curl_time, l);
    }
    return 0;
}

static bool open_curl(ml_loop *l)
{
    l->multi = curl_multi_init();
    if (!l->multi) return false;
    curl_multi_setopt(l->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(l->multi, CURLMOPT_SOCKETDATA, l);
    curl_multi_setopt(l->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(l->multi, CURLMOPT_TIMERDATA, l);
    curl_multi_setopt(l->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
                      (long)MAX_HOST_CONNECTIONS);
    return true;
}

ml_handle ml_loop_curl_take(ml_loop *l, bool *is_fresh)
{
    ml_handle fresh;
    *is_fresh = l->n_idle == 0;
    if (!*is_fresh) return l->idle[--l->n_idle];
    ml_handle_open(&fresh);
    return fresh;
}

void ml_loop_curl_give(ml_loop *l, ml_handle *h)
{
    if (l->n_idle < MAX_IDLE_HANDLES)
        l->idle[l->n_idle++] = *h;
    else
        ml_handle_close(h);
    *h = (ml_handle){0};
}

bool ml_loop_curl_add(ml_loop *l, CURL *easy, ml_transfer *t)
{
    if (!ml_socks_reserve(&l->socks, (l->n_transfers + 1) * SOCKETS_AT_ONCE))
        return false;
    curl_easy_setopt(easy, CURLOPT_PRIVATE, t);
    if (curl_multi_add_handle(l->multi, easy) != CURLM_OK) return false;
    l->n_transfers++;
    return true;
}

void ml_loop_curl_remove(ml_loop *l, CURL *easy)
{
    curl_multi_remove_handle(l->multi, easy);
    l->n_transfers--;
}

static void finish_transfers(ml_loop *l)
{
    int left;
    CURLMsg *msg;
    while ((msg = curl_multi_info_read(l->multi, &left))) {
        if (msg->msg != CURLMSG_DONE) continue;
        CURL *easy = msg->easy_handle;
        CURLcode code = msg->data.result;
        ml_transfer *t = NULL;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &t);
        ml_loop_curl_remove(l, easy);
        t->fn(easy, code, t->arg);
    }
}

/* ---- life ------------------------------------------------------------------------ */

ml_loop *ml_loop_new(const ml_clock *clock, const ml_log *log, ml_err *e)
{
    ml_loop *l = ml_calloc(1, sizeof(*l));
    if (!l) {
        ml_fail(e, ML_ENOMEM, "out of memory");
        return NULL;
    }
    *l = (ml_loop){.clock = clock,
                   .log = log,
                   .epoll_fd = -1,
                   .timer_fd = -1,
                   .event_fd = -1,
                   .armed_ms = -1};
    if (open_descriptors(l) && open_curl(l) &&
        getrandom(&l->random, sizeof(l->random), 0) == (ssize_t)sizeof(l->random)) {
        return l;
    }
    ml_fail(e, ML_ESYSTEM, "cannot open the event loop: too many open files?");
    ml_loop_free(l);
    return NULL;
}

void ml_loop_cancel_all(ml_loop *l)
{
    while (l->live) { /* canceled ops end without the network, so this ends */
        for (ml_op *op = l->live; op;) {
            ml_op *next = op->next_live;
            ml_op_cancel(op);
            op = next;
        }
        ml_loop_turn(l);
    }
}

void ml_loop_free(ml_loop *l)
{
    if (!l) return;
    ml_loop_cancel_all(l);
    while (l->n_idle > 0) ml_handle_close(&l->idle[--l->n_idle]);
    if (l->multi) curl_multi_cleanup(l->multi);
    ml_socks_free(&l->socks);
    close_descriptors(l);
    ml_free(l);
}

int ml_loop_fd(const ml_loop *l)
{
    return l->epoll_fd;
}

int ml_loop_next_ms(const ml_loop *l)
{
    if (l->ready_first) return 0;
    const ml_timer *first = ml_timers_first(&l->timers);
    if (!first) return -1;
    int64_t wait_ms = first->at_ms - ml_loop_now_ms(l);
    if (wait_ms < 0) return 0;
    return wait_ms < LONGEST_WAIT_MS ? (int)wait_ms : LONGEST_WAIT_MS;
}

int ml_loop_poll_ms(const ml_loop *l)
{
    struct epoll_event ev;
    if (l->ready_first || epoll_wait(l->epoll_fd, &ev, 1, 0) > 0) return 0;
    int next_ms = ml_loop_next_ms(l);
    if (!l->live) return next_ms;
    return next_ms >= 0 && next_ms < POLL_MS ? next_ms : POLL_MS;
}

void ml_loop_wait(ml_loop *l, int max_wait_ms)
{
    struct epoll_event ev;
    (void)!epoll_wait(l->epoll_fd, &ev, 1, max_wait_ms);
}

void ml_loop_wake(ml_loop *l)
{
    signal_event(l); /* nothing else here may be touched by another thread */
}

/* ---- one turn ---------------------------------------------------------------------
 */

static void handle_descriptors(ml_loop *l)
{
    struct epoll_event events[EVENTS_A_TURN];
    int n = epoll_wait(l->epoll_fd, events, EVENTS_A_TURN, 0);
    for (int i = 0; i < n; i++) {
        int fd = events[i].data.fd;
        if (fd == l->event_fd) {
            drain(fd);
            l->is_rung = false;
        } else if (fd == l->timer_fd) {
            drain(fd);
            l->armed_ms = -1;
        } else if (!ml_watches_call(&l->watches, fd)) {
            uint32_t got = events[i].events;
            int mask = (got & EPOLLIN ? CURL_CSELECT_IN : 0) |
                       (got & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                       (got & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
            int running;
            curl_multi_socket_action(l->multi, fd, mask, &running);
        }
    }
}

static void run_timers(ml_loop *l)
{
    int64_t now_ms = ml_loop_now_ms(l);
    ml_timer *t;
    while ((t = ml_timers_first(&l->timers)) && t->at_ms <= now_ms) {
        ml_timers_remove(&l->timers, t);
        t->fn(t, t->arg);
    }
}

static void bury(ml_loop *l, ml_op *op)
{
    if (op->prev_live)
        op->prev_live->next_live = op->next_live;
    else
        l->live = op->next_live;
    if (op->next_live) op->next_live->prev_live = op->prev_live;
    op->destroy(op);
}

/* Ops that finish while others are reported have their turn here too. */
static void report_ready(ml_loop *l)
{
    ml_op *op;
    while ((op = l->ready_first)) {
        l->ready_first = op->next_ready;
        if (!l->ready_first) l->ready_last = NULL;
        if (op->done) op->done(op, op->arg);
        bury(l, op);
    }
}

static void run_due(ml_loop *l)
{
    run_timers(l);
    finish_transfers(l);
    report_ready(l);
}

static void note_lag(ml_loop *l)
{
    const ml_timer *first = ml_timers_first(&l->timers);
    int64_t now_ms = first ? ml_loop_now_ms(l) : 0;
    if (first && now_ms - first->at_ms >= LAG_MS) l->lagged_ms = now_ms;
}

void ml_loop_turn(ml_loop *l)
{
    l->in_turn = true;
    note_lag(l);
    handle_descriptors(l);
    run_due(l);
    run_due(l); /* what was started just now is sent at once */
    l->in_turn = false;
    ml_socks_tell(&l->socks);
    arm(l);
}

void ml_loop_adopt(ml_loop *l, ml_op *op)
{
    op->next_live = l->live;
    if (l->live) l->live->prev_live = op;
    l->live = op;
}

void ml_loop_ready(ml_loop *l, ml_op *op)
{
    if (!l->ready_first && !l->in_turn) ring(l);
    op->next_ready = NULL;
    if (l->ready_last)
        l->ready_last->next_ready = op;
    else
        l->ready_first = op;
    l->ready_last = op;
}

/* ---- timers, time, randomness ------------------------------------------------------
 */

void ml_timer_start(ml_loop *l, ml_timer *t, int64_t at_ms, ml_timer_fn *fn, void *arg)
{
    ml_timers_remove(&l->timers, t);
    t->at_ms = at_ms;
    t->fn = fn;
    t->arg = arg;
    ml_timers_add(&l->timers, t);
    if (!l->in_turn) arm(l);
}

void ml_timer_stop(ml_loop *l, ml_timer *t)
{
    ml_timers_remove(&l->timers, t);
    if (!l->in_turn) arm(l);
}

int64_t ml_loop_now_ms(const ml_loop *l)
{
    return ml_mono_ms(l->clock);
}

int64_t ml_loop_lagged_ms(const ml_loop *l)
{
    return l->lagged_ms;
}

int64_t ml_loop_wall_s(const ml_loop *l)
{
    return ml_wall_s(l->clock);
}

const ml_clock *ml_loop_clock(const ml_loop *l)
{
    return l->clock;
}

const ml_log *ml_loop_log(const ml_loop *l)
{
    return l->log;
}

void ml_loop_set_meter(ml_loop *l, ml_meter *m)
{
    l->meter = m;
}

ml_meter *ml_loop_meter(const ml_loop *l)
{
    return l->meter;
}

/* splitmix64: small, well spread, no state but 64 bits. */
uint32_t ml_loop_random(ml_loop *l)
{
    uint64_t z = l->random += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ (z >> 31)) >> 32);
}
