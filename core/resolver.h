/* resolver.h - the handle from inside: what open.c, resolver.c and calls.c share.
 *
 * Threads.  One lock guards everything but the cache and ml_wake.  Whoever needs
 * progress and finds no leader becomes it: it waits on the loop's descriptor without
 * the lock and turns the loop with the lock.  Then another may lead.  The done
 * functions of what has finished, and the host's sources, are called without the lock,
 * by one thread at a time: who has led and finds no reporter becomes it.  Everybody
 * else waits for `changed`.
 *
 * A hit of the cache takes no lock of the handle's.  It is counted at one of the doors,
 * so that ml_close does not free under it. */
#pragma once
#include <pthread.h>
#include <stdatomic.h>

#include "azure/azure.h"
#include "base/env.h"
#include "base/threads.h"
#include "io/cache.h"
#include "io/http.h"
#include "moonlatch.h"
#include "script/vm.h"

struct ml_answer {
    ml_secrets list;
    char *text; /* NULL: none */
};

struct ml_request {
    ml_resolver *resolver;
    ml_op *op;     /* NULL once it has ended */
    ml_done *done; /* NULL: a blocking call waits for it */
    void *arg;
    ml_answer *answer; /* NULL on failure */
    ml_err err;
    int64_t deadline_ms;
    ml_timer late; /* armed when its end was brought forward */
    bool is_late;  /* canceled for that */
    bool is_finished;
    bool keeps_answer;   /* may go into the cache */
    bool is_ahead;       /* nobody waits: it makes an answer anew before its time */
    bool changes_store;  /* what was cached before is stale afterwards */
    uint64_t generation; /* of the store when it began */
    uint64_t policy_generation;
    ml_verb verb;
    int64_t began_ms;
    ml_span_at parent, span; /* empty: nobody is interested */
    char *name, *version;    /* with the context: the cache key */
    ml_pair *context;
    size_t n_context;
    ml_request *next; /* in `finished` */
};

typedef struct ml_door {
    atomic_int n;   /* threads that look for a hit, or come in from there */
    char apart[60]; /* each in a cache line of its own */
} ml_door;

struct ml_resolver {
    ml_door doors[ML_THREAD_SLOTS];
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool has_leader;        /* a thread waits on the loop, or turns it */
    bool is_reporting;      /* a thread is inside the host's functions */
    atomic_bool is_closing; /* nothing new begins */
    bool closes_after_step; /* ml_close came from inside a done of `closer` */
    atomic_int n_inside;    /* threads in a call, or about to lock for one */
    pthread_t closer;
    uint64_t misses;      /* gets that the cache could not serve */
    bool is_memory_noted; /* it was said that locks are missing */
    ml_request *finished_first, *finished_last; /* their done is due */

    const unsigned char *alive; /* a page that a forked child sees as zero */
    ml_clock clock;
    ml_log log;
    ml_meter meter;
    ml_env env;
    ml_tls tls;
    char *proxy, *no_proxy;
    ml_hosted *hosted;
    ml_http_client client;
    ml_loop *loop;
    ml_budget_dir *budget_dir; /* NULL: budgets are this handle's own */
    ml_azure *azure;
    ml_host host;
    ml_vm *vm;
    ml_cache *cache; /* of answers; NULL: switched off */
    ml_kept *kept;   /* of what sources said; NULL with it */
    int cache_ttl_ms;
    int refresh_percent; /* over 100: never ahead */
    uint64_t generation; /* counts changes of the store, and forgetting */
    int deadline_ms;

    char *policy_name, *policy_path, *policy_text; /* one of path and text is NULL */
    atomic_uint_least64_t policy_generation; /* counts reloads that were taken; part of
                                              * an answer's key */
    char reload_problem[sizeof(
        (ml_err){0}.text)]; /* said already; "" after a good one */
};

/* The lock, for a call that does not lead; ml_close waits until all have left. */
void ml_resolver_enter(ml_resolver *r);
void ml_resolver_leave(ml_resolver *r);
/* The lock was taken before; after fork the child sees false. */
bool ml_resolver_is_alive(const ml_resolver *r);
/* The same as 0 or ML_EFORKED. */
int ml_resolver_check_alive(const ml_resolver *r, ml_err *e);
/* Ends every request and frees; nobody else may be inside. */
void ml_resolver_free(ml_resolver *r);

/* A blocking get: from the cache, without the lock, which is taken only if it is free
 * and only to make an answer anew that is late in its time; else as ml_run, and *out is
 * the answer's first secret, NULL if it has none. */
int ml_resolver_get(ml_resolver *r, const ml_call *c, ml_secret **out, ml_err *e);

/* Keeps the answer of an ended get as long as everything in it is fresh.  secret NULL:
 * it failed with this code, and what was kept before is dropped or left, as that says.
 */
void ml_answer_keep(ml_resolver *r, const ml_cache_key *key, ml_secret *secret,
                    int code, int64_t fresh_until_ms);

/* With the lock: logs, once, that secrets are in memory that is not locked. */
void ml_resolver_note_memory(ml_resolver *r);

/* What is kept answers on; only in a while may it be made anew ahead. */
void ml_answer_rest(ml_resolver *r, const ml_cache_key *key);

/* With the lock: has the answer of this call made anew, and forgets about it. */
void ml_refresh_ahead(ml_resolver *r, const ml_call *c);

/* The key of a call's answer; borrows its texts. */
ml_cache_key ml_cache_key_of(ml_resolver *r, const ml_call *c);
/* policy.c.  Keep copies the options; load reads and checks, and on failure leaves the
 * policy before; reload says so once, and makes answers of the old one forgotten. */
int ml_policy_keep(ml_resolver *r, const ml_options *o, ml_err *e);
void ml_policy_forget(ml_resolver *r);
int ml_policy_load(ml_resolver *r, bool runs_tests, ml_err *e);
int ml_policy_reload(ml_resolver *r, ml_err *e);

/* request.c; all but the first with the lock held.
 * Checks a call of this or an older, shorter layout and widens it. */
int ml_call_widen(const ml_call *call, ml_call *full, ml_err *e);
ml_request *ml_request_new(ml_resolver *r, const ml_call *call, ml_err *e);
void ml_request_free(ml_request *q);
/* Begins it: from the cache, or as a task.  It ends through the loop. */
int ml_request_start(ml_request *q, const ml_call *call, ml_err *e);
/* It ends in ms at the latest, if that is earlier than before. */
void ml_request_hurry(ml_request *q, int ms);
/* Forgets kept answers, also those that are under way. */
void ml_request_note_change(ml_resolver *r);
