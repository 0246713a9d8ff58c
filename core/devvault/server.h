/* server.h - the running dev vault, and one request on its way through it. */
#pragma once
#include <event2/event.h>
#include <event2/http.h>

#include "base/buf.h"
#include "devvault/devvault.h"
#include "devvault/faults.h"
#include "devvault/stats.h"
#include "devvault/store.h"
#include "devvault/text.h"

enum { ML_DV_KEY_BYTES = 32, ML_DV_PAGE_SIZE = 25 };

/* Settings after defaults; everything owned. */
typedef struct ml_dv_config {
    char **vaults;
    size_t n_vaults;
    char tenant_id[128];
    char client_id[128];
    ml_buf client_secret;
    ml_buf expired_secret; /* empty: none */
    ml_buf identity_header;
    int page_size;
    int token_lifetime_s;
    bool verbose;
} ml_dv_config;

typedef struct ml_dv {
    ml_dv_config config;
    struct event_base *base;
    ml_dv_store *store;
    ml_dv_faults faults;
    ml_dv_stats stats;
    unsigned char token_key[ML_DV_KEY_BYTES];
    unsigned char backup_key[ML_DV_KEY_BYTES];
    const char *host; /* of our URLs, borrowed */
    int port;
    const char *imds_host;
    int imds_port;                  /* 0: none */
    struct ml_dv_exchange *waiting; /* answers that wait for their delay */
} ml_dv;

/* How the answer leaves. */
typedef enum ml_dv_delivery {
    ML_DV_WHOLE,
    ML_DV_IN_CHUNKS,
    ML_DV_TRUNCATED,
    ML_DV_DROPPED
} ml_dv_delivery;

/* One request and its answer; lives until the answer has been handed to libevent. */
typedef struct ml_dv_exchange {
    ml_dv *dv;
    struct evhttp_request *req;
    enum evhttp_cmd_type method;
    ml_str path; /* as sent, still percent-encoded */
    ml_str query;
    char host[264];     /* as sent, with its port */
    char hostname[256]; /* without it; [::1] keeps its brackets */
    ml_buf body;        /* of the request */
    const char *vault;  /* which one the host selects; NULL: none of ours */
    bool is_token;      /* identity endpoints: token faults apply, not vault ones */
    const char *op;     /* for counting: "get", "token", ... */
    int status;         /* of the answer; 0: none yet */
    ml_buf out;         /* its body */
    bool is_json;
    ml_dv_delivery delivery;
    int delay_ms;
    struct event *timer; /* private to exchange.c, like the next two */
    struct ml_dv_exchange *next, **link;
} ml_dv_exchange;

/* Fills in an answer; the last one given wins. */
void ml_dv_answer(ml_dv_exchange *x, int status);
void ml_dv_header(ml_dv_exchange *x, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* NULL when it was not sent. */
const char *ml_dv_sent_header(const ml_dv_exchange *x, const char *name);
/* A decoded query parameter; false when it is not there. */
bool ml_dv_query(const ml_dv_exchange *x, const char *name, ml_buf *out);

/* An answer in Key Vault's error form; inner may be NULL.  Answers false, always. */
bool ml_dv_refuse(ml_dv_exchange *x, int status, const char *code, const char *inner,
                  const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* The store or memory failed: 500, and a line on stderr. */
bool ml_dv_broken(ml_dv_exchange *x, const ml_err *e);

/* The endpoints. */
void ml_dv_serve_vault(ml_dv_exchange *x);    /* vault.c: /secrets, /deletedsecrets */
void ml_dv_serve_entra(ml_dv_exchange *x);    /* entra.c: /{tenant}/... */
void ml_dv_serve_identity(ml_dv_exchange *x); /* identity.c: managed identity */
