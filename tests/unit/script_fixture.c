/* script_fixture.c - a VM with a clock, sources and an engine that tests command. */
#include "script_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "source/environment.h"
#include "source/key_vault.h"

asked fake_asked;
static ml_loop
    *loop_of_all; /* the last fixture's, for sources that are not given one */

/* ---- the engine ---------------------------------------------------------------- */

static const char engine[] =
    "local core = require 'moonlatch.core'\n"
    "local M = {}\n"
    "function M.load(text, chunkname)\n"
    "  local env = setmetatable({core = core}, {__index = _G})\n"
    "  local chunk, message = load(text, '@' .. chunkname, 't', env)\n"
    "  if not chunk then error({code = 'policy', text = message}, 0) end\n"
    "  local fine, value = core.limited(chunk)\n"
    "  if not fine then error(value, 0) end\n"
    "  return value\n"
    "end\n"
    "local function results(fine, ...)\n"
    "  if not fine then error((...), 0) end\n"
    "  return ...\n"
    "end\n"
    "function M.run(policy, call) return results(core.limited(policy, call)) end\n"
    "return M\n";
static const char twice[] = "count = (count or 0) + 1 return {count = count}";
static const char knot[] = "return require 'moonlatch.knot'";

static const ml_embedded modules[] = {
    {"moonlatch.engine", engine, sizeof(engine) - 1, NULL, NULL, 0},
    {"moonlatch.knot", knot, sizeof(knot) - 1, NULL, NULL, 0},
    {"moonlatch.twice", twice, sizeof(twice) - 1, NULL, NULL, 0},
};

static const ml_embedded *find(const char *name)
{
    const ml_embedded *m =
        ml_embedded_in(modules, sizeof(modules) / sizeof(modules[0]), name);
    return m ? m : ml_embedded_find(name);
}

/* ---- sources ------------------------------------------------------------------- */

typedef struct fake_source {
    ml_source source;
    ml_loop *loop;
} fake_source;

typedef struct fake_op {
    ml_op op;
    ml_timer timer;
} fake_op;

static void fake_cancel(ml_op *op)
{
    fake_asked.n_canceled++;
    ml_timer_stop(op->loop, &((fake_op *)op)->timer);
    ml_op_fail(op, ML_ECANCELED, "canceled");
}

static void fake_destroy(ml_op *op)
{
    ml_op_fini(op);
    ml_free(op);
}

static void on_time(ml_timer *t, void *arg)
{
    (void)t;
    ml_op_finish(arg);
}

static ml_secret *fake_secret(ml_str key)
{
    char value[200];
    int n = snprintf(value, sizeof(value), "value of %.*s", (int)(key.n % 100), key.p);
    ml_tag tags[] = {{ML_LIT("team"), ML_LIT("blue")}};
    return ml_secret_new(
        &(ml_secret_fields){.has_value = true,
                            .value = {value, (size_t)n},
                            .key = key,
                            .source = ML_LIT("fake"),
                            .version = ML_LIT("v1"),
                            .content_type = ML_LIT("text/plain"),
                            .tags = tags,
                            .n_tags = 1,
                            .attributes = {.enabled = true, .created_s = 7}});
}

static void note(const ml_source_call *c)
{
    fake_asked.n_started++;
    fake_asked.verb = c->verb;
    fake_asked.deadline_ms = c->deadline_ms;
    fake_asked.n_tags = c->n_tags;
    fake_asked.enabled = c->enabled;
    ml_str value = c->value ? ml_secret_value(c->value) : (ml_str){0};
    ml_copy_printable(fake_asked.value, sizeof(fake_asked.value), value.p, value.n);
    ml_copy_printable(fake_asked.content_type, sizeof(fake_asked.content_type),
                      c->content_type.p, c->content_type.n);
    ml_trace_add(c->trace, "fake", "asked for %.*s", (int)c->key.n, c->key.p);
}

/* False when memory was refused on the way. */
static bool fill(ml_op *op, ml_str key)
{
    if (ml_str_starts(key, ML_LIT("none-"))) return true;
    if (ml_str_starts(key, ML_LIT("list-"))) {
        bool ok = true;
        for (int i = 0; i < 3; i++)
            ok = ok && ml_secrets_add(&op->list, fake_secret(key));
        return ok;
    }
    if (ml_str_starts(key, ML_LIT("fail-"))) {
        op->err = (ml_err){.code = ML_EFORBIDDEN,
                           .http_status = 403,
                           .retry_after_ms = 9,
                           .source = "fake",
                           .key = "k",
                           .service_code = "Nope",
                           .request_id = "id-1",
                           .text = "no permission"};
        return true;
    }
    op->secret = fake_secret(key);
    return op->secret != NULL;
}

static ml_op *fake_start(ml_source *s, const ml_source_call *c, ml_op_done *done,
                         void *arg)
{
    fake_source *f = (fake_source *)s;
    fake_op *o = ml_calloc(1, sizeof(*o));
    if (!o) return NULL;
    ml_op_init(&o->op, f->loop, fake_cancel, fake_destroy);
    o->op.done = done;
    o->op.arg = arg;
    note(c);
    if (!fill(&o->op, c->key)) ml_fail(&o->op.err, ML_ENOMEM, "out of memory");
    int64_t at_ms = ml_loop_now_ms(f->loop) + 50;
    if (ml_str_starts(c->key, ML_LIT("slow-"))) {
        ml_timer_start(f->loop, &o->timer, at_ms, on_time, o);
    } else {
        ml_op_finish(&o->op);
    }
    return &o->op;
}

