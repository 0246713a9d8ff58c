/* azure.h - what every vault of one resolver shares: HTTP client and tokens. */
#pragma once
#include "base/env.h"
#include "io/http.h"

typedef struct ml_azure ml_azure;
typedef struct ml_azure_gate ml_azure_gate;
typedef struct ml_token_entry ml_token_entry;

/* The service counts what makes versions apart from everything else. */
typedef enum ml_request_kind {
    ML_READS,  /* get, list, update, delete, ... */
    ML_WRITES, /* set, restore */
    ML_REQUEST_KINDS
} ml_request_kind;

struct ml_azure {
    const ml_http_client *client;
    const ml_env *env;
    ml_token_entry *tokens;       /* owned by token.c */
    int limits[ML_REQUEST_KINDS]; /* of requests to one vault in ten seconds; 0: none */
    /* For budgets that other processes share; borrowed; NULL: none are. */
    const ml_budget_dir *budget_dir;
    ml_azure_gate *gates; /* owned; they outlive reloads of the policy */
};

/* Borrows client and env.  NULL when out of memory. */
ml_azure *ml_azure_new(const ml_http_client *client, const ml_env *env);
/* The gate of one vault, by its origin, made when it is first asked for.  It lives as
 * long as a.  NULL: out of memory. */
ml_gate *ml_azure_gate_of(ml_azure *a, const char *origin, ml_request_kind kind);
/* What goes on at all gates now. */
typedef struct ml_azure_counts {
    uint64_t in_flight, waiting, paused, broken, shared;
} ml_azure_counts;
ml_azure_counts ml_azure_count(const ml_azure *a);
/* No op may be under way: free the loop first.  Accepts NULL. */
void ml_azure_free(ml_azure *a);
