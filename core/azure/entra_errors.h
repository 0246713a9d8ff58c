/* entra_errors.h - what a refused token request means, and what to try.  Pure. */
#pragma once
#include "base/str.h"
#include "moonlatch.h"

/* Who asked whom: for the texts. */
typedef struct ml_entra_asked {
    const char *host;
    const char *tenant;
    const char *client_id;
} ml_entra_asked;

/* The error of an answer that is not a success; any body is survived. */
int ml_entra_fail(int status, ml_str body, const ml_entra_asked *q, ml_err *e);
