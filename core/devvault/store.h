/* store.h - vaults, secrets and their versions in SQLite.
 *
 * A file store is in WAL mode with synchronous=FULL: what was answered survives
 * kill -9.  SQLite's own page cache cannot be scrubbed; these are development values.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "moonlatch.h"

typedef struct ml_dv_store ml_dv_store;

/* One version of one secret, with the state of the secret. */
typedef struct ml_dv_record {
    int64_t secret_id; /* rows, private to the store */
    int64_t version_id;
    char name[128]; /* as first written */
    char version[33];
    char previous[33]; /* the version before this, "" when none */
    ml_buf value;
    ml_buf content_type;
    bool has_content_type;
    ml_buf tags; /* JSON object text; empty when there are none */
    bool enabled, has_nbf, has_exp;
    int64_t nbf, exp, created, updated;
    int64_t deleted; /* unix seconds, 0: not deleted; the same for purge */
    int64_t purge;
    int64_t busy_until_ms; /* a delete or recovery takes until then (wall clock) */
} ml_dv_record;

void ml_dv_record_init(ml_dv_record *r);
void ml_dv_record_fini(ml_dv_record *r);

/* file NULL: in memory. */
int ml_dv_store_open(ml_dv_store **out, const char *file, ml_err *e);
void ml_dv_store_close(ml_dv_store *s);
/* The store's own random bytes of this name, made at first use. */
int ml_dv_store_key(ml_dv_store *s, const char *name, unsigned char *out, size_t n,
                    ml_err *e);
/* The same without making one: false when there is none of n bytes. */
bool ml_dv_store_read_key(ml_dv_store *s, const char *name, unsigned char *out,
                          size_t n);
int ml_dv_store_write_key(ml_dv_store *s, const char *name, const unsigned char *bytes,
                          size_t n, ml_err *e);

bool ml_dv_store_begin(ml_dv_store *s);
bool ml_dv_store_end(ml_dv_store *s, bool commit);

/* version NULL or "": the newest.  ML_EMISSING without text when there is none. Deleted
 * ones are found too: look at r->deleted. */
int ml_dv_store_find(ml_dv_store *s, const char *vault, const char *name,
                     const char *version, ml_dv_record *r, ml_err *e);
/* Adds a version; makes the secret if need be.  Uses name, version and all fields of
 * the version; sets the ids. */
int ml_dv_store_add(ml_dv_store *s, const char *vault, ml_dv_record *r, ml_err *e);
/* Writes content type, tags, enabled, nbf, exp and updated of r's version. */
int ml_dv_store_update(ml_dv_store *s, const ml_dv_record *r, ml_err *e);
/* Writes deleted, purge and busy_until_ms of r's secret. */
int ml_dv_store_set_state(ml_dv_store *s, const ml_dv_record *r, ml_err *e);
int ml_dv_store_purge(ml_dv_store *s, const ml_dv_record *r, ml_err *e);

/* False stops the walk. */
typedef bool ml_dv_store_each(void *arg, const ml_dv_record *r);
/* Newest versions of the secrets behind `after` in name order, deleted ones or not. */
int ml_dv_store_list(ml_dv_store *s, const char *vault, bool deleted, const char *after,
                     int limit, ml_dv_store_each *each, void *arg, ml_err *e);
/* Versions of one secret, oldest first, behind the version with row `after`. */
int ml_dv_store_versions(ml_dv_store *s, const char *vault, const char *name,
                         int64_t after, int limit, ml_dv_store_each *each, void *arg,
                         ml_err *e);
