/* auth.h - the dev vault's access tokens: issue them, and check one on each request. */
#pragma once
#include "devvault/server.h"

typedef struct ml_dv_grant {
    const char *audience;
    const char *tenant;
    const char *client;
    int lifetime_s;
    bool has_claims; /* asked for with a claims parameter */
} ml_dv_grant;

/* Appends a signed JWT. */
bool ml_dv_token_issue(ml_dv *dv, const ml_dv_grant *g, int64_t now, ml_buf *out);
/* False after answering 401 with a challenge. */
bool ml_dv_authenticate(ml_dv_exchange *x);
/* 401 with the challenge header; answers false. */
bool ml_dv_challenge(ml_dv_exchange *x, const char *message);
/* Is this a name of this machine's vaults: localhost, *.localhost, a loopback address?
 */
bool ml_dv_is_local_host(ml_str host);
