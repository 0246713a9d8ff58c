/* azure.h - what every vault of one resolver shares: HTTP client and tokens. */
#pragma once
#include "base/env.h"
#include "io/http.h"

typedef struct ml_azure ml_azure;

/* Borrows client and env.  NULL when out of memory. */
ml_azure *ml_azure_new(const ml_http_client *client, const ml_env *env);
void ml_azure_free(ml_azure *a);
