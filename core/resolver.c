/* resolver.c - starting, stepping and waiting: who drives the loop, and who is told. */
#include "resolver.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/err.h"

static int check_alive(const ml_resolver *r, ml_err *e)
{
    if (ml_resolver_is_alive(r)) return 0;
    return ml_fail(e, ML_EFORKED,
                   "this handle belongs to the parent process: open a new "
                   "one after fork");
}

/* With the lock: is the caller inside a done function of this handle? */
static bool is_inside_done(const ml_resolver *r)
{
    return r->is_reporting && pthread_equal(r->leader, pthread_self());
}

/* ---- leading
 * ------------------------------------------------------------------------------ */

static ml_request *take_finished(ml_resolver *r)
{
    ml_request *q = r->finished_first;
    if (q) r->finished_first = q->next;
    if (!r->finished_first) r->finished_last = NULL;
    return q;
}

/* Calls what is due; with the lock, which is let go around each call. */
static int report(ml_resolver *r)
{
    int n = 0;
    ml_request *q;
    r->is_reporting = true;
    while ((q = take_finished(r))) {
        n++;
        pthread_mutex_unlock(&r->lock);
        q->done(q, q->answer, &q->err, q->arg);
        pthread_mutex_lock(&r->lock);
        ml_request_free(q);
    }
    r->is_reporting = false;
    return n;
}

static int shorter(int a_ms, int b_ms)
{
    if (a_ms < 0) return b_ms;
    if (b_ms < 0) return a_ms;
    return a_ms < b_ms ? a_ms : b_ms;
}

/* One round as the leader; with the lock.  Answers how many requests finished. */
static int lead(ml_resolver *r, int max_wait_ms)
{
    r->has_leader = true;
    r->leader = pthread_self();
    int wait_ms = shorter(max_wait_ms, ml_loop_timeout_ms(r->loop));
    if (wait_ms != 0) {
        pthread_mutex_unlock(&r->lock);
        ml_loop_wait(r->loop, wait_ms);
        pthread_mutex_lock(&r->lock);
    }
    ml_loop_turn(r->loop);
    pthread_cond_broadcast(&r->changed); /* blocking calls need not wait for reports */
    int n = report(r);
    r->has_leader = false;
    pthread_cond_broadcast(&r->changed);
    return n;
}

/* As a follower; with the lock. */
static void follow(ml_resolver *r, int max_wait_ms)
{
    if (max_wait_ms < 0) {
        pthread_cond_wait(&r->changed, &r->lock);
        return;
    }
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += max_wait_ms / 1000;
    until.tv_nsec += (long)(max_wait_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&r->changed, &r->lock, &until);
}

static void close_if_asked(ml_resolver *r, bool is_closing);

int ml_step(ml_resolver *r, int max_wait_ms)
{
    int n = check_alive(r, NULL);
    if (n < 0) return n;
    pthread_mutex_lock(&r->lock);
    if (is_inside_done(r)) {
        n = ML_EBUSY;
    } else if (r->has_leader) {
        if (max_wait_ms != 0) follow(r, max_wait_ms);
    } else {
        n = lead(r, max_wait_ms);
    }
    bool is_closing = r->is_closing && !r->is_reporting;
    pthread_mutex_unlock(&r->lock);
    close_if_asked(r, is_closing);
    return n;
}

int ml_fd(const ml_resolver *r)
{
    return ml_loop_fd(r->loop);
}

int ml_timeout_ms(ml_resolver *r)
{
    if (!ml_resolver_is_alive(r)) return -1;
    pthread_mutex_lock(&r->lock);
    int ms = ml_loop_timeout_ms(r->loop);
    pthread_mutex_unlock(&r->lock);
    return ms;
}

void ml_wake(ml_resolver *r)
{
    if (ml_resolver_is_alive(r)) ml_loop_wake(r->loop);
}

/* ---- starting and canceling
 * ------------------------------------------------------------------ */

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
    ml_err unseen;
    if (!e) e = &unseen;
    ml_err_clear(e);
    if (check_alive(r, e) < 0) return NULL;
    if (!done) {
        ml_fail(e, ML_EUSAGE, "a done function is missing");
        return NULL;
    }
    pthread_mutex_lock(&r->lock);
    ml_request *q = start(r, call, done, arg, e);
    pthread_mutex_unlock(&r->lock);
    return q;
}

void ml_cancel(ml_request *q)
{
    ml_resolver *r = q->resolver;
    if (!ml_resolver_is_alive(r)) return;
    pthread_mutex_lock(&r->lock);
    ml_op_cancel(q->op);
    pthread_mutex_unlock(&r->lock);
}

/* ---- blocking: start + step until done
 * ---------------------------------------------------------- */

