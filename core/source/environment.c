/* environment.c - environment variables as a source: key = variable name, get and list.
 *
 * The environment itself cannot be scrubbed: whoever started the process put it there.
 */
#include "source/environment.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "source/ready.h"

typedef struct environment {
    ml_source source;
    ml_loop *loop;
    const ml_env *env;
} environment;

static int check(const ml_source *s, ml_str key, ml_secret *value, ml_err *e)
{
    (void)s;
    (void)value; /* nothing is written here */
    if (key.n == 0) return ml_fail(e, ML_EUSAGE, "a variable name cannot be empty");
    if (ml_str_find(key, '=') < key.n || ml_str_find(key, '\0') < key.n) {
        return ml_fail(e, ML_EUSAGE, "a variable name cannot hold '=' or NUL");
    }
    return 0;
}

static void get(environment *v, const ml_source_call *c, ml_op *op)
{
    if (check(&v->source, c->key, NULL, &op->err) < 0) return;
    char *name = ml_dup_n(c->key.p, c->key.n);
    if (!name) {
        ml_fail(&op->err, ML_ENOMEM, "out of memory");
        return;
    }
    const char *value = ml_env_get(v->env, name);
    ml_free(name);
    ml_trace_add(c->trace, "env", "%s", value ? "set" : "not set");
    if (!value) {
        ml_fail(&op->err, ML_EMISSING, "variable %.*s is not set", (int)c->key.n,
                c->key.p);
        return;
    }
    ml_str found = ml_str_of(value);
    op->secret = ml_source_secret(&v->source, c->key, &found);
    if (!op->secret) ml_fail(&op->err, ML_ENOMEM, "out of memory");
}

typedef struct listing {
    const environment *v;
    ml_op *op;
    bool failed;
} listing;

static void add_name(void *arg, ml_str name)
{
    listing *l = arg;
    if (name.n == 0 || l->failed) return;
    ml_secret *secret = ml_source_secret(&l->v->source, name, NULL);
    l->failed = !ml_secrets_add(&l->op->list, secret);
}

static void list(const environment *v, ml_op *op)
{
    listing l = {v, op, false};
    ml_env_each(v->env, add_name, &l);
    if (l.failed) ml_fail(&op->err, ML_ENOMEM, "out of memory");
    ml_source_sort(&op->list);
}

static void get_or_list(ml_source *s, const ml_source_call *c, ml_op *op)
{
    environment *v = (environment *)s;
    if (c->verb == ML_GET)
        get(v, c, op);
    else
        list(v, op);
}

static ml_op *start(ml_source *s, const ml_source_call *c, ml_op_done *done, void *arg)
{
    return ml_ready_start(((environment *)s)->loop, s, c, get_or_list, done, arg);
}

static void free_environment(ml_source *s)
{
    ml_free(s);
}

static const ml_source_kind kind = {"environment", false, check, start,
                                    free_environment};

ml_source *ml_environment_source_new(ml_loop *loop, const ml_env *env,
                                     const char *alias)
{
    environment *v = ml_calloc(1, sizeof(*v));
    if (!v) return NULL;
    *v = (environment){.source = {.kind = &kind, .refs = 1}, .loop = loop, .env = env};
    snprintf(v->source.alias, sizeof(v->source.alias), "%s", alias);
    snprintf(v->source.label, sizeof(v->source.label), "environment variables");
    return &v->source;
}
