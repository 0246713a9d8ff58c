/* vault_ops.c - set, get, update, delete, and the life of deleted secrets. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "devvault/bundle.h"

enum { DAY_S = 24 * 3600, LIMBO_MS = 200 };

int64_t ml_dv_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

bool ml_dv_is_busy(const ml_dv_record *r)
{
    return r->busy_until_ms > ml_dv_now_ms();
}

bool ml_dv_not_found(ml_dv_call *c, bool deleted)
{
    if (deleted) {
        return ml_dv_refuse(c->x, 404, "SecretNotFound", NULL,
                            "Deleted Secret not found: %s", c->name);
    }
    return ml_dv_refuse(
        c->x, 404, "SecretNotFound", NULL,
        "A secret with (name/id) %s%s%s was not found in this key vault. If you "
        "recently deleted this secret, you may be able to recover it.",
        c->name, c->version[0] ? "/" : "", c->version);
}

/* 0, or ML_EMISSING; a broken store has been answered: ML_ESYSTEM. */
static int find(ml_dv_call *c, const char *version)
{
    ml_err e = {0};
    int rc =
        ml_dv_store_find(c->x->dv->store, c->x->vault, c->name, version, &c->r, &e);
    if (rc == 0 || rc == ML_EMISSING) return rc;
    ml_dv_broken(c->x, &e);
    return ML_ESYSTEM;
}

bool ml_dv_load(ml_dv_call *c, const char *version)
{
    int rc = find(c, version);
    if (rc == ML_ESYSTEM) return false;
    bool is_there = rc == 0 && !c->r.deleted && !ml_dv_is_busy(&c->r);
    return is_there || ml_dv_not_found(c, false);
}

static bool load_deleted(ml_dv_call *c)
{
    int rc = find(c, NULL);
    if (rc == ML_ESYSTEM) return false;
    return (rc == 0 && c->r.deleted) || ml_dv_not_found(c, true);
}

bool ml_dv_refuse_if_taken(ml_dv_call *c)
{
    const ml_dv_record *r = &c->r;
    if (ml_dv_is_busy(r)) {
        return ml_dv_refuse(c->x, 409, "Conflict",
                            r->deleted ? "ObjectIsBeingDeleted"
                                       : "ObjectIsBeingRecovered",
                            "Secret %s is currently being %s. Try again later.",
                            r->name, r->deleted ? "deleted" : "restored");
    }
    if (!r->deleted) return true;
    return ml_dv_refuse(
        c->x, 409, "Conflict", "ObjectIsDeletedButRecoverable",
        "Secret %s is currently in a deleted but recoverable state, and its "
        "name cannot be reused; in this state, the secret can only be recovered "
        "or purged.",
        r->name);
}

/* Reads the request's body over c->r. */
static bool read_body(ml_dv_call *c, bool *has_value)
{
    ml_json j;
    ml_json_init(&j, ml_buf_str(&c->x->body));
    const char *wrong = ml_dv_read_parameters(&j, &c->r, has_value);
    if (!wrong && !ml_json_end(&j)) wrong = "The request body is not well-formed JSON";
    return !wrong || ml_dv_refuse(c->x, 400, "BadParameter", NULL, "%s.", wrong);
}

static void answer(ml_dv_call *c, int flags)
{
    ml_buf_clear(&c->x->out);
    ml_dv_write_bundle(c, &c->r, flags);
    ml_dv_answer(c->x, 200);
}

/* Stores c->r as the newest version of c->name. */
static bool add_version(ml_dv_call *c)
{
    ml_dv_store *s = c->x->dv->store;
    ml_err e = {0};
    snprintf(c->r.name, sizeof(c->r.name), "%s", c->name);
    ml_dv_random_hex(c->r.version, 16);
    c->r.created = c->r.updated = ml_dv_now_s();
    bool ok = ml_dv_store_begin(s) && ml_dv_store_add(s, c->x->vault, &c->r, &e) == 0;
    ok = ml_dv_store_end(s, ok) && ok;
    if (ok && ml_dv_store_find(s, c->x->vault, c->name, NULL, &c->r, &e) == 0)
        return true;
    return ml_dv_broken(c->x, &e);
}

