/* vault_errors.h - what a refused Key Vault request means, and what to try.  Pure. */
#pragma once
#include "azure/vault.h"

/* The error of an answer that is not a success; any body is survived. */
int ml_vault_fail(const ml_vault_call *c, const char *source, int status, ml_str body,
                  ml_err *e);
/* "reading secret 'x' of prod": how every text of a call begins. */
void ml_vault_describe(const ml_vault_call *c, const char *source, char *out,
                       size_t size);
