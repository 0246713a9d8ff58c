/* hosted.c - sources that the host of the library supplies. */
#include "source/hosted.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "source/ready.h"

typedef struct supplied supplied; /* one source of the host */
struct supplied {
    supplied *next;
    char *name;
    ml_source_ops ops;
    void *arg;
};

struct ml_hosted {
    atomic_int refs; /* the resolver, its sources, fetches */
    pid_t pid;
    pthread_mutex_t lock; /* of the two below */
    ml_loop *loop;        /* NULL: closed */
    ml_fetch *inbox;      /* done, not collected */
    supplied *all;
    ml_fetch *due_first, *due_last;
};

typedef struct hosted_op {
    ml_op op;
    ml_timer late;
    ml_fetch *fetch; /* NULL once it has ended */
} hosted_op;

struct ml_fetch {
    atomic_int refs; /* op, due list, inbox, host */
    ml_hosted *hosted;
    supplied *by;
    hosted_op *op; /* NULL: nobody waits any more */
    ml_verb verb;
    char *key, *version, *alias;
    bool is_handed; /* the host has it */
    bool is_due;    /* in the due list */
    bool is_cancel; /* what ml_hosted_next found to be due */
    atomic_bool is_done;
    ml_fetch *next_due, *next_done;
    ml_err err; /* what the host brought */
    ml_secret *secret;
    ml_secrets list;
};

/* ---- who holds what
 * ------------------------------------------------------------------ */

ml_hosted *ml_hosted_new(ml_loop *loop)
{
    ml_hosted *h = ml_calloc(1, sizeof(*h));
    if (!h) return NULL;
    atomic_init(&h->refs, 1);
    h->pid = getpid();
    h->loop = loop;
    pthread_mutex_init(&h->lock, NULL);
    return h;
}

static void unref_hosted(ml_hosted *h)
{
    if (atomic_fetch_sub(&h->refs, 1) != 1) return;
    while (h->all) {
        supplied *s = h->all;
        h->all = s->next;
        ml_free(s->name);
        ml_free(s);
    }
    pthread_mutex_destroy(&h->lock);
    ml_free(h);
}

static ml_fetch *ref(ml_fetch *f)
{
    atomic_fetch_add(&f->refs, 1);
    return f;
}

static void unref(ml_fetch *f)
{
    if (atomic_fetch_sub(&f->refs, 1) != 1) return;
    ml_secret_unref(f->secret);
    ml_secrets_fini(&f->list);
    unref_hosted(f->hosted);
    ml_free(f->key);
    ml_free(f->version);
    ml_free(f->alias);
    ml_free(f);
}

void ml_hosted_close(ml_hosted *h)
{
    if (!h) return;
    pthread_mutex_lock(&h->lock);
    ml_fetch *f = h->inbox;
    h->inbox = NULL;
    h->loop = NULL;
    pthread_mutex_unlock(&h->lock);
    while (f) {
        ml_fetch *next = f->next_done;
        unref(f);
        f = next;
    }
    unref_hosted(h);
}

static supplied *find(const ml_hosted *h, const char *name)
{
    supplied *s = h->all;
    while (s && strcmp(s->name, name) != 0) s = s->next;
    return s;
}

int ml_hosted_add(ml_hosted *h, const char *name, const ml_source_ops *ops, void *arg,
                  ml_err *e)
{
    if (find(h, name)) {
        return ml_fail(e, ML_EUSAGE, "a source \"%.100s\" was added already", name);
    }
    supplied *s = ml_calloc(1, sizeof(*s));
    char *copy = ml_dup(name);
    if (!s || !copy) {
        ml_free(s);
        ml_free(copy);
        return ml_fail(e, ML_ENOMEM, "out of memory");
    }
    *s = (supplied){.next = h->all, .name = copy, .ops = *ops, .arg = arg};
    h->all = s;
    return 0;
}

/* ---- calls of the host's functions
 * ------------------------------------------------------ */

static void make_due(ml_fetch *f)
{
    ml_hosted *h = f->hosted;
    if (f->is_due) return;
    f->is_due = true;
    f->next_due = NULL;
    ref(f);
    if (h->due_last)
        h->due_last->next_due = f;
    else
        h->due_first = f;
    h->due_last = f;
}

ml_fetch *ml_hosted_next(ml_hosted *h)
{
    ml_fetch *f;
    while ((f = h->due_first)) {
        h->due_first = f->next_due;
        if (!h->due_first) h->due_last = NULL;
        f->is_due = false;
        f->is_cancel = f->is_handed;
        bool is_idle = f->is_handed ? atomic_load(&f->is_done) : !f->op;
        if (!is_idle) {
            if (!f->is_handed) ref(f); /* until its ml_fetch_done */
            f->is_handed = true;
            return f;
        }
        unref(f); /* taken back before it was begun, or done before it was canceled */
    }
    return NULL;
}

