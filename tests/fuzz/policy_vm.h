/* policy_vm.h - the real VM over fake sources, for targets that feed it with policies.
 */
#pragma once
#include "../unit/script_fixture.h"

/* The VM of this input; it serves some inputs, then a new one is made. */
fixture *policy_vm(void);
/* Ends the input: its claims about time are checked, and that the VM still works. */
void policy_vm_done(void);
/* 0, or a code that a policy may end in; stops the run at any other. */
int policy_vm_load(const char *policy);
void policy_vm_call(ml_verb verb, const char *name, unsigned flags);
/* An error that a policy may lead to: a known code, a text, no secret. */
void policy_vm_claim(const ml_err *e);
