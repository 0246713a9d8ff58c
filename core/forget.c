/* forget.c - dropping what is kept, and having it made anew before its time. */
#include "base/err.h"
#include "base/glob.h"
#include "resolver.h"
#include "script/call.h"

enum { REST_MS = 2000 }; /* before another try to make an answer anew */

int ml_forget(ml_resolver *r, const char *pattern, ml_err *e)
{
    ml_err_clear(e);
    int rc = ml_resolver_check_alive(r, e);
    if (rc == 0 && pattern) rc = ml_glob_check(ml_str_of(pattern), e);
    if (rc < 0) return rc;
    ml_resolver_enter(r);
    r->generation++; /* calls under way are not kept either */
    if (r->kept) ml_kept_forget(r->kept, ml_str_of(pattern));
    if (r->cache && pattern)
        ml_cache_forget(r->cache, ml_str_of(pattern));
    else if (r->cache)
        ml_cache_clear(r->cache);
    ml_resolver_leave(r);
    return 0;
}

ml_cache_key ml_cache_key_of(ml_resolver *r, const ml_call *c)
{
    return (
        ml_cache_key){atomic_load_explicit(&r->policy_generation, memory_order_relaxed),
                      c->name, c->version, c->context, c->n_context};
}

void ml_answer_rest(ml_resolver *r, const ml_cache_key *key)
{
    bool is_ever = r->refresh_percent <= 100;
    ml_cache_rest(r->cache, key,
                  is_ever ? ml_loop_now_ms(r->loop) + REST_MS : INT64_MAX);
}

void ml_refresh_ahead(ml_resolver *r, const ml_call *c)
{
    ml_err e;
    ml_call anew = *c;
    anew.flags |= ML_REFRESH | ML_REFRESH_EARLY;
    anew.deadline_ms = 0;
    ml_request *q = r->is_closing ? NULL : ml_request_new(r, &anew, &e);
    if (q) q->is_ahead = true;
    if (q && ml_request_start(q, &anew, &e) == 0) return;
    ml_request_free(q);
    ml_cache_key key = ml_cache_key_of(r, c);
    ml_answer_rest(r, &key);
}

/* Failures that say nothing about the secret leave what is kept as it is. */
static bool says_something(int code)
{
    return code == ML_EMISSING || code == ML_EDISABLED || code == ML_EFORBIDDEN ||
           code == ML_EUNAUTHENTICATED || code == ML_EPOLICY || code == ML_EUSAGE ||
           code == ML_EINVALID;
}

void ml_answer_keep(ml_resolver *r, const ml_cache_key *key, ml_secret *secret,
                    int code, int64_t fresh_until_ms)
{
    int64_t now_ms = ml_loop_now_ms(r->loop);
    if (!secret && says_something(code)) {
        ml_cache_rest(r->cache, key, -1);
        return;
    }
    if (!secret) {
        ml_answer_rest(r, key);
        return;
    }
    /* No source had a part in it: the policy itself answered. */
    if (fresh_until_ms == INT64_MAX) fresh_until_ms = now_ms + r->cache_ttl_ms;
    int64_t left_ms = fresh_until_ms - now_ms;
    if (left_ms <= 0) {
        ml_cache_rest(r->cache, key, -1);
        return;
    }
    ml_cache_life life = {fresh_until_ms, INT64_MAX};
    if (r->refresh_percent <= 100)
        life.refresh_ms = now_ms + left_ms * r->refresh_percent / 100;
    ml_cache_put(r->cache, key, secret, &life);
}
