/* challenge.h - reading and judging WWW-Authenticate of a 401.  Pure.
 *
 * Facts: learn.microsoft.com "Authentication, requests and responses" of Key Vault, and
 * RFC 9110 section 11.6.1 for the grammar. */
#pragma once
#include "azure/url.h"

typedef struct ml_challenge {
    char tenant[254];   /* first path segment of the authority; "" when none */
    char resource[256]; /* without trailing slash and without "/.default" */
    char error[64];     /* "insufficient_claims", "invalid_token", "" */
    ml_buf claims;      /* decoded JSON of a claims challenge; empty when none */
} ml_challenge;

void ml_challenge_init(ml_challenge *c);
void ml_challenge_fini(ml_challenge *c);
/* Reads header values (several lines, each with one or more schemes), takes the first
 * Bearer.  Knows authorization, authorization_uri, authorization_url, resource, scope,
 * error, claims; any order, quoted or bare, any case of the scheme.
 * ML_EINVALID when there is no Bearer or it is malformed. */
int ml_challenge_parse(ml_challenge *c, const ml_str *lines, size_t n, ml_err *e);

/* May a token for c->resource be sent to this vault?
 *   with expected != "": resource must equal expected (the configured audience);
 *   else resource must be an absolute https URI without userinfo, query or fragment,
 *   and the vault's host must equal its host, or end in "." + its host.
 * verify false skips the host rule (never the syntax rules).  ML_EUNAUTHENTICATED with
 * both names in the text. */
int ml_challenge_check(const ml_challenge *c, const ml_vault_url *vault,
                       const char *expected, bool verify, ml_err *e);