static ml_secret *hit(ml_resolver *r, const ml_call *c)
{
    if (!r->cache || c->verb != ML_GET || (c->flags & ML_REFRESH)) return NULL;
    ml_cache_key key = {c->name, c->version, c->context, c->n_context};
    return ml_cache_get(r->cache, &key, r->clock.mono_ms(r->clock.arg));
}

static int wait_for(ml_resolver *r, const ml_call *call, ml_answer **out, ml_err *e)
{
    ml_request *q = start(r, call, NULL, NULL, e);
    if (!q) return e->code;
    while (!q->is_finished) {
        if (r->has_leader)
            follow(r, -1);
        else
            lead(r, -1);
    }
    int code = q->err.code;
    if (code) {
        *e = q->err;
    } else {
        *out = q->answer;
        q->answer = NULL;
    }
    ml_request_free(q);
    return code;
}

int ml_run(ml_resolver *r, const ml_call *call, ml_answer **out, ml_err *e)
{
    ml_err unseen;
    if (!e) e = &unseen;
    ml_err_clear(e);
    int rc = check_alive(r, e);
    if (rc < 0) return rc;
    pthread_mutex_lock(&r->lock);
    if (is_inside_done(r))
        rc = ml_fail(e, ML_EBUSY, "blocking calls are not allowed inside a done");
    else
        rc = wait_for(r, call, out, e);
    bool is_closing = r->is_closing && !r->is_reporting;
    pthread_mutex_unlock(&r->lock);
    close_if_asked(r, is_closing);
    return rc;
}

int ml_get(ml_resolver *r, const char *name, const ml_pair *context, size_t n_context,
           ml_secret **out, ml_err *e)
{
    ml_call call = {ML_CALL_INIT, .verb = ML_GET, .name = name, .context = context,
                    .n_context = n_context};
    if (name && ml_resolver_is_alive(r)) {
        ml_secret *kept = hit(r, &call);
        if (kept) {
            *out = kept;
            return 0;
        }
    }
    ml_answer *answer = NULL;
    int rc = ml_run(r, &call, &answer, e);
    if (rc < 0) return rc;
    *out = ml_secret_ref(ml_answer_at(answer, 0));
    ml_answer_free(answer);
    return *out ? 0
                : ml_fail(e, ML_EINVALID, "the policy gave no secret for %.100s", name);
}

int ml_list(ml_resolver *r, const char *pattern, const ml_pair *context,
            size_t n_context, ml_answer **out, ml_err *e)
{
    return ml_run(r,
                  &(ml_call){ML_CALL_INIT, .verb = ML_LIST, .name = pattern,
                             .context = context, .n_context = n_context},
                  out, e);
}

static int run_quietly(ml_resolver *r, const ml_call *call, ml_err *e)
{
    ml_answer *answer = NULL;
    int rc = ml_run(r, call, &answer, e);
    ml_answer_free(answer);
    return rc;
}

int ml_put(ml_resolver *r, const char *name, const void *value, size_t len,
           const ml_pair *context, size_t n_context, ml_err *e)
{
    return run_quietly(r,
                       &(ml_call){ML_CALL_INIT, .verb = ML_PUT, .name = name,
                                  .value = value, .value_len = len, .context = context,
                                  .n_context = n_context},
                       e);
}

int ml_delete(ml_resolver *r, const char *name, const ml_pair *context,
              size_t n_context, ml_err *e)
{
    return run_quietly(r,
                       &(ml_call){ML_CALL_INIT, .verb = ML_DELETE, .name = name,
                                  .context = context, .n_context = n_context},
                       e);
}

int ml_explain(ml_resolver *r, const char *name, const ml_pair *context,
               size_t n_context, ml_answer **out, ml_err *e)
{
    return ml_run(r,
                  &(ml_call){ML_CALL_INIT, .verb = ML_EXPLAIN, .name = name,
                             .context = context, .n_context = n_context},
                  out, e);
}

/* ---- closing
 * ---------------------------------------------------------------------------------------
 */

static void close_now(ml_resolver *r)
{
    pthread_mutex_lock(&r->lock);
    r->is_closing = true;
    ml_loop_cancel_all(r->loop);
    r->leader = pthread_self();
    report(r);
    pthread_mutex_unlock(&r->lock);
    ml_resolver_free(r);
}

static void close_if_asked(ml_resolver *r, bool is_closing)
{
    if (is_closing) close_now(r);
}

void ml_close(ml_resolver *r)
{
    if (!r) return;
    if (!ml_resolver_is_alive(r)) { /* sockets and TLS are shared with the parent */
        if (r->cache) ml_cache_clear(r->cache);
        return;
    }
    pthread_mutex_lock(&r->lock);
    bool later = is_inside_done(r);
    if (later) r->is_closing = true;
    pthread_mutex_unlock(&r->lock);
    if (!later) close_now(r);
}
