/* resolver.c - starting, stepping and waiting: who drives the loop, and who is told. */
#include "resolver.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"

int ml_resolver_check_alive(const ml_resolver *r, ml_err *e)
{
    if (ml_resolver_is_alive(r)) return 0;
    return ml_fail(e, ML_EFORKED,
                   "this handle belongs to the parent process: open a new "
                   "one after fork");
}

/* ---- inside the host's functions ----------------------------------------------------
 */

/* What the calling thread is in the middle of: a function of the host that this handle
 * called, perhaps from inside one that another handle called. */
typedef struct visit {
    const ml_resolver *r;
    const struct visit *outer;
} visit;

static _Thread_local const visit *innermost;

static bool is_inside_done(const ml_resolver *r)
{
    const visit *v = innermost;
    while (v && v->r != r) v = v->outer;
    return v != NULL;
}

/* With the lock, which is let go around the call of one of the two.  False: a fork in
 * there made this the child, who has no lock, and must not touch what is shared. */
static bool call_host(ml_resolver *r, ml_fetch *f, ml_request *q)
{
    visit here = {r, innermost};
    static const ml_err none;
    ml_err e;
    bool has_failed = q && q->err.code;
    if (has_failed) ml_err_copy(&e, &q->err);
    pthread_mutex_unlock(&r->lock);
    innermost = &here;
    if (f)
        ml_hosted_call(f);
    else
        q->done(q, q->answer, has_failed ? &e : &none, q->arg);
    innermost = here.outer;
    if (!ml_resolver_is_alive(r)) return false;
    pthread_mutex_lock(&r->lock);
    return true;
}

/* With the lock: must the caller close the handle, because a done of its step asked? */
static bool closes_here(const ml_resolver *r)
{
    return r->closes_after_step && pthread_equal(r->closer, pthread_self());
}

/* Counted before it has the lock: who closes with the lock waits for this one, too. */
void ml_resolver_enter(ml_resolver *r)
{
    atomic_fetch_add(&r->n_inside, 1);
    pthread_mutex_lock(&r->lock);
}

