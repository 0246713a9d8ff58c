/* policy.c - which policy a handle has: kept from its options, loaded, loaded again. */
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "resolver.h"

/* ---- kept ---------------------------------------------------------------------- */

int ml_policy_keep(ml_resolver *r, const ml_options *o, ml_err *e)
{
    if (!o->policy_file == !o->policy_text) {
        return ml_fail(e, ML_EUSAGE, "give one of policy_file and policy_text");
    }
    const char *name = o->policy_name ? o->policy_name : "policy";
    r->policy_name = ml_dup(o->policy_file ? o->policy_file : name);
    if (o->policy_file)
        r->policy_path = ml_path_absolute(o->policy_file);
    else
        r->policy_text = ml_dup(o->policy_text);
    if (r->policy_name && (r->policy_path || r->policy_text)) return 0;
    return ml_fail(e, ML_ENOMEM, "out of memory");
}

void ml_policy_forget(ml_resolver *r)
{
    ml_free(r->policy_name);
    ml_free(r->policy_path);
    if (r->policy_text) ml_scrub_free(r->policy_text, strlen(r->policy_text));
}

int ml_policy_load(ml_resolver *r, bool runs_tests, ml_err *e)
{
    ml_policy_from from = {.text = ml_str_of(r->policy_text),
                           .name = r->policy_name,
                           .path = r->policy_path,
                           .runs_tests = runs_tests};
    return ml_vm_load_from(r->vm, &from, e);
}

/* ---- loaded again -------------------------------------------------------------- */

/* One line for one problem, however often somebody tries. */
static void log_once(ml_resolver *r, const ml_err *e)
{
    if (strcmp(r->reload_problem, e->text) == 0) return;
    memcpy(r->reload_problem, e->text, sizeof(r->reload_problem));
    ml_logf(&r->log, ML_LOG_ERROR, "policy", "the policy before stays: %s", e->text);
}

int ml_policy_reload(ml_resolver *r, ml_err *e)
{
    int rc = ml_policy_load(r, true, e);
    if (rc < 0) {
        r->meter.counts.reload_failures++;
        log_once(r, e);
        return rc;
    }
    r->meter.counts.reloads++;
    r->reload_problem[0] = '\0';
    r->policy_generation++;
    ml_request_note_change(r);
    ml_logf(&r->log, ML_LOG_INFO, "policy", "%s: loaded again", r->policy_name);
    return 0;
}
