/* faults.h - misbehaviour on request: the grammar of --fault, and when one strikes.
 *
 *     KIND[=VALUE][:MODIFIER,...]        token-KIND...: the token endpoint instead
 *
 *   4xx 5xx                 answer with this status
 *   delay=200ms  reset      answer late; drop the connection before anything is done
 *   lost  truncate          do it, then drop the connection; or half way in the body
 *   html[=502]  redirect[=URL]  garbage  big  deep  chunked
 *   empty-page  bad-next-link=URL  next-link=null|missing|empty  ints-as-strings
 *   forbid=rbac|policy|firewall|accessdenied|connection[:NAMEGLOB]  disabled=NAMEGLOB
 *   limbo=300ms             deletes and recoveries take this long (else 200 ms)
 *   challenge=scope|resource  http-401-once  claims-challenge
 *   token-lifetime=S  token-tenant=ID  token-expires-in-string
 *
 * Modifiers: a probability (0.2), first=N, for=5s (from its first strike),
 * always (the default), retry-after=S, retry-after-ms=N, retry-after-date=S, op=NAME
 * (get, set, list, ...). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "moonlatch.h"

typedef enum ml_dv_fault_kind {
    ML_DV_STATUS,
    ML_DV_DELAY,
    ML_DV_RESET,
    ML_DV_LOST,
    ML_DV_TRUNCATE,
    ML_DV_HTML,
    ML_DV_REDIRECT,
    ML_DV_GARBAGE,
    ML_DV_BIG,
    ML_DV_DEEP,
    ML_DV_CHUNKED,
    ML_DV_EMPTY_PAGE,
    ML_DV_BAD_NEXT_LINK,
    ML_DV_NEXT_LINK,
    ML_DV_INTS_AS_STRINGS,
    ML_DV_FORBID,
    ML_DV_DISABLED,
    ML_DV_LIMBO,
    ML_DV_CHALLENGE,
    ML_DV_401_ONCE,
    ML_DV_CLAIMS_CHALLENGE,
    ML_DV_TOKEN_LIFETIME,
    ML_DV_TOKEN_TENANT,
    ML_DV_EXPIRES_IN_STRING
} ml_dv_fault_kind;

typedef struct ml_dv_fault {
    ml_dv_fault_kind kind;
    bool is_token;  /* strikes the token endpoint, not the vault */
    int number;     /* a status, milliseconds or seconds */
    char text[512]; /* a word, a name or a URL */
    char glob[128]; /* forbid: which names; "" means all */
    char op[24];    /* only this operation; "" means all */
    double chance;  /* 0..1 */
    int64_t first;  /* at most so often; -1: no limit */
    int for_ms;     /* so long after it struck first; 0: no limit */
    int64_t struck, began_ms;
    int retry_after_s; /* -1: none, as for the next two */
    int retry_after_ms;
    int retry_after_date_s;
} ml_dv_fault;

typedef struct ml_dv_faults {
    ml_dv_fault *items; /* owned */
    size_t n;
    uint64_t random; /* state of the generator, never 0 */
} ml_dv_faults;

/* ML_EUSAGE names the spec and what is wrong with it. */
int ml_dv_fault_parse(ml_dv_fault *out, const char *spec, ml_err *e);
/* seed 0: a random one. */
int ml_dv_faults_init(ml_dv_faults *fs, const char *const *specs, size_t n,
                      uint64_t seed, ml_err *e);
void ml_dv_faults_fini(ml_dv_faults *fs);

/* Does this one strike now?  Counts and rolls. */
bool ml_dv_fault_strikes(ml_dv_faults *fs, ml_dv_fault *f, bool is_token,
                         const char *op);
/* The first fault of a kind that strikes now, or NULL. */
ml_dv_fault *ml_dv_faults_of(ml_dv_faults *fs, ml_dv_fault_kind kind, bool is_token,
                             const char *op);
