/* decode.h - the bytes behind a text that a secret may be wrapped in.  Pure. */
#pragma once
#include "base/buf.h"

typedef enum ml_encoding {
    ML_BASE64,    /* RFC 4648, alphabet with + and /, padding or none */
    ML_BASE64URL, /* alphabet with - and _, padding or none */
    ML_HEX        /* either case */
} ml_encoding;

/* Appends the bytes of text.  Blanks and line breaks count for nothing, as the tools
 * that write base64 put them in.  False when it is not such a text; a failed buffer
 * shows in ml_buf_ok. */
bool ml_decode(ml_encoding encoding, ml_str text, ml_buf *out);

/* Does text look like the pattern?  '*' is any bytes, anything else stands for itself.
 */
bool ml_is_like(ml_str text, ml_str pattern);
