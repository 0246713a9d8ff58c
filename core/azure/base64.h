/* base64.h - reading base64 as services write it.  Pure. */
#pragma once
#include "base/buf.h"

/* Appends the bytes of text: standard or URL alphabet, padding or none (RFC 4648).
 * False when text is not that; a failed buffer shows in ml_buf_ok. */
bool ml_base64_decode(ml_str text, ml_buf *out);
