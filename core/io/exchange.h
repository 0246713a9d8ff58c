/* exchange.h - one request, one answer: the part of http that knows curl. */
#pragma once
#include "io/http.h"

typedef struct ml_exchange ml_exchange;
typedef void ml_exchange_done(ml_exchange *x, CURLcode code, void *arg);

/* Embedded in ml_http; lives through all tries. */
struct ml_exchange {
    const ml_http_client *client;
    const ml_http_request *request;
    ml_http_response *response;
    ml_trace *trace;
    ml_exchange_done *done;
    void *arg;
    ml_handle handle; /* without an easy handle nothing is under way */
    ml_transfer transfer;
    struct curl_slist *headers;
    struct curl_slist authorization; /* one of them; the text is the request's */
    int64_t began_ms;
    size_t body_read; /* of a body that is sent once: how far */
    bool has_no_room; /* for its answer: within the limit, or in memory */
    int proxy_status; /* of its CONNECT; 0: none */
    long verified;    /* OpenSSL's word on the server's certificate */
    bool was_sent;    /* at least a part of the request may have reached the server */
    char retry_after[3][32]; /* retry-after-ms, x-ms-retry-after-ms, Retry-After; one
                              * that is longer than any date is none */
};

/* Sends the request; left_ms > 0 is what remains until the deadline.  ML_ENOMEM or
 * ML_ESYSTEM when it cannot even begin; else done is called from the loop. */
int ml_exchange_start(ml_exchange *x, int64_t left_ms, ml_err *e);
/* Ends it without done.  Idempotent. */
void ml_exchange_stop(ml_exchange *x);
/* Turns curl's verdict into an error that names the host and the cause. */
void ml_exchange_explain(const ml_exchange *x, CURLcode code, ml_err *e);
/* Is it one of those where nobody answered? */
bool ml_exchange_is_outage(CURLcode code);
/* May the same request be sent again after this failure? */
bool ml_exchange_may_repeat(const ml_exchange *x, CURLcode code);
