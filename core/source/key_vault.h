/* key_vault.h - an Azure Key Vault as a source. */
#pragma once
#include "azure/azure.h"
#include "source/source.h"

/* Texts may be NULL or "" for the default.  Everything is copied. */
typedef struct ml_key_vault_options {
    const char *alias;
    const char *vault_url;     /* required */
    const char *api_version;   /* default ML_VAULT_API_VERSION */
    const char *dns_suffix;    /* allowed besides the known clouds, ".vault.example" */
    const char *audience;      /* default: by suffix; then from the challenge */
    const char *authority;     /* default AZURE_AUTHORITY_HOST, then by suffix */
    bool skip_challenge_check; /* accept any challenge resource (syntax is checked) */
    /* A service principal; all three or none.  None: AZURE_TENANT_ID, AZURE_CLIENT_ID,
     * AZURE_CLIENT_SECRET, all three or ML_EUSAGE; missing altogether is found out at
     * the first request (ML_EUNAUTHENTICATED). */
    const char *tenant_id;
    const char *client_id;
    ml_secret *client_secret; /* referenced */
} ml_key_vault_options;

/* ML_EUSAGE names the option that is wrong. */
ml_source *ml_key_vault_source_new(ml_azure *a, const ml_key_vault_options *o,
                                   ml_err *e);
