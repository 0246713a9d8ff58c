/* form.h - percent-encoding, the only way text gets into a URL or a form. */
#pragma once
#include "base/buf.h"

/* Appends s with everything but A-Z a-z 0-9 - . _ ~ percent-encoded. */
void ml_form_escape(ml_buf *out, ml_str s);
/* Appends name=value, with '&' before it unless out is empty. */
void ml_form_add(ml_buf *out, const char *name, ml_str value);
