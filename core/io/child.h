/* child.h - a helper program as an op: argv, no shell, one deadline, bounded output.
 *
 * The child gets a session and process group of its own, the directory /, the variables
 * that are listed and no others, its input from memory, no descriptors but 0, 1 and 2
 * (2 is /dev/null), default signal handlers and an empty signal mask.  When it ends, at
 * the deadline or on cancel, the whole group is killed.
 *
 * Uses posix_spawn, so it may be started in a process with threads, and a pidfd: no
 * SIGCHLD handler is installed and no other child is reaped.  A host that reaps every
 * child itself (waitpid(-1), or SIGCHLD ignored) takes the exit status away: such a
 * call ends as ML_EINVALID. */
#pragma once
#include "base/buf.h"
#include "io/loop.h"

typedef struct ml_child_request {
    ml_buf argv;         /* "/bin/program" NUL "argument" NUL ... */
    ml_buf env;          /* "NAME=value" NUL ...; may be secret, scrubbed */
    ml_secret *input;    /* referenced, or NULL: empty */
    size_t max_bytes;    /* of its output; 0 means 1 MiB */
    int64_t deadline_ms; /* monotonic */
} ml_child_request;

typedef struct ml_child_answer {
    int status; /* what it gave to exit; 128 + signal when one ended it */
    ml_buf output;
} ml_child_answer;

void ml_child_request_init(ml_child_request *q);
void ml_child_request_fini(ml_child_request *q);

/* Takes over the request's contents (q is left empty).  Without an error the program
 * ran and ended by itself, whatever its status.  NULL: out of memory. */
ml_op *ml_child_start(ml_loop *l, ml_child_request *q, ml_trace *trace,
                      ml_op_done *done, void *arg);
/* Valid in the op's done. */
ml_child_answer *ml_child_answer_of(ml_op *op);
