/* vault_settle.h - Key Vault operations that wait until the vault has settled. */
#pragma once
#include "azure/vault_client.h"

/* As ml_vault_start; besides, a change is tried again while the vault is still deleting
 * or recovering the secret (409), and a delete or recover ends when it can be seen.  A
 * deadline that passes meanwhile is no failure: the change was accepted; a warning is
 * logged. */
ml_op *ml_vault_run(ml_vault *v, const ml_vault_call *call, int64_t deadline_ms,
                    ml_trace *trace, ml_op_done *done, void *arg);
