/* entra.h - what the token endpoint and its metadata share. */
#pragma once
#include "devvault/server.h"

/* An answer in Entra's error form.  Answers false, always. */
bool ml_dv_entra_refuse(ml_dv_exchange *x, int status, const char *word, int number,
                        const char *sentence);
/* False after refusing a tenant that is not ours, in Entra's words. */
bool ml_dv_entra_check_tenant(ml_dv_exchange *x, ml_str tenant);
/* Answers if the rest of the path, behind the tenant, is metadata; else false. */
bool ml_dv_entra_metadata(ml_dv_exchange *x, ml_str tenant, ml_str rest);