void ml_dv_op_set(ml_dv_call *c)
{
    int rc = find(c, NULL);
    if (rc == ML_ESYSTEM || (rc == 0 && !ml_dv_refuse_if_taken(c))) return;
    ml_dv_record_fini(&c->r); /* a new version starts from nothing */
    ml_dv_record_init(&c->r);
    bool has_value = false;
    if (!read_body(c, &has_value)) return;
    if (!has_value) {
        ml_dv_refuse(c->x, 400, "BadParameter", NULL,
                     "The request body must contain value.");
        return;
    }
    if (add_version(c)) answer(c, ML_DV_WITH_VALUE);
}

/* Conversions are for secrets that back a certificate; there are none here. */
static bool check_conversion(ml_dv_call *c)
{
    ml_buf b;
    ml_buf_init(&b, 0);
    bool asked = c->is_new_api && ml_dv_query(c->x, "outContentType", &b) && b.len > 0;
    bool same = asked && ml_str_eq(ml_buf_str(&b), ml_buf_str(&c->r.content_type));
    ml_buf_fini(&b);
    if (!asked || same) return true;
    return ml_dv_refuse(
        c->x, 400, "BadParameter", NULL,
        "outContentType is only supported for secrets of certificates.");
}

void ml_dv_op_get(ml_dv_call *c)
{
    if (!ml_dv_load(c, c->version)) return;
    if (ml_dv_is_disabled(c, &c->r)) {
        ml_dv_refuse(c->x, 403, "Forbidden", "SecretDisabled",
                     "Operation get is not allowed on a disabled secret.");
        return;
    }
    if (check_conversion(c)) answer(c, ML_DV_WITH_VALUE);
}

void ml_dv_op_update(ml_dv_call *c)
{
    bool has_value = false;
    ml_err e = {0};
    if (!ml_dv_load(c, c->version) || !read_body(c, &has_value)) return;
    c->r.updated = ml_dv_now_s();
    if (ml_dv_store_update(c->x->dv->store, &c->r, &e) != 0)
        ml_dv_broken(c->x, &e);
    else
        answer(c, 0);
}

/* Moves c->r between the living and the deleted; that takes a while, as it does there.
 */
static bool move(ml_dv_call *c, bool to_deleted)
{
    ml_err e = {0};
    ml_dv_fault *limbo =
        ml_dv_faults_of(&c->x->dv->faults, ML_DV_LIMBO, false, c->x->op);
    c->r.deleted = to_deleted ? ml_dv_now_s() : 0;
    c->r.purge =
        to_deleted ? c->r.deleted + (int64_t)ML_DV_RECOVERABLE_DAYS * DAY_S : 0;
    c->r.busy_until_ms = ml_dv_now_ms() + (limbo ? limbo->number : LIMBO_MS);
    if (ml_dv_store_set_state(c->x->dv->store, &c->r, &e) == 0) return true;
    return ml_dv_broken(c->x, &e);
}

void ml_dv_op_delete(ml_dv_call *c)
{
    if (ml_dv_load(c, NULL) && move(c, true)) answer(c, ML_DV_AS_DELETED);
}

void ml_dv_op_get_deleted(ml_dv_call *c)
{
    if (!load_deleted(c)) return;
    if (ml_dv_is_busy(&c->r))
        ml_dv_not_found(c, true);
    else
        answer(c, ML_DV_AS_DELETED);
}

void ml_dv_op_purge(ml_dv_call *c)
{
    ml_err e = {0};
    if (!load_deleted(c)) return;
    if (ml_dv_is_busy(&c->r)) {
        ml_dv_refuse_if_taken(c);
    } else if (ml_dv_store_purge(c->x->dv->store, &c->r, &e) != 0) {
        ml_dv_broken(c->x, &e);
    } else {
        ml_dv_answer(c->x, 204);
    }
}

void ml_dv_op_recover(ml_dv_call *c)
{
    if (!load_deleted(c)) return;
    if (ml_dv_is_busy(&c->r))
        ml_dv_refuse_if_taken(c);
    else if (move(c, false))
        answer(c, 0);
}
