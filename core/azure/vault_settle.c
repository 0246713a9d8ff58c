/* vault_settle.c - Key Vault operations that wait until the vault has settled.
 *
 * After a delete or recover the secret is in limbo for some seconds: a new set or purge
 * is refused with 409.
 *
 *   change --accepted--> delete, recover: look --seen, or not allowed to look--> done
 *     ^ | 409, busy                        ^ | not yet
 *     +-+ pause                            +-+ pause */
#include "azure/vault_settle.h"

#include <string.h>

#include "azure/vault_call.h"
#include "azure/vault_errors.h"
#include "base/err.h"
#include "base/mem.h"

typedef struct settling {
    ml_op op;
    ml_vault *vault;
    ml_vault_call call; /* owned copy */
    int64_t deadline_ms;
    ml_trace *trace;
    ml_op *child; /* NULL during a pause */
    ml_timer pause;
    int pauses;
    bool is_accepted; /* the change was; now we look for its end */
} settling;

static void ask(settling *s);

/* 500 ms, 1 s, then 2 s, each a quarter more or less. */
static int next_pause_ms(settling *s)
{
    int ms = s->pauses < 2 ? 500 << s->pauses : 2000;
    s->pauses++;
    return ms * 3 / 4 + (int)(ml_loop_random(s->op.loop) % (uint32_t)(ms / 2));
}

/* On a busy machine a pause may end behind the deadline: then the last refusal stands.
 */
static void on_pause(ml_timer *t, void *arg)
{
    (void)t;
    settling *s = arg;
    if (!s->is_accepted && ml_loop_now_ms(s->op.loop) >= s->deadline_ms)
        ml_op_finish(&s->op);
    else
        ask(s);
}

/* False when the deadline comes first. */
static bool pause_then_ask(settling *s, const char *why)
{
    int wait_ms = next_pause_ms(s);
    int64_t at_ms = ml_loop_now_ms(s->op.loop) + wait_ms;
    if (at_ms >= s->deadline_ms) return false;
    ml_trace_add(s->trace, "settle", "%s: again in %d ms", why, wait_ms);
    ml_timer_start(s->op.loop, &s->pause, at_ms, on_pause, s);
    return true;
}

static void finish_unseen(settling *s, const char *why)
{
    char what[256];
    ml_vault_describe(&s->call, s->vault->alias, what, sizeof(what));
    ml_logf(ml_loop_log(s->op.loop), ML_LOG_WARN, "vault",
            "%s: accepted, but its end was not seen (%s)", what, why);
    ml_op_finish(&s->op);
}

static bool is_busy(const ml_err *err)
{
    return err->http_status == 409 &&
           (strcmp(err->service_code, "ObjectIsBeingDeleted") == 0 ||
            strcmp(err->service_code, "ObjectIsBeingRecovered") == 0);
}

/* A vault without soft delete answers without a recovery id: nothing will be seen. */
static bool has_to_settle(const settling *s)
{
    if (s->call.op == ML_VAULT_RECOVER) return true;
    return s->call.op == ML_VAULT_DELETE && s->op.secret &&
           ml_secret_recovery_id(s->op.secret)[0];
}

static void on_change(settling *s, ml_op *child)
{
    ml_err_copy(&s->op.err, &child->err);
    if (is_busy(&child->err) && pause_then_ask(s, child->err.service_code)) return;
    s->op.secret = child->secret;
    child->secret = NULL;
    if (child->err.code || !has_to_settle(s)) {
        ml_op_finish(&s->op);
        return;
    }
    s->is_accepted = true;
    s->pauses = 0;
    ask(s);
}

static void on_look(settling *s, const ml_op *child)
{
    switch (child->err.code) {
    case 0:
    case ML_EDISABLED: /* seen, and that is all we want */
    case ML_EFORBIDDEN: ml_op_finish(&s->op); return;
    case ML_EMISSING:
        if (pause_then_ask(s, "not settled")) return;
        finish_unseen(s, "the deadline passed");
        return;
    default: finish_unseen(s, child->err.text);
    }
}

static void on_answer(ml_op *child, void *arg)
{
    settling *s = arg;
    s->child = NULL;
    if (s->op.is_canceled)
        ml_op_fail(&s->op, ML_ECANCELED, "canceled");
    else if (s->is_accepted)
        on_look(s, child);
    else
        on_change(s, child);
}

static void ask(settling *s)
{
    bool was_deleted = s->call.op == ML_VAULT_DELETE;
    ml_vault_call look = {.op = was_deleted ? ML_VAULT_GET_DELETED : ML_VAULT_GET,
                          .key = s->call.key};
    s->child = ml_vault_start(s->vault, s->is_accepted ? &look : &s->call,
                              s->deadline_ms, s->trace, on_answer, s);
    if (s->child) return;
    if (s->is_accepted)
        finish_unseen(s, "out of memory");
    else
        ml_op_fail(&s->op, ML_ENOMEM, "out of memory for a request");
}

static void cancel(ml_op *op)
{
    settling *s = (settling *)op;
    if (s->child) {
        ml_op_cancel(s->child); /* its done ends us */
        return;
    }
    ml_timer_stop(op->loop, &s->pause);
    op->err = (ml_err){0};
    ml_op_fail(op, ML_ECANCELED, "canceled");
}

static void destroy(ml_op *op)
{
    settling *s = (settling *)op;
    ml_vault_call_fini(&s->call);
    ml_op_fini(op);
    ml_free(s);
}

static bool is_change(ml_vault_op op)
{
    return op == ML_VAULT_SET || op == ML_VAULT_UPDATE || op == ML_VAULT_DELETE ||
           op == ML_VAULT_RECOVER || op == ML_VAULT_PURGE || op == ML_VAULT_BACKUP ||
           op == ML_VAULT_RESTORE;
}

ml_op *ml_vault_run(ml_vault *v, const ml_vault_call *call, int64_t deadline_ms,
                    ml_trace *trace, ml_op_done *done, void *arg)
{
    if (!is_change(call->op))
        return ml_vault_start(v, call, deadline_ms, trace, done, arg);
    settling *s = ml_op_alloc(sizeof(*s));
    if (!s) return NULL;
    if (!ml_vault_call_copy(&s->call, call)) {
        ml_free(s);
        return NULL;
    }
    ml_op_init(&s->op, v->azure->client->loop, cancel, destroy);
    s->op.done = done;
    s->op.arg = arg;
    s->vault = v;
    s->deadline_ms = deadline_ms;
    s->trace = trace;
    ask(s);
    return &s->op;
}
