/* files.h - local files as sources: a dotenv file, one file as one secret, a directory
 * of files, a file as Airflow's LocalFilesystemBackend reads it.
 *
 * All can be got from and listed, none can be written.  Nothing is kept: each call
 * reads what is there at that moment.  A key that is not in a file that can be read is
 * missing; a file that is not there is unavailable (optional: missing, too), one that
 * may not be read is forbidden, and one that cannot be understood is invalid. */
#pragma once
#include "source/source.h"

typedef enum ml_files_kind {
    ML_FILES_DOTENV,    /* key: a variable of the file */
    ML_FILES_FILE,      /* any key, or the one that is given: the whole file */
    ML_FILES_DIRECTORY, /* key: a file below it, a/b in a directory a */
    ML_FILES_LOCAL      /* key: of the file's map; see local_file.h */
} ml_files_kind;

/* Everything is copied. */
typedef struct ml_files_options {
    ml_files_kind kind;
    const char *alias;
    const char *path;  /* best absolute */
    bool is_optional;  /* what is not there has no keys */
    bool trim_newline; /* FILE, DIRECTORY: one newline at the end is not the secret's */
    bool shows_hidden; /* DIRECTORY: also names that begin with a dot */
    bool are_connections; /* LOCAL */
    const char *key;      /* FILE: the only key; NULL: any */
} ml_files_options;

/* ML_EUSAGE says which option is wrong.  Does not look at the file. */
ml_source *ml_files_source_new(ml_loop *loop, const ml_files_options *o, ml_err *e);
