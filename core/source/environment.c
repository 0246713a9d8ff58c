/* environment.c - environment variables as a source: key = variable name, get and list.
 *
 * The environment itself cannot be scrubbed: whoever started the process put it there.
 */
#include "source/environment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
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

static ml_secret *make(const environment *v, ml_str key, const char *value)
{
    return ml_secret_new(&(ml_secret_fields){.has_value = value != NULL,
                                             .value = ml_str_of(value),
                                             .key = key,
                                             .source = ml_str_of(v->source.alias),
                                             .attributes.enabled = true});
}

static void get(environment *v, const ml_source_call *c, ml_op *op)
{
    char name[512];
    const char *value = NULL;
    if (check(&v->source, c->key, NULL, &op->err) < 0) return;
    if (c->key.n < sizeof(name)) {
        memcpy(name, c->key.p, c->key.n);
        name[c->key.n] = '\0';
        value = ml_env_get(v->env, name);
    }
    ml_trace_add(c->trace, "env", "%s", value ? "set" : "not set");
    if (!value) {
        ml_fail(&op->err, ML_EMISSING, "variable %.*s is not set", (int)c->key.n,
                c->key.p);
        return;
    }
    op->secret = make(v, c->key, value);
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
    for (size_t i = 0; i < l->op->list.n; i++) {
        if (ml_str_eq(ml_str_of(ml_secret_key(l->op->list.items[i])), name)) return;
    }
    l->failed = !ml_secrets_add(&l->op->list, make(l->v, name, NULL));
}

static void list(const environment *v, ml_op *op)
{
    listing l = {v, op, false};
    ml_env_each(v->env, add_name, &l);
    if (l.failed) ml_fail(&op->err, ML_ENOMEM, "out of memory");
}

static ml_op *start(ml_source *s, const ml_source_call *c, ml_op_done *done, void *arg)
{
    environment *v = (environment *)s;
    ml_op *op = ml_ready_new(v->loop, done, arg);
    if (!op) return NULL;
    snprintf(op->err.source, sizeof(op->err.source), "%s", s->alias);
    ml_copy_printable(op->err.key, sizeof(op->err.key), c->key.p, c->key.n);
    if (c->verb == ML_GET)
        get(v, c, op);
    else if (c->verb == ML_LIST)
        list(v, op);
    else
        ml_fail(&op->err, ML_EUSAGE, "the environment can only be read");
    ml_op_finish(op);
    return op;
}

static void free_environment(ml_source *s)
{
    free(s);
}

static const ml_source_kind kind = {"environment", false, check, start,
                                    free_environment};

ml_source *ml_environment_source_new(ml_loop *loop, const ml_env *env,
                                     const char *alias)
{
    environment *v = calloc(1, sizeof(*v));
    if (!v) return NULL;
    *v = (environment){.source = {.kind = &kind, .refs = 1}, .loop = loop, .env = env};
    snprintf(v->source.alias, sizeof(v->source.alias), "%s", alias);
    snprintf(v->source.label, sizeof(v->source.label), "environment variables");
    return &v->source;
}
