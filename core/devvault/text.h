/* text.h - small conversions that the dev vault's endpoints share. */
#pragma once
#include "base/buf.h"

enum { ML_DV_GUID_BYTES = 37, ML_DV_VERSION_BYTES = 33 }; /* with the NUL */

/* From the system's generator; ends the process if there is none. */
void ml_dv_random_bytes(void *out, size_t n);
/* 2 * n hex digits and a NUL. */
void ml_dv_random_hex(char *out, size_t n);
void ml_dv_random_guid(char out[ML_DV_GUID_BYTES]);

/* Base64 of the URL alphabet, without padding when writing; padding may follow when
 * reading.  Reading appends; false for anything else. */
void ml_dv_base64url(ml_buf *out, ml_str bytes);
bool ml_dv_base64url_read(ml_buf *out, ml_str text);

/* The decoded value of the first `name` in a form or a query; out is cleared first.
 * False when it is not there or is badly encoded. */
bool ml_dv_form_get(ml_str form, const char *name, ml_buf *out);

/* The next path segment, and the path behind it. */
ml_str ml_dv_segment(ml_str *path);
bool ml_dv_is_hex(ml_str s);
/* Characters of well-formed UTF-8. */
size_t ml_dv_count_chars(ml_str s);