void ml_resolver_leave(ml_resolver *r)
{
    atomic_fetch_sub(&r->n_inside, 1);
    if (r->is_closing) pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

/* ---- leading ------------------------------------------------------------------------
 */

static ml_request *take_finished(ml_resolver *r)
{
    ml_request *q = r->finished_first;
    if (q) r->finished_first = q->next;
    if (!r->finished_first) r->finished_last = NULL;
    return q;
}

/* Others may bring more as fast as one thread tells of it: it is let go after so many.
 */
enum { A_ROUND = 64 };

/* Calls what is due; with the lock, and unless another thread does.  The number of
 * dones, or ML_EFORKED (then without the lock). */
static int report(ml_resolver *r)
{
    int n_dones = 0, n = 0;
    if (r->is_reporting) return 0;
    r->is_reporting = true;
    for (; n < A_ROUND || r->is_closing; n++) {
        ml_fetch *f = ml_hosted_next(r->hosted);
        ml_request *q = f ? NULL : take_finished(r);
        if (!f && !q) break;
        bool is_ours = call_host(r, f, q);
        ml_request_free(q);
        if (!is_ours) return ML_EFORKED;
        if (q) n_dones++;
    }
    r->is_reporting = false;
    if (n == A_ROUND) ml_loop_wake(r->loop); /* whoever leads next goes on with it */
    if (n == A_ROUND || r->is_closing) pthread_cond_broadcast(&r->changed);
    return n_dones;
}

static int shorter(int a_ms, int b_ms)
{
    if (a_ms < 0) return b_ms;
    if (b_ms < 0) return a_ms;
    return a_ms < b_ms ? a_ms : b_ms;
}

/* One round as the leader; with the lock.  As report. */
static int lead(ml_resolver *r, int max_wait_ms)
{
    r->has_leader = true;
    int wait_ms = shorter(max_wait_ms, ml_loop_next_ms(r->loop));
    if (wait_ms != 0) {
        pthread_mutex_unlock(&r->lock);
        ml_loop_wait(r->loop, wait_ms);
        pthread_mutex_lock(&r->lock);
    }
    do { /* the turn forgets who woke it, so the inbox is looked into behind it */
        ml_loop_turn(r->loop);
    } while (ml_hosted_collect(r->hosted));
    r->has_leader = false;
    pthread_cond_broadcast(&r->changed); /* nobody need wait for the reports */
    return report(r);
}

/* As a follower; with the lock. */
static void follow(ml_resolver *r, int max_wait_ms)
{
    if (max_wait_ms < 0) {
        pthread_cond_wait(&r->changed, &r->lock);
        return;
    }
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += max_wait_ms / 1000;
    until.tv_nsec += (long)(max_wait_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&r->changed, &r->lock, &until);
}

/* ---- closing ------------------------------------------------------------------------
 *
 * is_closing keeps new calls out and nobody leads any more but the closer.  It ends
 * what is in flight, wakes the others, and frees when the last of them has left. */

static bool is_somebody_at_a_door(const ml_resolver *r)
{
    for (int i = 0; i < ML_THREAD_SLOTS; i++)
        if (r->doors[i].n != 0) return true;
    return false;
}

/* With the lock, which is let go: until nobody but n_own is inside.  Who looks for a
 * hit is quick, and takes no lock in which to be waited for; who comes in from there is
 * counted inside before it leaves the door. */
static void wait_for_the_others(ml_resolver *r, int n_own)
{
    for (;;) {
        while (is_somebody_at_a_door(r)) {
            pthread_mutex_unlock(&r->lock);
            nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
            pthread_mutex_lock(&r->lock);
        }
        if (r->n_inside <= n_own) return;
        pthread_cond_wait(&r->changed, &r->lock);
    }
}

/* With the lock; n_own: 1 when the caller is itself counted in n_inside. */
static void close_locked(ml_resolver *r, int n_own)
{
    while (r->has_leader || r->is_reporting) {
        ml_loop_wake(r->loop);
        pthread_cond_wait(&r->changed, &r->lock);
    }
    r->has_leader = true;
    ml_loop_cancel_all(r->loop);
    if (report(r) < 0) return; /* the child of a fork */
    pthread_cond_broadcast(&r->changed);
    wait_for_the_others(r, n_own);
    pthread_mutex_unlock(&r->lock);
    ml_resolver_free(r);
}

void ml_close(ml_resolver *r)
{
    /* A child must not touch what is shared. */
    if (!r || !ml_resolver_is_alive(r)) return;
    pthread_mutex_lock(&r->lock);
    bool is_first = !r->is_closing;
    r->is_closing = true;
    if (is_first && !is_inside_done(r)) {
        close_locked(r, 0);
        return;
    }
    if (is_first) {
        r->closes_after_step = true;
        r->closer = pthread_self();
    }
    pthread_mutex_unlock(&r->lock);
}

/* Gives the lock back after a call that may have led; the handle may be gone then. */
static void leave(ml_resolver *r)
{
    if (closes_here(r))
        close_locked(r, 1);
    else
        ml_resolver_leave(r);
}

/* ---- stepping -----------------------------------------------------------------------
 */

int ml_step(ml_resolver *r, int max_wait_ms)
{
    int n = ml_resolver_check_alive(r, NULL);
    if (n < 0) return n;
    ml_resolver_enter(r);
    if (is_inside_done(r)) {
        ml_resolver_leave(r);
        return ML_EBUSY;
    }
    if (!r->has_leader && !r->is_closing)
        n = lead(r, max_wait_ms);
    else if (max_wait_ms != 0)
        follow(r, max_wait_ms);
    if (n == ML_EFORKED) return n;
    leave(r);
    return n;
}

int ml_fd(const ml_resolver *r)
{
    return ml_loop_fd(r->loop);
}

int ml_timeout_ms(ml_resolver *r)
{
    if (!ml_resolver_is_alive(r)) return -1;
    ml_resolver_enter(r);
    int ms = ml_loop_poll_ms(r->loop);
    ml_resolver_leave(r);
    return ms;
}

int ml_add_source(ml_resolver *r, const char *name, const ml_source_ops *ops, void *arg,
                  ml_err *e)
{
    ml_source_ops full = {0};
    ml_err_clear(e);
    int rc = ml_resolver_check_alive(r, e);
    if (rc < 0) return rc;
    if (!ops || ops->size < sizeof(size_t) || ops->size > sizeof(full)) {
        return ml_fail(e, ML_EUSAGE, "ops were not filled with ML_SOURCE_OPS_INIT");
    }
    memcpy(&full, ops, ops->size);
    if (!name || !*name || !full.get) {
        return ml_fail(e, ML_EUSAGE, "a source needs a name and a get function");
    }
    ml_resolver_enter(r);
    rc = ml_hosted_add(r->hosted, name, &full, arg, e);
    ml_resolver_leave(r);
    return rc;
}

void ml_wake(ml_resolver *r)
{
    if (ml_resolver_is_alive(r)) ml_loop_wake(r->loop);
}

/* ---- starting and canceling ---------------------------------------------------------
 */

/* With the lock. */
static ml_request *start(ml_resolver *r, const ml_call *call, ml_done *done, void *arg,
                         ml_err *e)
{
    if (r->is_closing) {
        ml_fail(e, ML_ECANCELED, "the handle is being closed");
        return NULL;
    }
    ml_request *q = ml_request_new(r, call, e);
    if (!q) return NULL;
    q->done = done;
    q->arg = arg;
    if (ml_request_start(q, call, e) == 0) return q;
    ml_request_free(q);
    return NULL;
}

ml_request *ml_start(ml_resolver *r, const ml_call *call, ml_done *done, void *arg,
                     ml_err *e)
{
    ml_call full;
    ml_err unseen;
    if (!e) e = &unseen;
    ml_err_clear(e);
    if (ml_resolver_check_alive(r, e) < 0 || ml_call_widen(call, &full, e) < 0)
        return NULL;
    if (!done) {
        ml_fail(e, ML_EUSAGE, "a done function is missing");
        return NULL;
    }
    ml_resolver_enter(r);
    ml_request *q = start(r, &full, done, arg, e);
    ml_resolver_leave(r);
    return q;
}

void ml_cancel(ml_request *q)
{
    ml_resolver *r = q->resolver;
    if (!ml_resolver_is_alive(r)) return;
    ml_resolver_enter(r);
    ml_op_cancel(q->op);
    ml_resolver_leave(r);
}

void ml_request_deadline(ml_request *q, int ms)
{
    ml_resolver *r = q->resolver;
    if (!ml_resolver_is_alive(r)) return;
    ml_resolver_enter(r);
    ml_request_hurry(q, ms);
    ml_resolver_leave(r);
}

/* ---- blocking: start + step until done ----------------------------------------------
 */

/* With the lock.  False: this is the child of a fork, without it. */
static bool wait_until_finished(ml_resolver *r, const ml_request *q)
{
    while (!q->is_finished) {
        if (closes_here(r))
            ml_loop_cancel_all(r->loop); /* this one with the others */
        else if (r->has_leader || r->is_closing)
            follow(r, -1);
        else if (lead(r, -1) == ML_EFORKED)
            return false;
    }
    return true;
}

/* With the lock, which is gone afterwards, and perhaps the handle with it. */
static int run(ml_resolver *r, const ml_call *call, ml_answer **out, ml_err *e)
{
    ml_err_clear(e);
    if (is_inside_done(r)) {
        ml_resolver_leave(r);
        return ml_fail(e, ML_EBUSY, "blocking calls are not allowed inside a done");
    }
    ml_request *q = start(r, call, NULL, NULL, e);
    if (q && !wait_until_finished(r, q)) return ml_resolver_check_alive(r, e);
    int code = q ? q->err.code : e->code;
    if (q && code) {
        ml_err_copy(e, &q->err);
    } else if (q) {
        *out = q->answer;
        q->answer = NULL;
    }
    ml_request_free(q);
    leave(r);
    return code;
}

int ml_run(ml_resolver *r, const ml_call *call, ml_answer **out, ml_err *e)
{
    ml_call full;
    ml_err unseen;
    if (!e) e = &unseen;
    ml_err_clear(e);
    int rc = ml_resolver_check_alive(r, e);
    if (rc == 0) rc = ml_call_widen(call, &full, e);
    if (rc < 0) return rc;
    ml_resolver_enter(r);
    return run(r, &full, out, e);
}

/* ---- hits ---------------------------------------------------------------------------
 */

/* Has an answer made anew that is late in its time, or turns the loop once so that this
 * goes on though nobody waits.  With the lock, which is gone afterwards, and perhaps
 * the handle with it. */
static void make_anew(ml_resolver *r, const ml_call *c, ml_cache_due due)
{
    if (due == ML_CACHE_REFRESH) ml_refresh_ahead(r, c);
    if (!r->has_leader && !r->is_closing && lead(r, 0) == ML_EFORKED) return;
    leave(r);
}

static ml_secret *look_for_a_hit(ml_resolver *r, const ml_call *c, ml_cache_due *due,
                                 int64_t *now_ms)
{
    *due = ML_CACHE_FINE;
    if (!r->cache || (c->flags & ML_REFRESH) || r->is_closing || is_inside_done(r))
        return NULL;
    *now_ms = r->clock.mono_ms(r->clock.arg);
    ml_cache_key key = ml_cache_key_of(r, c);
    return ml_cache_get(r->cache, &key, *now_ms, due);
}

/* For a hit that is late, if the lock is free: with somebody else inside nothing needs
 * to be done now. */
static bool try_to_enter(ml_resolver *r, const ml_call *c, ml_cache_due due,
                         int64_t now_ms)
{
    if (pthread_mutex_trylock(&r->lock) == 0) {
        atomic_fetch_add(&r->n_inside, 1);
        return true;
    }
    ml_cache_key key = ml_cache_key_of(r, c);
    if (due == ML_CACHE_REFRESH) ml_cache_rest(r->cache, &key, now_ms + 1);
    return false;
}

int ml_resolver_get(ml_resolver *r, const ml_call *c, ml_secret **out, ml_err *e)
{
    ml_err unseen;
    ml_cache_due due;
    int64_t now_ms = 0;
    ml_answer *answer = NULL;
    atomic_int *door = &r->doors[ml_thread_slot()].n;
    atomic_fetch_add(door, 1);
    *out = look_for_a_hit(r, c, &due, &now_ms);
    bool is_inside = *out && due != ML_CACHE_FINE && try_to_enter(r, c, due, now_ms);
    if (!*out) ml_resolver_enter(r);
    atomic_fetch_sub(door, 1); /* whoever goes on is counted inside */
    if (is_inside) make_anew(r, c, due);
    if (*out) return 0;
    int rc = run(r, c, &answer, e ? e : &unseen);
    *out = ml_secret_ref(ml_answer_at(answer, 0));
    ml_answer_free(answer);
    return rc;
}

/* ---- reloading ------------------------------------------------------------------ */

int ml_reload(ml_resolver *r, ml_err *e)
{
    ml_err unseen;
    if (!e) e = &unseen;
    ml_err_clear(e);
    int rc = ml_resolver_check_alive(r, e);
    if (rc < 0) return rc;
    ml_resolver_enter(r);
    if (is_inside_done(r))
        rc = ml_fail(e, ML_EBUSY, "a reload is not allowed inside a done");
    else if (r->is_closing)
        rc = ml_fail(e, ML_ECANCELED, "the handle is being closed");
    else
        rc = ml_policy_reload(r, e);
    leave(r);
    return rc;
}
