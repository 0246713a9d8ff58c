/* secret.h - building the one type that holds secret bytes.
 *
 * A secret is one block of locked memory (locked.h): header, texts, tags, value.  It
 * never changes after ml_secret_new, so any number of holders on any thread may read
 * it; the last unref scrubs the whole block. */
#pragma once
#include "base/str.h"
#include "moonlatch.h"

typedef struct ml_tag {
    ml_str name;
    ml_str value;
} ml_tag;

/* What to build from; everything is copied.  Zero means unknown or none. */
typedef struct ml_secret_fields {
    bool has_value; /* false: metadata only, ml_secret_data answers NULL */
    ml_str value;
    ml_str name;
    ml_str source;
    ml_str key;
    ml_str version;
    ml_str content_type;
    ml_str recovery_id;
    const ml_tag *tags;
    size_t n_tags;
    ml_attributes attributes;
} ml_secret_fields;

/* One reference, the caller's.  NULL when out of memory. */
ml_secret *ml_secret_new(const ml_secret_fields *f);
/* The same under another logical name: a reference to s itself when it has that name.
 * NULL when out of memory. */
ml_secret *ml_secret_with_name(ml_secret *s, ml_str name);
/* A copy that differs in its value only.  NULL when out of memory. */
ml_secret *ml_secret_with_value(const ml_secret *s, ml_str value);
/* A plain secret of bytes, e.g. a client secret from the environment. */
ml_secret *ml_secret_of_bytes(ml_str value);
ml_str ml_secret_value(const ml_secret *s);
size_t ml_secret_size(const ml_secret *s); /* of the whole block, in bytes */

/* An ordered, owning list of secrets: what a list operation brings. */
typedef struct ml_secrets {
    ml_secret **items;
    size_t n;
    size_t cap;
} ml_secrets;

void ml_secrets_fini(ml_secrets *l);
/* Takes the reference, also on failure.  False when out of memory. */
bool ml_secrets_add(ml_secrets *l, ml_secret *s);
