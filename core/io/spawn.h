/* spawn.h - starting a program with posix_spawn; for child.c. */
#pragma once
#include <sys/types.h>

#include "io/child.h"

/* Starts it.  *output_fd: what it writes, does not block.  0, or ML_EINVALID with the
 * system's reason, ML_ESYSTEM, ML_ENOMEM. */
int ml_spawn(const ml_child_request *q, pid_t *pid, int *output_fd, ml_err *e);
