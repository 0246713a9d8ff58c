/* azure.c - what every vault of one resolver shares: HTTP client and tokens. */
#include "azure/azure.h"

#include <stdlib.h>

#include "azure/token.h"

ml_azure *ml_azure_new(const ml_http_client *client, const ml_env *env)
{
    ml_azure *a = calloc(1, sizeof(*a));
    if (a) *a = (ml_azure){.client = client, .env = env};
    return a;
}

void ml_azure_free(ml_azure *a)
{
    if (!a) return;
    ml_token_free_all(a);
    free(a);
}
