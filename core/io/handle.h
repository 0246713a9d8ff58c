/* handle.h - one of curl's easy handles, and the origin that it asked last. */
#pragma once
#include <curl/curl.h>
#include <stdbool.h>

typedef struct ml_handle {
    CURL *easy;    /* NULL: there is none */
    CURLU *origin; /* parsed; NULL: it was given a whole URL */
    char *text;    /* of the origin */
} ml_handle;

/* Paths are sent as they are; else without options yet.  False: out of memory. */
bool ml_handle_open(ml_handle *h);
void ml_handle_close(ml_handle *h); /* not running any more; idempotent */

/* What the next transfer asks for; the text is copied.  A URL that is not valid is
 * curl's to refuse, when the transfer runs.  A proxy that is given plain http would not
 * learn the origin: only https goes through one.  False: out of memory, or longer than
 * curl takes.
 */
bool ml_handle_set_url(ml_handle *h, const char *url);
