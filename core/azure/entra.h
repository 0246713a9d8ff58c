/* entra.h - Microsoft Entra ID token requests: build, parse, explain.  Pure.
 *
 * Facts: learn.microsoft.com "OAuth 2.0 client credentials flow on the Microsoft
 * identity platform" and "Microsoft Entra authentication and authorization error
 * codes". */
#pragma once
#include "base/buf.h"
#include "base/secret.h"

/* POST {authority}/{tenant}/oauth2/v2.0/token
 * client_id=..&scope={audience}%2F.default&client_secret=..&grant_type=client_credentials
 */
typedef struct ml_entra_request {
    const char *authority; /* checked by ml_authority_check */
    const char *tenant; /* checked by ml_tenant_check; "adfs": /adfs/oauth2/token, scope
                           without /.default */
    const char *audience; /* "https://vault.azure.net": no trailing slash */
    const char *client_id;
    const ml_secret *client_secret;
    ml_str claims; /* empty: none */
} ml_entra_request;

/* Appends to two empty buffers.  ML_ENOMEM only. */
int ml_entra_build(const ml_entra_request *q, ml_buf *url, ml_buf *form, ml_err *e);

typedef struct ml_token {
    ml_secret *secret;  /* the access token; owned by the caller */
    int64_t lifetime_s; /* 0..2147483647, counted from sending the request */
    int64_t refresh_s;  /* refresh_in; 0 when absent */
} ml_token;

/* Parses an answer of any status.  Success: 0 and *out filled (expires_in as number or
 * decimal string; expires_on - wall_s when expires_in is missing).  Else the error of
 * the table: ML_EUNAUTHENTICATED with a hint for the known AADSTS numbers,
 * ML_ETHROTTLED for 429, ML_EUNAVAILABLE for 408, 5xx and the transient AADSTS numbers,
 * ML_EINVALID for a success without a usable token.  e->service_code is "AADSTS<n>" or
 * the OAuth code; e->text never holds error_description, which may quote what was sent.
 * host: of the authority, for the text. */
int ml_entra_parse(int status, ml_str body, const char *host, const char *tenant,
                   const char *client_id, int64_t wall_s, ml_token *out, ml_err *e);

/* When to renew, seconds after sending: refresh_s if given, half of lifetimes of 2 h
 * and more, else lifetime - 300 (at least half of it). */
int64_t ml_token_renew_after_s(const ml_token *t);
/* Unusable from here on: lifetime - 120, at least lifetime / 2. */
int64_t ml_token_usable_s(const ml_token *t);