void ml_hosted_call(ml_fetch *f)
{
    const supplied *by = f->by;
    if (f->is_cancel) {
        if (by->ops.cancel) by->ops.cancel(f, by->arg);
    } else if (f->verb == ML_LIST) {
        by->ops.list(f, by->arg);
    } else {
        by->ops.get(f, f->key, f->version, by->arg);
    }
    unref(f);
}

/* ---- what the host brings
 * ----------------------------------------------------------------- */

static bool is_outcome(int code)
{
    return (code <= ML_EMISSING && code >= ML_EINVALID) || code == ML_EUSAGE;
}

static void take_failure(ml_fetch *f, const ml_fetched *got)
{
    char text[sizeof(f->err.text)] = "";
    if (got->text) ml_copy_printable(text, sizeof(text), got->text, strlen(got->text));
    if (!is_outcome(got->code)) {
        ml_fail(&f->err, ML_EINVALID, "source \"%.60s\" ended with code %d, no outcome",
                f->by->name, got->code);
    } else {
        ml_fail(&f->err, got->code, "source \"%.60s\": %.300s", f->by->name,
                *text ? text : ml_strerror(got->code));
    }
}

static ml_secret *secret_of(const ml_fetch *f, const ml_fetched *got, const char *key,
                            bool has_value)
{
    return ml_secret_new(
        &(ml_secret_fields){.has_value = has_value,
                            .value = {got->value ? got->value : "", got->value_len},
                            .key = ml_str_of(key),
                            .source = ml_str_of(f->alias),
                            .version = ml_str_of(got->version),
                            .content_type = ml_str_of(got->content_type),
                            .attributes.enabled = true});
}

static void take_names(ml_fetch *f, const ml_fetched *got)
{
    ml_fetched name_only = {.size = sizeof(name_only)};
    for (size_t i = 0; i < got->n_keys; i++) {
        ml_secret *s = secret_of(f, &name_only, got->keys[i], false);
        if (ml_secrets_add(&f->list, s)) continue;
        ml_fail(&f->err, ML_ENOMEM, "out of memory");
        return;
    }
    ml_source_sort(&f->list);
}

/* Numbers without what they count. */
static bool is_broken(const ml_fetched *got, bool is_list)
{
    if (!is_list) return got->value_len && !got->value;
    for (size_t i = 0; i < got->n_keys; i++) {
        if (!got->keys || !got->keys[i]) return true;
    }
    return false;
}

static void take(ml_fetch *f, const ml_fetched *given)
{
    ml_fetched got = {.code = ML_EINVALID, .text = "no ML_FETCHED_INIT"};
    if (given && given->size >= sizeof(size_t) && given->size <= sizeof(got)) {
        got = (ml_fetched){0};
        memcpy(&got, given, given->size);
    }
    if (got.code != ML_OK) {
        take_failure(f, &got);
    } else if (is_broken(&got, f->verb == ML_LIST)) {
        got.text = "what it brought is incomplete: a value or a key is NULL";
        got.code = ML_EINVALID;
        take_failure(f, &got);
    } else if (f->verb == ML_LIST) {
        take_names(f, &got);
    } else {
        f->secret = secret_of(f, &got, f->key, true);
        if (!f->secret) ml_fail(&f->err, ML_ENOMEM, "out of memory");
    }
}

void ml_fetch_done(ml_fetch *f, const ml_fetched *got)
{
    ml_hosted *h = f->hosted;
    if (getpid() != h->pid) return; /* a forked child: all this is the parent's */
    if (atomic_exchange(&f->is_done, true)) return;
    take(f, got);
    pthread_mutex_lock(&h->lock);
    if (h->loop) {
        f->next_done = h->inbox;
        h->inbox = ref(f);
        ml_loop_wake(h->loop);
    }
    pthread_mutex_unlock(&h->lock);
    unref(f);
}

/* ---- the op
 * --------------------------------------------------------------------------------- */

/* Nobody waits for the fetch any more. */
static void part(hosted_op *o)
{
    ml_fetch *f = o->fetch;
    ml_timer_stop(o->op.loop, &o->late);
    o->fetch = NULL;
    f->op = NULL;
    unref(f);
}

/* The same before the host is done with it. */
static void abandon(hosted_op *o)
{
    if (o->fetch->is_handed) make_due(o->fetch);
    part(o);
}

static void cancel(ml_op *op)
{
    abandon((hosted_op *)op);
    ml_op_fail(op, ML_ECANCELED, "canceled");
}

static void destroy(ml_op *op)
{
    ml_op_fini(op);
    ml_free(op);
}

static void on_late(ml_timer *t, void *arg)
{
    (void)t;
    hosted_op *o = arg;
    const char *name = o->fetch->by->name;
    ml_fail(&o->op.err, ML_EUNAVAILABLE,
            "source \"%.60s\" of the host did not answer in time", name);
    abandon(o);
    ml_op_finish(&o->op);
}

