/* vault_client.h - Key Vault operations as ops: token, challenge, request, pages. */
#pragma once
#include "azure/azure.h"
#include "azure/discovery.h"
#include "azure/identity.h"
#include "azure/vault.h"

/* One vault and how to speak to it.  Filled by its owner, who outlives every call. */
typedef struct ml_vault {
    ml_azure *azure;
    ml_vault_url url;
    ml_gate *gates[ML_REQUEST_KINDS]; /* borrowed from azure; NULL: not limited */
    ml_identity identity;
    char alias[64];
    char api_version[32];
    char audience[256]; /* configured, or by suffix, or learned; "": not known yet */
    char expected[256]; /* what a challenge's resource must equal; "": the host rule */
    char tenant[256];   /* where tokens come from: ours, or an allowed one learned */
    bool skip_challenge_check;
    ml_discovery discovery;
} ml_vault;

/* Copies what it needs of call.  The result is op->secret, or op->list for the lists
 * (all pages), or neither (purge).  NULL when out of memory. */
ml_op *ml_vault_start(ml_vault *v, const ml_vault_call *call, int64_t deadline_ms,
                      ml_trace *trace, ml_op_done *done, void *arg);