static int fake_check(const ml_source *s, ml_str key, ml_secret *value, ml_err *e)
{
    (void)value;
    (void)s;
    if (key.n > 0) return 0;
    return ml_fail(e, ML_EUSAGE, "an empty key");
}

static void fake_free(ml_source *s)
{
    fake_asked.n_sources--;
    ml_free(s);
}

static const ml_source_kind kind = {"environment", false, fake_check, fake_start,
                                    fake_free};

ml_source *ml_environment_source_new(ml_loop *loop, const ml_env *env,
                                     const char *alias)
{
    (void)env;
    fake_source *f = ml_calloc(1, sizeof(*f));
    if (!f) return NULL;
    fake_asked.n_sources++;
    f->loop = loop;
    f->source.kind = &kind;
    f->source.refs = 1;
    snprintf(f->source.alias, sizeof(f->source.alias), "%s", alias);
    snprintf(f->source.label, sizeof(f->source.label), "a fake");
    return &f->source;
}

ml_source *ml_key_vault_source_new(ml_azure *a, const ml_key_vault_options *o,
                                   ml_err *e)
{
    (void)a;
    if (!o->vault_url) {
        ml_fail(e, ML_EUSAGE, "vault_url is required");
        return NULL;
    }
    ml_str secret = o->client_secret ? ml_secret_value(o->client_secret) : (ml_str){0};
    snprintf(fake_asked.options, sizeof(fake_asked.options), "%s %s %s %.*s %d",
             o->vault_url, o->tenant_id, o->client_id, (int)secret.n,
             secret.p ? secret.p : "", o->skip_challenge_check);
    return ml_environment_source_new(loop_of_all, NULL, o->alias ? o->alias : "vault");
}

/* ---- the fixture --------------------------------------------------------------- */

static int64_t fake_mono_ms(void *arg)
{
    fixture *f = arg;
    f->now_ms += f->tick_ms;
    return f->now_ms;
}

static void fake_log(void *arg, ml_log_level level, const char *area, const char *text)
{
    fixture *f = arg;
    snprintf(f->logged, sizeof(f->logged), "%d %s %s", (int)level, area, text);
}

static int open_with(fixture *f, const ml_vm_limits *limits, const ml_pair *env,
                     ml_embedded_find_fn *modules_of, ml_err *e)
{
    size_t n = 0;
    while (env && env[n].name) n++;
    fake_asked = (asked){0};
    f->log = (ml_log){fake_log, f, ML_LOG_INFO};
    if (ml_env_init(&f->env, env, n, e) < 0) return e->code;
    f->loop = ml_loop_new(&f->clock, &f->log, e);
    if (!f->loop) return e->code;
    loop_of_all = f->loop;
    f->host = (ml_host){.loop = f->loop,
                        .env = &f->env,
                        .log = &f->log,
                        .clock = &f->clock,
                        .allow_exec = true};
    f->vm =
        ml_vm_new_with(&f->host, limits ? limits : &(ml_vm_limits){0}, modules_of, e);
    return f->vm ? 0 : e->code;
}

int fixture_open(fixture *f, const ml_vm_limits *limits, const ml_pair *env, ml_err *e)
{
    *f = (fixture){.now_ms = 1000};
    f->clock = (ml_clock){fake_mono_ms, fake_mono_ms, f};
    return open_with(f, limits, env, find, e);
}

int fixture_open_real(fixture *f, const ml_vm_limits *limits, const ml_pair *env,
                      ml_err *e)
{
    *f = (fixture){.is_real = true, .clock = ml_system_clock};
    return open_with(f, limits, env, ml_embedded_find, e);
}

void fixture_keep(fixture *f, const ml_kept_limits *limits)
{
    f->host.kept = ml_kept_new(limits);
    assert_non_null(f->host.kept);
}

void fixture_close(fixture *f)
{
    ml_loop_free(f->loop);
    ml_vm_free(f->vm);
    ml_kept_free(f->host.kept);
    ml_env_fini(&f->env);
    assert_int_equal(fake_asked.n_sources, 0);
}

int fixture_load(fixture *f, const char *policy, ml_err *e)
{
    return ml_vm_load(f->vm, ml_str_of(policy), "policy.lua", e);
}

static void on_done(ml_op *op, void *arg)
{
    outcome *o = arg;
    o->n_done++;
    o->err = op->err;
    o->n_secrets = op->list.n;
    if (op->list.n > 0) {
        ml_str value = ml_secret_value(op->list.items[0]);
        ml_copy_printable(o->value, sizeof(o->value), value.p, value.n);
        snprintf(o->name, sizeof(o->name), "%s", ml_secret_name(op->list.items[0]));
    }
    snprintf(o->text, sizeof(o->text), "%s", ml_task_text(op));
}

ml_op *fixture_start(fixture *f, const ml_call *call, outcome *o)
{
    *o = (outcome){0};
    return ml_task_start(f->vm, call, ml_mono_ms(&f->clock) + 30000, 0, on_done, o,
                         &o->err);
}

void fixture_finish(fixture *f, outcome *o)
{
    for (int i = 0; i < 100 && o->n_done == 0; i++) {
        if (f->is_real) ml_loop_wait(f->loop, 100);
        ml_loop_turn(f->loop);
        f->now_ms += 10;
    }
    assert_int_equal(o->n_done, 1);
}

outcome fixture_run(fixture *f, const char *policy)
{
    outcome o = {0};
    if (fixture_load(f, policy, &o.err) < 0) return o;
    ml_call call = {ML_CALL_INIT, .verb = ML_EXPLAIN, .name = "x"};
    if (fixture_start(f, &call, &o)) fixture_finish(f, &o);
    return o;
}
