/* child.c - a helper program as an op: argv, no shell, one deadline, bounded output.
 *
 *   spawn --> output readable --> keep it --> (too much: kill)
 *        \--> pidfd readable  --> read the rest, kill the group, reap --> done
 *        \--> deadline, cancel --> kill the group --> pidfd readable --> ... */
#include "io/child.h"

#include <errno.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "io/spawn.h"

enum { CHUNK_BYTES = 4096 };

typedef struct child {
    ml_op op; /* first: the child is an op */
    ml_child_request request;
    ml_child_answer answer;
    ml_trace *trace;
    pid_t pid;
    int pid_fd; /* -1: none */
    int output_fd;
    ml_watch on_exit;
    ml_watch on_output;
    ml_timer deadline;
} child;

void ml_child_request_init(ml_child_request *q)
{
    *q = (ml_child_request){0};
    ml_buf_init(&q->argv, 0);
    ml_buf_init(&q->env, 0);
}

void ml_child_request_fini(ml_child_request *q)
{
    ml_buf_fini(&q->argv);
    ml_buf_fini(&q->env);
    ml_secret_unref(q->input);
    ml_child_request_init(q);
}

/* Only while nobody has reaped it: then the number is still its own. */
static void kill_group(const child *c)
{
    siginfo_t info = {0};
    if (waitid(P_PIDFD, (id_t)c->pid_fd, &info, WEXITED | WNOHANG | WNOWAIT) == 0)
        kill(-c->pid, SIGKILL);
}

static void close_output(child *c)
{
    ml_loop_unwatch(c->op.loop, &c->on_output);
    if (c->output_fd >= 0) close(c->output_fd);
    c->output_fd = -1;
}

static void refuse_more(child *c)
{
    close_output(c);
    kill_group(c);
    if (c->op.err.code != 0) return;
    if (!c->answer.output.is_full) {
        ml_fail(&c->op.err, ML_ENOMEM, "out of memory for what %.100s writes",
                c->request.argv.data);
        return;
    }
    ml_fail(&c->op.err, ML_EINVALID, "%.100s wrote more than %zu bytes",
            c->request.argv.data, c->answer.output.max);
}

/* What is there now. */
static void read_output(child *c)
{
    char chunk[CHUNK_BYTES];
    ssize_t n = -1;
    while (c->output_fd >= 0) {
        n = read(c->output_fd, chunk, sizeof(chunk));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        ml_buf_add(&c->answer.output, chunk, (size_t)n);
        if (!ml_buf_ok(&c->answer.output)) refuse_more(c);
    }
    ml_scrub(chunk, sizeof(chunk));
    if (n == 0) close_output(c);
}

static void on_output(ml_watch *w, void *arg)
{
    (void)w;
    read_output(arg);
}

static int fail_lost(child *c)
{
    return ml_fail(
        &c->op.err, ML_EINVALID,
        "the exit status of %.100s is lost: does this process ignore SIGCHLD, "
        "or wait for every child?",
        c->request.argv.data);
}

static void reap(child *c)
{
    siginfo_t info = {0};
    int rc;
    do {
        rc = waitid(P_PIDFD, (id_t)c->pid_fd, &info, WEXITED | WNOHANG);
    } while (rc != 0 && errno == EINTR);
    if (rc == 0 && info.si_pid == c->pid) {
        c->answer.status =
            info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
    } else if (c->op.err.code == 0) {
        fail_lost(c);
    }
}

static void on_exit_of(ml_watch *w, void *arg)
{
    child *c = arg;
    ml_timer_stop(c->op.loop, &c->deadline);
    read_output(c);
    close_output(c);
    kill_group(c); /* those it left behind */
    reap(c);
    ml_loop_unwatch(c->op.loop, w);
    close(c->pid_fd);
    c->pid_fd = -1;
    ml_trace_add(c->trace, "exec", "%.80s: status %d", c->request.argv.data,
                 c->answer.status);
    ml_op_finish(&c->op);
}

static void on_deadline(ml_timer *t, void *arg)
{
    (void)t;
    child *c = arg;
    kill_group(c);
    if (c->op.err.code != 0) return;
    ml_fail(&c->op.err, ML_EUNAVAILABLE,
            "%.100s did not end in time and was killed: raise its timeout_ms or the "
            "deadline",
            c->request.argv.data);
}

/* A killed child is reaped before the op ends; it takes no time worth speaking of. */
static void cancel(ml_op *op)
{
    child *c = (child *)op;
    ml_err_clear(&op->err);
    ml_fail(&op->err, ML_ECANCELED, "canceled");
    if (c->pid_fd >= 0) kill_group(c);
}

static void destroy(ml_op *op)
{
    child *c = (child *)op;
    ml_child_request_fini(&c->request);
    ml_buf_fini(&c->answer.output);
    ml_op_fini(op);
    ml_free(c);
}

/* Without a pidfd nobody would tell us of its end. */
static int open_pid(child *c)
{
    c->pid_fd = pidfd_open(c->pid, 0);
    if (c->pid_fd >= 0) return 0;
    if (errno == ESRCH) return fail_lost(c); /* and its number may be another's now */
    kill(-c->pid, SIGKILL);
    waitid(P_PID, (id_t)c->pid, &(siginfo_t){0}, WEXITED);
    return ml_fail(&c->op.err, ML_ESYSTEM,
                   "this system cannot look after a program (pidfd_open, Linux 5.3)");
}

static int begin(child *c)
{
    ml_loop *l = c->op.loop;
    if (!ml_buf_ok(&c->request.argv) || !ml_buf_ok(&c->request.env)) {
        return ml_fail(&c->op.err, ML_EINVALID,
                       "the arguments or variables of a program are too long");
    }
    if (ml_spawn(&c->request, &c->pid, &c->output_fd, &c->op.err) < 0) return -1;
    ml_buf_fini(&c->request.env);
    if (open_pid(c) < 0) return -1;
    ml_timer_start(l, &c->deadline, c->request.deadline_ms, on_deadline, c);
    if (ml_loop_watch(l, &c->on_exit, c->pid_fd, on_exit_of, c) &&
        ml_loop_watch(l, &c->on_output, c->output_fd, on_output, c))
        return 0;
    ml_loop_unwatch(l, &c->on_exit);
    ml_timer_stop(l, &c->deadline);
    kill_group(c);
    waitid(P_PID, (id_t)c->pid, &(siginfo_t){0}, WEXITED);
    close(c->pid_fd);
    c->pid_fd = -1;
    return ml_fail(&c->op.err, ML_ESYSTEM, "no more descriptors can be watched");
}

ml_op *ml_child_start(ml_loop *l, ml_child_request *q, ml_trace *trace,
                      ml_op_done *done, void *arg)
{
    child *c = ml_op_alloc(sizeof(*c));
    if (!c) {
        ml_child_request_fini(q);
        return NULL;
    }
    ml_op_init(&c->op, l, cancel, destroy);
    c->op.done = done;
    c->op.arg = arg;
    c->request = *q;
    ml_child_request_init(q);
    c->trace = trace;
    c->pid_fd = c->output_fd = -1;
    ml_buf_init(&c->answer.output, c->request.max_bytes);
    if (begin(c) == 0) return &c->op;
    close_output(c);
    ml_op_finish(&c->op);
    return &c->op;
}

ml_child_answer *ml_child_answer_of(ml_op *op)
{
    return &((child *)op)->answer;
}
