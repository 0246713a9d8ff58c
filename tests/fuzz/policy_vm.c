/* policy_vm.c - the real VM over fake sources, for targets that feed it with policies.
 */
#include "policy_vm.h"

#include <time.h>

#include "fuzz.h"

enum { INPUTS_A_VM = 50, DEADLINE_MS = 50, MAX_CPU_MS = 1500 };

static const ml_vm_limits limits = {.max_bytes = 16 * 1024 * 1024,
                                    .max_instructions = 1000 * 1000,
                                    .deadline_ms = DEADLINE_MS};
static const ml_pair variables[] = {
    {"CANARY", "canary-4711"}, {"SP_SECRET", "canary-4711"}, {NULL, NULL}};
static const char good[] = "local ml = require 'moonlatch.policy'\n"
                           "return ml.policy { ml.rule 'a/*' { strip = 'a/',\n"
                           "  prefix = 'now-', from = ml.environment {} } }";

static fixture vm;
static int n_inputs;
static long began_ms;

static long cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1000L + t.tv_nsec / 1000000L;
}

static int64_t cpu_clock_ms(void *arg)
{
    (void)arg;
    return cpu_ms();
}

fixture *policy_vm(void)
{
    /* The budget's own: another process must not make a policy late. */
    static const ml_clock cpu_clock = {cpu_clock_ms, cpu_clock_ms, NULL};
    ml_err e = {0};
    if (n_inputs++ % INPUTS_A_VM == 0) {
        FUZZ_CLAIM(fixture_open_real(&vm, &limits, variables, &e) == 0);
        vm.vm->budget.clock = &cpu_clock;
    }
    began_ms = cpu_ms();
    return &vm;
}

void policy_vm_claim(const ml_err *e)
{
    if (e->code == 0) return;
    FUZZ_CLAIM(e->code != ML_ENOMEM && e->code != ML_ECANCELED);
    /* All of it: a policy of the seeds says "canary" itself, and Lua quotes its text.
     */
    FUZZ_CLAIM(e->text[0] && !strstr(e->text, "canary-4711"));
    FUZZ_CLAIM(strcmp(e->text, "the engine") != 0);
}

int policy_vm_load(const char *policy)
{
    ml_err e = {0};
    fixture_load(&vm, policy, &e);
    policy_vm_claim(&e);
    FUZZ_CLAIM(e.code == 0 || e.code == ML_EPOLICY || e.code == ML_EUSAGE);
    return e.code;
}

void policy_vm_call(ml_verb verb, const char *name, unsigned flags)
{
    outcome o;
    ml_pair context[] = {{"team", "blue"}, {"env", "prod"}};
    ml_call call = {ML_CALL_INIT,   .verb = verb,       .name = name,
                    .flags = flags, .context = context, .n_context = 2};
    if (fixture_start(&vm, &call, &o)) fixture_finish(&vm, &o);
    policy_vm_claim(&o.err);
    FUZZ_CLAIM(verb == ML_EXPLAIN || o.err.code != 0 || o.n_secrets > 0);
}

void policy_vm_done(void)
{
    FUZZ_CLAIM(cpu_ms() - began_ms < MAX_CPU_MS);
    if (n_inputs % INPUTS_A_VM != 0) return;
    vm.vm->budget.deadline_ms = MAX_CPU_MS; /* what stayed behind is collected, too */
    ml_err e = {0};
    if (fixture_load(&vm, good, &e) != 0) fprintf(stderr, "%s\n", e.text);
    FUZZ_CLAIM(e.code == 0);
    outcome o;
    if (fixture_start(&vm, &(ml_call){ML_CALL_INIT, .name = "a/b"}, &o))
        fixture_finish(&vm, &o);
    FUZZ_CLAIM(o.err.code == 0 && strcmp(o.value, "value of now-b") == 0);
    fixture_close(&vm);
}
