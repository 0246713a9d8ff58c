/* state.h - the state directory: who may find this dev vault, and how. */
#pragma once
#include <stdio.h>

#include "devvault/server.h"

typedef struct ml_dv_state {
    char dir[3072];
    char ca_file[4096]; /* PATH_MAX: realpath writes here first */
    bool is_ours;       /* made by us: removed at the end */
    bool is_locked;     /* by us, for as long as we run */
    int lock_fd;
} ml_dv_state;

/* Makes the directory (mode 0700); dir NULL: a new one below TMPDIR.  It is ours alone
 * until the end. */
int ml_dv_state_init(ml_dv_state *s, const char *dir, ml_err *e);
/* Writes the `env` file: shell exports, mode 0600. */
int ml_dv_state_write_env(const ml_dv_state *s, const ml_dv *dv, ml_err *e);
/* Removes what is ours. */
void ml_dv_state_fini(ml_dv_state *s);

/* The one line of JSON that says: ready, and where. */
void ml_dv_ready_line(const ml_dv_state *s, const ml_dv *dv, ml_buf *out);
