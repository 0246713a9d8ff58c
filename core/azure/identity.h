/* identity.h - who we are towards Entra ID: a service principal, and where to log in.
 */
#pragma once
#include "azure/url.h"
#include "base/env.h"
#include "base/secret.h"

typedef struct ml_identity {
    char authority[300]; /* "" : not known (no cloud, no AZURE_AUTHORITY_HOST) */
    char tenant_id[256]; /* "" : no identity at all */
    char client_id[256];
    ml_secret *client_secret;     /* owned */
    char additional_tenants[512]; /* AZURE_ADDITIONALLY_ALLOWED_TENANTS */
} ml_identity;

/* The given service principal, else AZURE_TENANT_ID, AZURE_CLIENT_ID and
 * AZURE_CLIENT_SECRET: all three or none, ML_EUSAGE otherwise.  authority: the given
 * one, else AZURE_AUTHORITY_HOST, else that of the vault's cloud. */
int ml_identity_init(ml_identity *id, const ml_env *env, const char *tenant_id,
                     const char *client_id, ml_secret *client_secret,
                     const char *authority, const char *cloud_authority, ml_err *e);
void ml_identity_fini(ml_identity *id);
/* May a token of this tenant be asked for?  The own one, and the additional ones. */
bool ml_identity_allows_tenant(const ml_identity *id, const char *tenant);
