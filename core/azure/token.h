/* token.h - access tokens: one request for many callers, kept until shortly before
 * they expire.
 *
 * One entry per (authority, tenant, audience, client, secret) serves every vault of a
 * cloud.  A refusal of the identity is remembered for a few seconds, so that a herd of
 * callers with a wrong secret does not lock the account.
 *
 * What is kept and handed out is the token's whole header: no request copies it. */
#pragma once
#include "azure/azure.h"

/* Views, valid during the call. */
typedef struct ml_token_want {
    const char *authority; /* checked by ml_authority_check */
    const char *tenant;
    const char *audience;
    const char *client_id;
    ml_secret *client_secret;
    ml_str claims; /* of a claims challenge; not empty: skip what is kept */
    int64_t deadline_ms;
    ml_trace *trace; /* must outlive the op, may be NULL */
} ml_token_want;

/* A reference to what is at hand, without waiting; NULL: start and wait.  One
 * that ages is renewed meanwhile. */
ml_secret *ml_token_kept(ml_azure *a, const ml_token_want *w);
/* The op's secret is the token's header.  NULL when out of memory. */
ml_op *ml_token_start(ml_azure *a, const ml_token_want *w, ml_op_done *done, void *arg);
/* The service refused this token: do not hand it out again. */
void ml_token_forget(ml_azure *a, const ml_token_want *w, const ml_secret *token);
void ml_token_free_all(ml_azure *a);
