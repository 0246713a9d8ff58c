/* env.h - environment variables, with the host's own on top of the process's. */
#pragma once
#include "base/str.h"
#include "moonlatch.h"

typedef struct ml_env {
    ml_pair *pairs; /* owned copies */
    size_t n;
} ml_env;

int ml_env_init(ml_env *env, const ml_pair *pairs, size_t n, ml_err *e);
void ml_env_fini(ml_env *env); /* scrubs the copies */
/* NULL when it is set nowhere.  An empty variable is "". */
const char *ml_env_get(const ml_env *env, const char *name);
/* Calls fn with every name that is set, the host's own first; a name may come twice. */
void ml_env_each(const ml_env *env, void (*fn)(void *arg, ml_str name), void *arg);
