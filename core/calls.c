/* calls.c - the calls by name, each one line over ml_run or ml_start. */
#include "base/err.h"
#include "resolver.h"

const char *ml_version(void)
{
    return ML_VERSION;
}

int ml_get(ml_resolver *r, const char *name, const ml_pair *context, size_t n_context,
           ml_secret **out, ml_err *e)
{
    ml_call full, call = {ML_CALL_INIT, .verb = ML_GET, .name = name,
                          .context = context, .n_context = n_context};
    ml_secret *secret = NULL;
    if (e) ml_err_init(e); /* not all of it: a hit is nearly as short as that */
    int rc = ml_resolver_check_alive(r, e);
    if (rc == 0) rc = ml_call_widen(&call, &full, e);
    if (rc == 0) rc = ml_resolver_get(r, &full, &secret, e);
    if (rc == 0 && !secret)
        rc = ml_fail(e, ML_EINVALID, "the policy gave no secret for %.100s", name);
    if (rc < 0) return rc;
    *out = secret;
    return 0;
}

ml_request *ml_get_start(ml_resolver *r, const char *name, const ml_pair *context,
                         size_t n_context, ml_done *done, void *arg, ml_err *e)
{
    return ml_start(r,
                    &(ml_call){ML_CALL_INIT, .verb = ML_GET, .name = name,
                               .context = context, .n_context = n_context},
                    done, arg, e);
}

int ml_list(ml_resolver *r, const char *pattern, const ml_pair *context,
            size_t n_context, ml_answer **out, ml_err *e)
{
    return ml_run(r,
                  &(ml_call){ML_CALL_INIT, .verb = ML_LIST, .name = pattern,
                             .context = context, .n_context = n_context},
                  out, e);
}

static int run_quietly(ml_resolver *r, const ml_call *call, ml_err *e)
{
    ml_answer *answer = NULL;
    int rc = ml_run(r, call, &answer, e);
    ml_answer_free(answer);
    return rc;
}

int ml_put(ml_resolver *r, const char *name, const void *value, size_t len,
           const ml_pair *context, size_t n_context, ml_err *e)
{
    return run_quietly(r,
                       &(ml_call){ML_CALL_INIT, .verb = ML_PUT, .name = name,
                                  .value = value, .value_len = len, .context = context,
                                  .n_context = n_context},
                       e);
}

int ml_delete(ml_resolver *r, const char *name, const ml_pair *context,
              size_t n_context, ml_err *e)
{
    return run_quietly(r,
                       &(ml_call){ML_CALL_INIT, .verb = ML_DELETE, .name = name,
                                  .context = context, .n_context = n_context},
                       e);
}

int ml_explain(ml_resolver *r, const char *name, const ml_pair *context,
               size_t n_context, ml_answer **out, ml_err *e)
{
    return ml_run(r,
                  &(ml_call){ML_CALL_INIT, .verb = ML_EXPLAIN, .name = name,
                             .context = context, .n_context = n_context},
                  out, e);
}
