/* handle.h - one of curl's easy handles, and the origin that it asked last. */
#pragma once
#include <curl/curl.h>
#include <stdbool.h>

typedef struct ml_handle {
    CURL *easy;    /* NULL: there is none */
    CURLU *origin; /* parsed; NULL: it takes URLs as texts */
} ml_handle;

/* Without options yet.  False: out of memory. */
bool ml_handle_open(ml_handle *h);
void ml_handle_close(ml_handle *h); /* not running any more; idempotent */

/* What the next transfer asks for; the text is copied.  A URL that is not valid is
 * curl's to refuse, when the transfer runs.  False: out of memory. */
bool ml_handle_set_url(ml_handle *h, const char *url);
