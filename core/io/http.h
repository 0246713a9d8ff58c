/* http.h - one HTTP exchange, and the same with retries under one deadline.
 *
 * Never follows redirects, never decodes bodies, https only (plain http only where
 * the caller allows it: loopback and link-local identity endpoints).  The request
 * body and the response body live in scrubbing buffers. */
#pragma once
#include "base/buf.h"
#include "io/gate.h"
#include "io/loop.h"
#include "io/retry.h"
#include "io/tls.h"

enum { ML_HTTP_MAX_CHALLENGES = 4 };

typedef struct ml_http_request {
    const char *method; /* "GET"; static text */
    ml_buf url;         /* shown in traces and logs without its query */
    ml_buf body;
    const char *content_type; /* static text; NULL: no body header */
    ml_secret *authorization; /* the whole header, or NULL; owned */
    size_t max_bytes;         /* of the response body; 0 means 1 MiB */
    int64_t deadline_ms;      /* monotonic, for everything */
    bool is_idempotent;       /* may be sent again when no answer came */
    ml_gate *gate;            /* every try waits for its turn here; NULL: none */
    const char *source;       /* whose it is, for metrics: an alias that lives as long;
                               * NULL: nobody's */
    char client_request_id[40];
    char traceparent[56]; /* "": none; of each try, made here */
    /* For services that are not Azure's.  Bare: no headers but these and User-Agent, no
     * retry but max_tries - 1, and no word of vaults in errors. */
    bool is_bare;
    ml_buf headers;     /* "Name: value" NUL "Name: value" NUL ...; scrubbed */
    bool hides_path;    /* a part of the URL is secret: shown without its path */
    bool is_plain;      /* http://, which the caller has found to be loopback */
    char *ca_file;      /* trusted for this request alone instead; owned, or NULL */
    int max_tries;      /* at least 1 */
    bool keeps_headers; /* into response->headers */
} ml_http_request;

typedef struct ml_http_response {
    int status;
    ml_buf body;
    char content_type[64];
    char request_id[64]; /* x-ms-request-id */
    int retry_after_ms;  /* 0: none */
    int n_challenges;    /* WWW-Authenticate lines, in order */
    char *challenges[ML_HTTP_MAX_CHALLENGES];
    ml_buf headers; /* when kept: "name: value" NUL ..., as they came */
} ml_http_response;

typedef struct ml_http ml_http; /* an op */

/* What every exchange of one resolver shares. */
typedef struct ml_http_client {
    ml_loop *loop;
    const ml_tls *tls;
    const char *proxy;    /* NULL or "": none */
    const char *no_proxy; /* hosts that do without it, as NO_PROXY has them */
    int connect_ms;
    ml_retry retry;
} ml_http_client;

void ml_http_request_init(ml_http_request *q);
void ml_http_request_fini(ml_http_request *q);
void ml_http_response_fini(ml_http_response *r);

/* Takes over the request's contents (q is left empty).  op->err is set only when no
 * usable answer came: an answer of any status is a success here; the protocol layer
 * decides what it means.  With `retry`, transient statuses and failures are tried
 * again, waiting as retry.h says, until the deadline; the last answer is the result.
 * With a gate, a 429 waits there for as long as it takes, with all the others. */
ml_op *ml_http_start(const ml_http_client *c, ml_http_request *q, bool retry,
                     ml_trace *trace, ml_op_done *done, void *arg);
/* Valid in the op's done. */
ml_http_response *ml_http_answer(ml_op *op);
/* What the last try that was answered brought, 0 for none; also while another one is
 * under way. */
int ml_http_last_status(const ml_op *op, int *retry_after_ms);
