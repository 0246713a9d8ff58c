/* env.c - environment variables, with the host's own on top of the process's. */
#include "base/env.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/locked.h"
#include "base/mem.h"

int ml_env_init(ml_env *env, const ml_pair *pairs, size_t n, ml_err *e)
{
    *env = (ml_env){.pairs = n ? calloc(n, sizeof(*pairs)) : NULL};
    if (n && !env->pairs) return ml_fail(e, ML_ENOMEM, "out of memory");
    for (env->n = 0; env->n < n; env->n++) {
        ml_pair *copy = &env->pairs[env->n];
        copy->name = ml_dup(pairs[env->n].name);
        copy->value = pairs[env->n].value ? ml_locked_dup(pairs[env->n].value) : NULL;
        if (copy->name && copy->value) continue;
        env->n++;
        ml_env_fini(env);
        return ml_fail(e, ML_ENOMEM, "out of memory");
    }
    return 0;
}

void ml_env_fini(ml_env *env)
{
    for (size_t i = 0; i < env->n; i++) {
        char *value = (char *)(uintptr_t)env->pairs[i].value;
        free((char *)(uintptr_t)env->pairs[i].name);
        if (value) ml_locked_free(value, strlen(value) + 1);
    }
    free(env->pairs);
    *env = (ml_env){0};
}

const char *ml_env_get(const ml_env *env, const char *name)
{
    for (size_t i = env->n; i > 0; i--) { /* the last one given wins */
        if (strcmp(env->pairs[i - 1].name, name) == 0) return env->pairs[i - 1].value;
    }
    return getenv(name);
}

void ml_env_each(const ml_env *env, void (*fn)(void *arg, ml_str name), void *arg)
{
    for (size_t i = 0; i < env->n; i++) fn(arg, ml_str_of(env->pairs[i].name));
    for (char **at = environ; at && *at; at++) {
        ml_str line = ml_str_of(*at);
        fn(arg, (ml_str){line.p, ml_str_find(line, '=')});
    }
}
