/* kept_asker.c - flights that a coroutine answers for, and cycles among them.
 *
 * An asker that owns flights may itself wait for another one.  Following owner and wait
 * from flight to flight ends where nobody waits; if it comes back to who asks, all of
 * them would wait for ever. */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "source/flights.h"

bool ml_flight_look(ml_kept *c, const ml_kept_key *k, const ml_keep_call *how,
                    int64_t now_ms, ml_secret **secret, ml_err *e,
                    int64_t *fresh_until_ms)
{
    ml_entry *en = ml_kept_find(c, k);
    ml_kept_note_name(en, how->name);
    ml_kept_look a = ml_kept_look_at(c, en, how, now_ms);
    if (!a.answers) return false;
    ml_kept_note_keep(en, &how->keep);
    *fresh_until_ms = a.fresh_until_ms;
    *secret = a.failure ? NULL : ml_secret_ref(en->secret);
    if (a.failure) ml_err_copy(e, a.failure);
    return true;
}

static ml_flight *under_way(ml_kept *c, const ml_kept_key *k)
{
    ml_entry *en = ml_kept_find(c, k);
    return en ? en->flight : NULL;
}

static bool leads_to(const ml_flight *f, const ml_asker *asker)
{
    while (f && f->owner && f->owner != asker) f = f->owner->waits_for;
    return f && f->owner;
}

bool ml_flight_is_under_way(ml_kept *c, const ml_kept_key *k, const ml_keep_call *how,
                            int64_t now_ms)
{
    ml_flight *f = under_way(c, k);
    return f && (leads_to(f, how->asker) || !ml_flight_is_lost(f, now_ms));
}

/* ---- the one who answers ------------------------------------------------------------
 */

int ml_flight_begin(ml_kept *c, ml_loop *loop, const ml_kept_key *k, const char *alias,
                    const ml_keep_call *how, ml_flight **slot, ml_err *e)
{
    ml_flight *f = ml_flight_new(c, loop, k, alias, how);
    if (!f) return ml_fail(e, ML_ENOMEM, "out of memory");
    if (!ml_flight_enter(f)) {
        ml_flight_free(f);
        return ml_fail(e, ML_ENOMEM, "out of memory");
    }
    f->owner = how->asker;
    f->deadline_ms = how->asker->deadline_ms;
    f->owns_next = how->asker->owns;
    how->asker->owns = f;
    f->slot = slot;
    *slot = f;
    return 0;
}

static void disown(ml_flight *f)
{
    ml_flight **at = &f->owner->owns;
    while (*at != f) at = &(*at)->owns_next;
    *at = f->owns_next;
    *f->slot = NULL;
}

/* Those who still wait look again: the first of them begins another. */
static void let_others(ml_flight *f)
{
    ml_flight_settle(f, NULL, &(ml_err){.code = ML_ECANCELED}, ml_loop_now_ms(f->loop),
                     0);
    ml_flight_tell_all(f, NULL, &(ml_err){0}, NULL, 0, 0);
    ml_flight_free(f);
}

int64_t ml_flight_end(ml_flight *f, ml_secret *secret, const ml_err *e)
{
    int64_t now_ms = ml_loop_now_ms(f->loop);
    int64_t rest_ms = ml_flight_rest_ms(f, e);
    int64_t holds_ms = ml_fresh_until(&f->keep, e->code, now_ms, now_ms + rest_ms);
    disown(f);
    if (ml_flight_tell_late(f, e, now_ms, rest_ms)) {
        let_others(f);
        return holds_ms;
    }
    ml_flight_settle(f, secret, e, now_ms, rest_ms);
    ml_flight_tell_all(f, NULL, e, secret, now_ms, rest_ms);
    ml_flight_free(f);
    return holds_ms;
}

void ml_flight_abandon(ml_flight *f)
{
    disown(f);
    let_others(f);
}

/* ---- those who wait
 * ------------------------------------------------------------------- */

typedef struct chain {
    char text[300];
    size_t n;
} chain;

static void add(chain *c, const ml_flight *f)
{
    char key[sizeof(((ml_err *)0)->key)];
    if (c->n >= sizeof(c->text) - 1) return;
    ml_copy_printable(key, sizeof(key), f->key.key.p, f->key.key.n);
    int n = snprintf(c->text + c->n, sizeof(c->text) - c->n, "%s%s:%s",
                     c->n ? " -> " : "", f->alias, key);
    c->n += n > 0 ? (size_t)n : 0;
}

/* first, then what its owner began after it, in the order of beginning. */
static void add_owned(chain *c, const ml_flight *first)
{
    const ml_flight *f = first, *newer;
    add(c, f);
    for (; f != first->owner->owns; f = newer) {
        newer = first->owner->owns;
        while (newer->owns_next != f) newer = newer->owns_next;
        add(c, newer);
    }
}

static void fail_cycle(const ml_flight *first, const ml_asker *asker, ml_err *e)
{
    chain c = {0};
    for (const ml_flight *f = first; f; f = f->owner->waits_for) {
        add_owned(&c, f);
        if (f->owner == asker) break;
    }
    add(&c, first);
    snprintf(e->source, sizeof(e->source), "%s", first->alias);
    ml_copy_printable(e->key, sizeof(e->key), first->key.key.p, first->key.key.n);
    ml_fail(e, ML_EPOLICY, "a source waits for itself: %s", c.text);
}

ml_op *ml_flight_wait(ml_kept *c, const ml_kept_key *k, const ml_keep_call *how,
                      int64_t deadline_ms, ml_op_done *done, void *arg, ml_err *e)
{
    ml_flight *f = under_way(c, k);
    if (!f) {
        ml_fail(e, ML_EUSAGE, "nothing is under way for this key");
        return NULL;
    }
    if (leads_to(f, how->asker)) {
        fail_cycle(f, how->asker, e);
        return NULL;
    }
    ml_waiter *w = ml_flight_join(f, how, deadline_ms, NULL, done, arg);
    if (!w) ml_fail(e, ML_ENOMEM, "out of memory");
    return w ? &w->op : NULL;
}
