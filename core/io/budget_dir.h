/* budget_dir.h - a directory in which processes of this host keep the budgets that they
 * share: opened once, and refused when others could change what is in it. */
#pragma once
#include "moonlatch.h"

typedef struct ml_budget_dir {
    int fd;
    char *path; /* absolute; for texts */
} ml_budget_dir;

/* ML_EUSAGE: not there, not a directory, a symbolic link, somebody else's, or one that
 * everybody may write to without the sticky bit.  ML_ESYSTEM, ML_ENOMEM. */
int ml_budget_dir_open(ml_budget_dir **out, const char *path, ml_err *e);
void ml_budget_dir_close(ml_budget_dir *d); /* accepts NULL */