/* Names stay as ml_source_name_op has written them. */
static void end(hosted_op *o)
{
    ml_fetch *f = o->fetch;
    if (f->err.code) ml_fail(&o->op.err, f->err.code, "%s", f->err.text);
    o->op.secret = f->secret;
    o->op.list = f->list;
    f->secret = NULL;
    f->list = (ml_secrets){0};
    part(o);
    ml_op_finish(&o->op);
}

bool ml_hosted_collect(ml_hosted *h)
{
    pthread_mutex_lock(&h->lock);
    ml_fetch *f = h->inbox;
    h->inbox = NULL;
    pthread_mutex_unlock(&h->lock);
    bool any = false;
    while (f) {
        ml_fetch *next = f->next_done;
        any = any || f->op;
        if (f->op) end(f->op);
        unref(f);
        f = next;
    }
    return any;
}

/* ---- the source
 * ------------------------------------------------------------------------------ */

typedef struct hosted_source {
    ml_source source;
    ml_hosted *hosted;
    ml_loop *loop;
    char *name;
} hosted_source;

static int check(const ml_source *s, ml_str key, ml_secret *value, ml_err *e)
{
    (void)s;
    (void)value;
    if (key.n && ml_str_find(key, '\0') == key.n) return 0;
    return ml_fail(e, ML_EUSAGE, "a key cannot be empty or hold a NUL byte");
}

static ml_fetch *new_fetch(hosted_source *s, supplied *by, const ml_source_call *c)
{
    ml_fetch *f = ml_calloc(1, sizeof(*f));
    if (!f) return NULL;
    atomic_init(&f->refs, 1);
    atomic_init(&f->is_done, false);
    atomic_fetch_add(&s->hosted->refs, 1);
    f->hosted = s->hosted;
    f->by = by;
    f->verb = c->verb;
    f->key = ml_dup_n(c->key.p, c->key.n);
    f->version = ml_dup_n(c->version.p, c->version.n);
    f->alias = ml_dup(s->source.alias);
    if (f->key && f->version && f->alias) return f;
    unref(f);
    return NULL;
}

static ml_op *start_fetch(hosted_source *s, supplied *by, const ml_source_call *c,
                          ml_op_done *done, void *arg)
{
    hosted_op *o = ml_op_alloc(sizeof(*o));
    ml_fetch *f = new_fetch(s, by, c);
    if (!o || !f) {
        ml_free(o);
        if (f) unref(f);
        return NULL;
    }
    ml_op_init(&o->op, s->loop, cancel, destroy);
    o->op.done = done;
    o->op.arg = arg;
    ml_source_name_op(&s->source, c->key, &o->op);
    o->fetch = f;
    f->op = o;
    ml_timer_start(s->loop, &o->late, c->deadline_ms, on_late, o);
    make_due(f);
    return &o->op;
}

/* What ends before the host is asked. */
static void refuse(ml_source *source, const ml_source_call *c, ml_op *op)
{
    const hosted_source *s = (const hosted_source *)source;
    if (!find(s->hosted, s->name)) {
        ml_fail(&op->err, ML_EPOLICY,
                "the host has no source \"%.60s\": it must call ml_add_source(r, "
                "\"%.60s\", ...) before the first call",
                s->name, s->name);
    } else if (c->verb == ML_LIST) {
        ml_fail(&op->err, ML_EUSAGE, "%s cannot be listed", source->label);
    } else {
        check(source, c->key, NULL, &op->err);
    }
}

static ml_op *start(ml_source *source, const ml_source_call *c, ml_op_done *done,
                    void *arg)
{
    hosted_source *s = (hosted_source *)source;
    supplied *by = find(s->hosted, s->name);
    bool is_get = c->verb == ML_GET && check(source, c->key, NULL, NULL) == 0;
    bool is_list = c->verb == ML_LIST && by && by->ops.list;
    if (by && (is_get || is_list)) return start_fetch(s, by, c, done, arg);
    return ml_ready_start(s->loop, source, c, refuse, done, arg);
}

static void free_source(ml_source *source)
{
    hosted_source *s = (hosted_source *)source;
    unref_hosted(s->hosted);
    ml_free(s->name);
    ml_free(s);
}

static const ml_source_kind kind = {"host", false, check, start, free_source};

ml_source *ml_hosted_source_new(ml_hosted *h, const char *alias, const char *name)
{
    hosted_source *s = ml_calloc(1, sizeof(*s));
    char *copy = ml_dup(name);
    if (!s || !copy) {
        ml_free(s);
        ml_free(copy);
        return NULL;
    }
    *s = (hosted_source){.source = {.kind = &kind, .refs = 1},
                         .hosted = h,
                         .loop = h->loop,
                         .name = copy};
    atomic_fetch_add(&h->refs, 1);
    snprintf(s->source.alias, sizeof(s->source.alias), "%s", alias);
    snprintf(s->source.label, sizeof(s->source.label), "source \"%.200s\" of the host",
             name);
    return &s->source;
}
