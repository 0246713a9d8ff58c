/* fuzz_policy.c - any text as a policy: it loads or is refused, and then answers; in
 * time, without a crash, and without telling a secret.  Seeds: see seeds.lua. */
#include "../support/attacks.h"
#include "fuzz.h"
#include "policy_vm.h"

enum { MAX_TEXT = 256 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (!text) abort();
    memcpy(text, data, size);
    text[size] = '\0';
    char *policy = attack_expand(text, MAX_TEXT);
    policy_vm();
    if (policy_vm_load(policy) == 0) {
        policy_vm_call(ML_GET, "a/bab/aaaaaaaaaaaaaaaaaaaaaaa/c", 0);
        policy_vm_call(ML_GET, "airflow/variables/hello", 0);
        policy_vm_call(ML_EXPLAIN, "billing/db/password", ML_PLAN_ONLY);
    }
    policy_vm_done();
    free(policy);
    free(text);
    return 0;
}
