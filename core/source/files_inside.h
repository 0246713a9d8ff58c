/* files_inside.h - what files.c and the kinds of file sources share. */
#pragma once
#include "base/buf.h"
#include "source/files.h"

typedef struct files files;

/* How one kind answers; errors go to op->err, found ones to op->secret or op->list. */
typedef struct files_kind {
    ml_source_kind kind;
    const char *what; /* in the label: "dotenv file" */
    void (*get)(const files *f, ml_str key, ml_op *op);
    void (*list)(const files *f, ml_op *op);
} files_kind;

struct files {
    ml_source source;
    ml_loop *loop;
    const files_kind *kind;
    ml_files_options o; /* its texts are owned */
};

extern const files_kind ml_files_dotenv, ml_files_directory, ml_files_local;

ml_op *ml_files_start(ml_source *s, const ml_source_call *c, ml_op_done *done,
                      void *arg);
void ml_files_free(ml_source *s);
/* Any key but the empty one. */
int ml_files_check_any(const ml_source *s, ml_str key, ml_secret *value, ml_err *e);

/* The bytes of the source's file; false: op->err is filled. */
bool ml_files_read(const files *f, ml_op *op, ml_buf *text);

/* Fills op->secret. */
void ml_files_found(const files *f, ml_op *op, ml_str key, ml_str value);
/* Adds one name to op->list. */
void ml_files_listed(const files *f, ml_op *op, ml_str key);
/* The reason why a file cannot be read, as this source counts it. */
void ml_files_unread(const files *f, ml_op *op, const ml_err *why);
/* The file can be read, and the key is not in it. */
void ml_files_no_key(const files *f, ml_op *op, ml_str key);
/* The file cannot be understood: at this line (0: none in particular), about this key.
 */
void ml_files_broken(const files *f, ml_op *op, int line, ml_str key,
                     const char *reason);
