/* bundle.h - secrets as JSON: what clients send, and what they get. */
#pragma once
#include "devvault/vault.h"
#include "io/json.h"

enum { ML_DV_WITH_VALUE = 1, ML_DV_WITHOUT_VERSION = 2, ML_DV_AS_DELETED = 4 };

/* Appends a SecretBundle, SecretItem or their deleted forms to the answer. */
void ml_dv_write_bundle(ml_dv_call *c, const ml_dv_record *r, int flags);

/* Reads SetParameters or UpdateParameters over r: what is absent stays.  *has_value
 * says whether a value came.  NULL, or what is wrong. */
const char *ml_dv_read_parameters(ml_json *j, ml_dv_record *r, bool *has_value);
/* Reads one member's value as r's tags, content type or attributes; for other readers.
 */
const char *ml_dv_read_tags(ml_json *j, ml_dv_record *r);
const char *ml_dv_read_content_type(ml_json *j, ml_dv_record *r);
const char *ml_dv_read_attributes(ml_json *j, ml_dv_record *r);
const char *ml_dv_read_value(ml_json *j, ml_dv_record *r);
