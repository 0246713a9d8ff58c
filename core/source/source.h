/* source.h - something that can fetch a key: the one interface that plans are walked
 * over. */
#pragma once
#include "base/secret.h"
#include "io/loop.h"

/* What a source is asked.  Views: they must live until the start function returns,
 * which copies what it needs. */
typedef struct ml_source_call {
    ml_verb verb; /* any but ML_EXPLAIN */
    ml_str key;
    ml_str version;   /* empty: the latest */
    ml_str name;      /* ML_GET: how who asks calls it; a hint: it saves a copy later */
    ml_secret *value; /* ML_PUT, ML_RESTORE; borrowed, referenced if kept */
    bool has_content_type;
    ml_str content_type;
    bool has_tags;
    const ml_tag *tags;
    size_t n_tags;
    int enabled;          /* 0 leave, 1 yes, -1 no */
    int64_t not_before_s; /* 0 leave */
    int64_t expires_s;    /* 0 leave */
    int64_t deadline_ms;  /* monotonic */
    ml_trace *trace;      /* may be NULL; outlives the op */
} ml_source_call;

typedef struct ml_source ml_source;

typedef struct ml_source_kind {
    const char *name; /* "key_vault", "environment" */
    bool is_writable;
    /* Is this key one that the source could have, and the value one that it could keep
     * (NULL: only the key is asked about)?  0, or ML_EUSAGE with the reason. */
    int (*check)(const ml_source *s, ml_str key, ml_secret *value, ml_err *e);
    /* Answers that need no waiting still come through the loop.  Errors too, save
     * ML_ENOMEM: NULL. */
    ml_op *(*start)(ml_source *s, const ml_source_call *c, ml_op_done *done, void *arg);
    void (*free)(ml_source *s);
} ml_source_kind;

/* First member of every source. */
struct ml_source {
    const ml_source_kind *kind;
    int refs;             /* single-threaded: under the resolver's lock */
    bool ignores_case;    /* keys that differ in the case of a-z are one */
    uint32_t store;       /* alike for sources that are the same store, whatever their
                           * aliases: what one changes, all forget.  0: it is alone */
    struct ml_kept *kept; /* where what it said is kept, and under what number; NULL: */
    uint32_t kept_as;     /* nothing is.  Both filled at the first call (flight.c) */
    char alias[64];       /* how traces, errors and `list` call it */
    char label[300];      /* what it is, for people: "https://acme.vault.azure.net" */
};

ml_source *ml_source_ref(ml_source *s);
void ml_source_unref(ml_source *s); /* accepts NULL */
int ml_source_check(const ml_source *s, ml_str key, ml_secret *value, ml_err *e);
/* A verb that the kind cannot do ends in ML_EUSAGE.  On success, a get, update, ...
 * leaves op->secret; lists leave op->list; purge leaves neither.  Secrets carry the
 * source's alias and the key.  In op->err, source and key are always filled. */
ml_op *ml_source_start(ml_source *s, const ml_source_call *c, ml_op_done *done,
                       void *arg);

/* For the kinds.  Fills source and key of op->err. */
void ml_source_name_op(const ml_source *s, ml_str key, ml_op *op);
/* A secret of this source; value NULL: its name only.  NULL: out of memory. */
ml_secret *ml_source_secret(const ml_source *s, ml_str key, const ml_str *value);
/* Sorts by key, and of equal keys keeps the first. */
void ml_source_sort(ml_secrets *list);
