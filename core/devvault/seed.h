/* seed.h - the secrets that a dev vault starts with.
 *
 *     {"vault-name": {"secret-name": "value",
 *                     "other": {"value": "...", "contentType": "...", "tags": {...},
 *                               "attributes": {"enabled": false}}}} */
#pragma once
#include "devvault/store.h"

/* Called for each secret; r holds everything but version and dates.  Non-zero stops. */
typedef int ml_dv_seed_each(void *arg, const char *vault, ml_dv_record *r, ml_err *e);
/* Called for each vault, before its secrets. */
typedef int ml_dv_seed_vault(void *arg, const char *vault, ml_err *e);

/* Either callback may be NULL.  ML_EUSAGE names the place (byte offset) and what is
 * wrong there; `file` is only for messages.  Values are never in a message. */
int ml_dv_seed_read(ml_str text, const char *file, ml_dv_seed_vault *on_vault,
                    ml_dv_seed_each *on_secret, void *arg, ml_err *e);
/* The whole file into out. */
int ml_dv_seed_load(const char *file, ml_buf *out, ml_err *e);
/* Adds one secret to the store, unless the store knows its name already. */
int ml_dv_seed_add(ml_dv_store *s, const char *vault, ml_dv_record *r, ml_err *e);
/* 3-24 letters, digits and single hyphens; starts with a letter, does not end in '-'.
 */
bool ml_dv_vault_name_ok(ml_str name);
