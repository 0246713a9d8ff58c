/* shared_fixture.h - handles that share one limiter, each as a gate has it. */
#pragma once
#include "budget_fixture.h"

#include "io/shared.h"

/* A handle's end of it, as a gate has it. */
typedef struct member {
    ml_shared *shared;
    ml_limiter l;
    uint32_t epoch;       /* of what went last */
    size_t waiting, more; /* more: that wait behind the one that asks */
    int64_t since_ms, until_ms;
} member;

static member a, b, c;

static inline void join(member *m, int limit)
{
    *m = (member){0};
    m->shared = ml_shared_new(dir, "https://acme.example", "reads", limit, &fake_clock,
                              &fake_log);
    assert_non_null(m->shared);
    ml_limiter_init(&m->l, limit);
}

static inline void quit(member *m)
{
    ml_shared_free(m->shared);
    m->shared = NULL;
}

static inline ml_limiter_word ask(member *m)
{
    ml_limiter_word word = ML_LIMITER_WAIT;
    int64_t since_ms = m->since_ms ? m->since_ms : now_ms;
    ml_shared_enter(m->shared, &m->l);
    if (!ml_shared_yields(m->shared, &m->l, since_ms))
        word = ml_limiter_ask(&m->l, now_ms, &m->epoch, &m->until_ms);
    m->waiting = (word == ML_LIMITER_WAIT) + m->more;
    ml_shared_leave(m->shared, &m->l, m->waiting, since_ms);
    m->since_ms = m->waiting ? since_ms : 0;
    return word;
}

static inline void tell(member *m, ml_heard heard, int server_ms)
{
    ml_shared_enter(m->shared, &m->l);
    ml_limiter_tell(&m->l, m->epoch, heard, server_ms, now_ms, 0);
    ml_shared_leave(m->shared, &m->l, m->waiting, m->since_ms);
}

static inline void look(member *m)
{
    ml_shared_enter(m->shared, &m->l);
    ml_shared_leave(m->shared, &m->l, m->waiting, m->since_ms);
}

static inline int go_many(member *m, int most)
{
    int n = 0;
    while (n < most && ask(m) == ML_LIMITER_GO) n++;
    return n;
}

static inline void give_up(member *m)
{
    m->waiting = 0;
    m->since_ms = 0;
    look(m);
}

/* Two of them; c joins when a test wants it. */
static inline int set_up(void **state)
{
    if (make_dir(state) != 0) return -1;
    join(&a, 100);
    join(&b, 100);
    return 0;
}

static inline int tear_down(void **state)
{
    quit(&a);
    quit(&b);
    return remove_dir(state);
}
