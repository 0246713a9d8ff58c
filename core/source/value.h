/* value.h - what a JSON or YAML text holds, as a tree in memory that is scrubbed.
 *
 *     ml_values v;
 *     ml_values_init(&v);
 *     ml_value *top = ml_value_of_json(&v, text);   NULL: v.problem says why
 *     ...
 *     ml_values_fini(&v);
 *
 * Scalars are kept as Python would show them (str): None, True, 10.0.  Texts are views
 * into the text that was read, where they can be; so it must live as long as the tree.
 * YAML's aliases make it a graph without cycles; writing it out is bounded by the
 * buffer. */
#pragma once
#include "base/buf.h"

typedef enum ml_value_kind {
    ML_VALUE_NULL,
    ML_VALUE_BOOL,
    ML_VALUE_INT,
    ML_VALUE_FLOAT,
    ML_VALUE_OTHER, /* a date: JSON has no word for it */
    ML_VALUE_TEXT,
    ML_VALUE_LIST,
    ML_VALUE_MAP
} ml_value_kind;

typedef struct ml_value ml_value;
typedef struct ml_member ml_member;

struct ml_value {
    ml_value_kind kind;
    ml_str text;             /* scalars, as Python's str() */
    ml_member *first, *last; /* lists and maps */
    size_t n;
};

/* The keys of a list's members are empty. */
struct ml_member {
    ml_member *next;
    ml_str key;
    ml_value *value;
    size_t place; /* private to ml_value_settle */
};

/* Everything of one tree; scrubbed as a whole. */
typedef struct ml_values {
    struct ml_value_chunk *chunks;
    size_t n_bytes;
    int line;            /* of the problem, 0: of none in particular */
    const char *problem; /* static text; NULL: fine so far */
    bool no_memory;      /* the problem is ours */
    ml_str key;          /* at the top, that it is about; empty: of none */
    ml_str repeated;     /* a key that was there more than once */
} ml_values;

void ml_values_init(ml_values *v);
void ml_values_fini(ml_values *v);
/* Notes the first problem; NULL, so that a reader may return it. */
ml_value *ml_values_fail(ml_values *v, int line, const char *problem);
/* The same for want of memory. */
ml_value *ml_values_nomem(ml_values *v);
/* Zeroed memory; NULL and a problem when there is none, or too much is asked for. */
void *ml_values_alloc(ml_values *v, size_t n);
/* A copy in this memory. */
bool ml_values_copy(ml_values *v, ml_str text, ml_str *out);

ml_value *ml_value_new(ml_values *v, ml_value_kind kind, ml_str text);
bool ml_value_add(ml_values *v, ml_value *container, ml_str key, ml_value *value);
/* The last member of this key, or NULL. */
ml_value *ml_value_find(const ml_value *map, ml_str key);
/* Of equal keys the last value stays, in the place of the first, as in Python. */
bool ml_value_settle(ml_values *v, ml_value *map);
/* An int or a float as JSON writes it. */
ml_value *ml_value_of_number(ml_values *v, ml_str text);
/* What PyYAML makes of a plain scalar: null, yes, 0x10, 1_000.5, 2001-12-14, or a text.
 * NULL and a problem when it makes nothing of it either. */
ml_value *ml_value_of_plain(ml_values *v, ml_str text);

/* One JSON text; one YAML 1.1 document as PyYAML's safe_load reads it. */
ml_value *ml_value_of_json(ml_values *v, ml_str text);
ml_value *ml_value_of_yaml(ml_values *v, ml_str text);

/* Appends JSON.  False: the buffer is full, or a value has no JSON form. */
bool ml_value_write_json(const ml_value *value, ml_buf *out);
