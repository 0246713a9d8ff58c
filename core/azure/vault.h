/* vault.h - the Key Vault secrets REST API: build requests, parse answers.  Pure.
 *
 * Facts: Azure REST API specification, Key Vault data plane, secrets (7.x), and
 * learn.microsoft.com "REST API error codes" of Key Vault. */
#pragma once
#include "azure/url.h"
#include "base/secret.h"

#define ML_VAULT_API_VERSION "7.5"

typedef enum ml_vault_op {
    ML_VAULT_GET,    /* key, version? */
    ML_VAULT_SET,    /* key, value, content_type?, tags?, attributes? */
    ML_VAULT_UPDATE, /* key, version?, content_type?, tags?, attributes? */
    ML_VAULT_DELETE, /* key */
    ML_VAULT_LIST,
    ML_VAULT_VERSIONS, /* key */
    ML_VAULT_LIST_DELETED,
    ML_VAULT_GET_DELETED, /* key */
    ML_VAULT_RECOVER,     /* key */
    ML_VAULT_PURGE,       /* key */
    ML_VAULT_BACKUP,      /* key */
    ML_VAULT_RESTORE,     /* value: the blob */
    ML_VAULT_OP_COUNT
} ml_vault_op;

typedef struct ml_vault_call {
    ml_vault_op op;
    ml_str key;
    ml_str version;         /* empty: the latest */
    ml_str name;            /* GET: what the secret is called; empty: nothing yet */
    const ml_secret *value; /* SET, RESTORE */
    bool has_content_type;
    ml_str content_type;
    bool has_tags; /* tags are replaced as a whole */
    const ml_tag *tags;
    size_t n_tags;
    int enabled;          /* 0 leave, 1 yes, -1 no */
    int64_t not_before_s; /* 0 leave */
    int64_t expires_s;    /* 0 leave */
    int max_results;      /* lists: page size 1..25, 0: the service's default */
} ml_vault_call;

/* Checks everything that can be checked before the network (ML_EUSAGE): name, version,
 * value present, UTF-8, at most 25,600 bytes, content type <= 255, at most 15 tags of
 * <= 512 chars each side, max_results. */
int ml_vault_check(const ml_vault_call *c, ml_err *e);

/* Method, full URL with api-version, and body (empty for none) of a checked call.
 * *method is static text; *has_body says whether a JSON body goes with it (POST without
 * one still needs Content-Length: 0). */
int ml_vault_build(const ml_vault_call *c, const ml_vault_url *vault,
                   const char *api_version, const char **method, ml_buf *url,
                   ml_buf *body, bool *has_body, ml_err *e);
/* GET, lists, DELETE, RECOVER, PURGE, BACKUP, UPDATE may be sent again; SET and RESTORE
 * only when the service answered (each SET makes a version). */
bool ml_vault_is_idempotent(ml_vault_op op);

/* What one answer holds. */
typedef struct ml_vault_answer {
    ml_secret *secret; /* bundle operations and BACKUP; owned */
    ml_secrets list;   /* one page of a list operation; owned */
    ml_buf next_link;  /* verbatim; empty when this was the last page */
} ml_vault_answer;
void ml_vault_answer_init(ml_vault_answer *a);
void ml_vault_answer_fini(ml_vault_answer *a);

/* Parses an answer of any status to an operation; source is the alias that secrets
 * and errors carry.  Success statuses: 200, and 204 for PURGE.  A bundle's id must name
 * the key that was asked for (without case), else ML_EINVALID.
 * Errors, by status and deepest innererror (any body is survived):
 *   400 -> ML_EUSAGE (BadParameter) ; 401 -> ML_EUNAUTHENTICATED (AKV number in
 *   service_code) ; 403 SecretDisabled -> ML_EDISABLED, other 403 -> ML_EFORBIDDEN with
 * a hint for ForbiddenByRbac, ForbiddenByPolicy, AccessDenied, ForbiddenByFirewall,
 *   ForbiddenByConnection ; 404 -> ML_EMISSING only when the body says SecretNotFound,
 *   any other 404 (a proxy, a wrong host) -> ML_EINVALID ; 409 -> ML_ECONFLICT with
 * what to do for the three ObjectIs... codes ; 429 -> ML_ETHROTTLED ; 408, 5xx ->
 * ML_EUNAVAILABLE ; 3xx and the rest -> ML_EINVALID. Service messages never enter
 * e->text; codes pass ml_copy_printable. */
int ml_vault_parse(const ml_vault_call *c, const char *source, int status, ml_str body,
                   ml_vault_answer *out, ml_err *e);
