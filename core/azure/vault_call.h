/* vault_call.h - owning copies of ml_vault_call. */
#pragma once
#include "azure/vault.h"

/* False when out of memory; *to is empty then. */
bool ml_vault_call_copy(ml_vault_call *to, const ml_vault_call *from);
void ml_vault_call_fini(ml_vault_call *c);
