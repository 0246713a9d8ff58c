/* vault.h - one call of the secrets API: what the routes hand to the operations. */
#pragma once
#include "devvault/server.h"

enum {
    ML_DV_MAX_NAME = 127,
    ML_DV_MAX_VALUE = 25600,
    ML_DV_MAX_CONTENT_TYPE = 255,
    ML_DV_MAX_TAGS = 15,
    ML_DV_MAX_TAG_CHARS = 512,
    ML_DV_RECOVERABLE_DAYS = 90
};

typedef struct ml_dv_call {
    ml_dv_exchange *x;
    char name[ML_DV_MAX_NAME + 1]; /* "" when the path has none */
    char version[33];              /* "": the newest */
    bool is_new_api;               /* knows previousVersion and outContentType */
    ml_dv_record r;                /* scratch, ready for use */
} ml_dv_call;

bool ml_dv_name_ok(ml_str name);
int64_t ml_dv_now_s(void);
int64_t ml_dv_now_ms(void);

/* Loads c->r.  False after answering: 404 when it is missing or deleted. */
bool ml_dv_load(ml_dv_call *c, const char *version);
/* 404 for a secret, or for a deleted one; false. */
bool ml_dv_not_found(ml_dv_call *c, bool deleted);
/* A delete or a recovery is still at work. */
bool ml_dv_is_busy(const ml_dv_record *r);
/* 409 when the name of r cannot be used because it is (being) deleted or recovered. */
bool ml_dv_refuse_if_taken(ml_dv_call *c);
/* Does a disabled=NAME fault hide this one? */
bool ml_dv_is_disabled(ml_dv_call *c, const ml_dv_record *r);

/* The operations; they answer, one way or the other. */
void ml_dv_op_set(ml_dv_call *c);
void ml_dv_op_get(ml_dv_call *c);
void ml_dv_op_update(ml_dv_call *c);
void ml_dv_op_delete(ml_dv_call *c);
void ml_dv_op_get_deleted(ml_dv_call *c);
void ml_dv_op_purge(ml_dv_call *c);
void ml_dv_op_recover(ml_dv_call *c);
void ml_dv_op_list(ml_dv_call *c);
void ml_dv_op_list_deleted(ml_dv_call *c);
void ml_dv_op_list_versions(ml_dv_call *c);
void ml_dv_op_backup(ml_dv_call *c);
void ml_dv_op_restore(ml_dv_call *c);
