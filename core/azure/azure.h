/* azure.h - what every vault of one resolver shares: HTTP client and tokens. */
#pragma once
#include "base/env.h"
#include "io/http.h"

typedef struct ml_azure ml_azure;
typedef struct ml_token_entry ml_token_entry;

struct ml_azure {
    const ml_http_client *client;
    const ml_env *env;
    ml_token_entry *tokens; /* owned by token.c */
};

/* Borrows client and env.  NULL when out of memory. */
ml_azure *ml_azure_new(const ml_http_client *client, const ml_env *env);
/* No op may be under way: free the loop first.  Accepts NULL. */
void ml_azure_free(ml_azure *a);
