/* test_child.c - helper programs: what they get, what they leave, and that they end.
 *
 * Real programs (/bin/sh) on a real clock; each test is bounded by its child's. */

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"
#include "io/child.h"

typedef struct world {
    ml_log log;
    ml_loop *loop;
    int n_done;
    int code, status;
    char text[400];
    char output[4096];
    size_t n_output;
} world;

static void on_done(ml_op *op, void *arg)
{
    world *w = arg;
    const ml_child_answer *a = ml_child_answer_of(op);
    w->n_done++;
    w->code = op->err.code;
    snprintf(w->text, sizeof(w->text), "%s", op->err.text);
    w->status = a->status;
    w->n_output = a->output.len;
    ml_copy_printable(w->output, sizeof(w->output), ml_buf_str(&a->output).p,
                      a->output.len);
}

static world open_world(void)
{
    world w = {0};
    w.loop = ml_loop_new(&ml_system_clock, &w.log, NULL);
    assert_non_null(w.loop);
    return w;
}

/* Words end with NULL: argv, then NULL, then the environment, then NULL. */
static ml_op *start(world *w, int timeout_ms, size_t max_bytes, ml_secret *input,
                    const char *const *words)
{
    ml_child_request q;
    ml_child_request_init(&q);
    for (; *words; words++) ml_buf_add(&q.argv, *words, strlen(*words) + 1);
    for (words++; *words; words++) ml_buf_add(&q.env, *words, strlen(*words) + 1);
    q.input = input;
    q.max_bytes = max_bytes;
    q.deadline_ms = ml_mono_ms(&ml_system_clock) + timeout_ms;
    w->n_done = 0;
    ml_op *op = ml_child_start(w->loop, &q, NULL, on_done, w);
    assert_non_null(op);
    assert_int_equal(w->n_done, 0); /* never from inside its start */
    return op;
}

static void finish(world *w)
{
    int64_t until_ms = ml_mono_ms(&ml_system_clock) + 20000;
    while (w->n_done == 0 && ml_mono_ms(&ml_system_clock) < until_ms) {
        ml_loop_wait(w->loop, ml_loop_next_ms(w->loop));
        ml_loop_turn(w->loop);
    }
    assert_int_equal(w->n_done, 1);
    ml_loop_free(w->loop);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static world run(const char *script, ml_secret *input)
{
    world w = open_world();
    start(&w, 10000, 0, input, WORDS("/bin/sh", "-c", script, NULL, "A=b c"));
    finish(&w);
    return w;
}

static void test_output(void **state)
{
    (void)state;
    world w = run("echo \"$A $# $HOME\"; pwd; exit 3", NULL);
    assert_int_equal(w.code, 0);
    assert_int_equal(w.status, 3);
    assert_string_equal(w.output, "b c 0 ?/?");
    w = run("kill -TERM $$", NULL);
    assert_int_equal(w.status, 128 + SIGTERM);
    w = run("echo lost >&2", NULL);
    assert_int_equal(w.n_output, 0);
}

/* The input is there at once and ends; without one there is nothing to read. */
static void test_input(void **state)
{
    (void)state;
    static char big[200 * 1024];
    memset(big, 'x', sizeof(big));
    world w = run("wc -c", ml_secret_of_bytes((ml_str){big, sizeof(big)}));
    assert_string_equal(w.output, "204800?");
    w = run("exec cat", ml_secret_of_bytes(ML_LIT("hush")));
    assert_string_equal(w.output, "hush");
    w = run("exec cat", NULL);
    assert_int_equal(w.n_output, 0);
    w = run("exit 0", ml_secret_of_bytes((ml_str){big, sizeof(big)})); /* unread */
    assert_int_equal(w.code, 0);
}

/* No descriptor of the host's gets through, nor its mask and ignored signals. */
static void test_clean(void **state)
{
    (void)state;
    int leak = fcntl(STDERR_FILENO, F_DUPFD, 100); /* without CLOEXEC, on purpose */
    sigset_t some, before;
    sigemptyset(&some);
    sigaddset(&some, SIGTERM);
    sigprocmask(SIG_BLOCK, &some, &before);
    void (*was)(int) = signal(SIGUSR1, SIG_IGN);
    /* 3 is ls's own; of the ignored signals those that the C library keeps are left out
     */
    world w = run("ls /proc/self/fd | tr '\\n' ' '\n"
                  "while read -r name value; do case $name in\n"
                  "SigBlk:) echo $((0x$value));;\n"
                  "SigIgn:) echo $((0x$value & 0x7fffffff));;\n"
                  "esac; done < /proc/$$/status\n"
                  "read -r _ _ _ _ group session _ < /proc/$$/stat\n"
                  "test $$ = $group -a $$ = $session && echo own",
                  NULL);
    signal(SIGUSR1, was);
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(leak);
    assert_string_equal(w.output, "0 1 2 3 0?0?own?");
}

static void test_cannot_start(void **state)
{
    (void)state;
    world w = open_world();
    start(&w, 10000, 0, NULL, WORDS("/no/such/program", NULL));
    finish(&w);
    assert_int_equal(w.code, ML_EINVALID);
    assert_string_equal(
        w.text, "/no/such/program cannot be started: No such file or directory");
    w = open_world();
    start(&w, 10000, 0, NULL, WORDS("/etc/passwd", NULL));
    finish(&w);
    assert_non_null(strstr(w.text, "Permission denied"));
}

/* Has a process this word among its arguments? */
static bool has_word(const char *path, const char *word)
{
    char words[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, words, sizeof(words)) : -1;
    if (fd >= 0) close(fd);
    return n > 0 && memmem(words, (size_t)n, word, strlen(word) + 1);
}

static bool is_found(const char *word)
{
    bool is_there = false;
    glob_t all;
    assert_int_equal(glob("/proc/[0-9]*/cmdline", 0, NULL, &all), 0);
    for (size_t i = 0; !is_there && i < all.gl_pathc; i++)
        is_there = has_word(all.gl_pathv[i], word);
    globfree(&all);
    return is_there;
}

/* For more than a moment: killed is not gone, on a busy machine. */
static bool is_running(const char *word)
{
    for (int i = 0; i < 100 && is_found(word); i++) usleep(50 * 1000);
    return is_found(word);
}

/* The time limit ends the program and what it started. */
static void test_deadline(void **state)
{
    (void)state;
    world w = open_world();
    int64_t began_ms = ml_mono_ms(&ml_system_clock);
    start(&w, 300, 0, NULL,
          WORDS("/bin/sh", "-c", "/bin/sleep 73.7301 & /bin/sleep 73.7302; echo no",
                NULL));
    finish(&w);
    assert_true(ml_mono_ms(&ml_system_clock) - began_ms < 5000);
    assert_int_equal(w.code, ML_EUNAVAILABLE);
    assert_non_null(strstr(w.text, "did not end in time"));
    assert_false(is_running("73.7301"));
    assert_false(is_running("73.7302"));
}

/* It ends when the program does, not when those do that it left behind. */
static void test_left_behind(void **state)
{
    (void)state;
    world w = open_world();
    start(&w, 15000, 0, NULL,
          WORDS("/bin/sh", "-c", "/bin/sleep 73.7303 & echo yes", NULL));
    int64_t began_ms = ml_mono_ms(&ml_system_clock);
    finish(&w);
    assert_true(ml_mono_ms(&ml_system_clock) - began_ms < 10000);
    assert_string_equal(w.output, "yes?");
    assert_false(is_running("73.7303"));
}

static void test_cancel(void **state)
{
    (void)state;
    world w = open_world();
    ml_op *op = start(&w, 60000, 0, NULL, WORDS("/bin/sleep", "73.7304", NULL));
    ml_loop_turn(w.loop);
    ml_op_cancel(op);
    finish(&w);
    assert_int_equal(w.code, ML_ECANCELED);
    assert_false(is_running("73.7304"));
    w = open_world(); /* closing the loop ends it, too */
    start(&w, 60000, 0, NULL, WORDS("/bin/sleep", "73.7305", NULL));
    ml_loop_free(w.loop);
    assert_int_equal(w.n_done, 1);
    assert_false(is_running("73.7305"));
}

static void test_too_much(void **state)
{
    (void)state;
    world w = open_world();
    start(&w, 10000, 1000, NULL, WORDS("/bin/cat", "/dev/zero", NULL));
    finish(&w);
    assert_int_equal(w.code, ML_EINVALID);
    assert_string_equal(w.text, "/bin/cat wrote more than 1000 bytes");
    w = open_world();
    start(&w, 10000, 1000, NULL,
          WORDS("/usr/bin/head", "-c", "1000", "/dev/zero", NULL));
    finish(&w);
    assert_int_equal(w.code, 0);
    assert_int_equal(w.n_output, 1000);
}

/* A child of the host's own is neither reaped nor killed; ours leave no zombies. */
static void test_others(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", "exit 7", (char *)NULL);
        _exit(1);
    }
    run("exit 0", NULL);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_int_equal(waitpid(-1, &status, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

/* A host that has children reaped for it loses the status, and is told. */
static void test_ignored(void **state)
{
    (void)state;
    void (*was)(int) = signal(SIGCHLD, SIG_IGN);
    world w = run("exit 0", NULL);
    signal(SIGCHLD, was);
    assert_int_equal(w.code, ML_EINVALID);
    assert_non_null(strstr(w.text, "SIGCHLD"));
}

/* Many at once, and no descriptor is left open. */
static void test_many(void **state)
{
    (void)state;
    int before = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(before);
    world w[20];
    for (int i = 0; i < 20; i++) {
        w[i] = open_world();
        start(&w[i], 10000, 0, NULL, WORDS("/bin/sh", "-c", "echo $0", "n", NULL));
    }
    for (int i = 0; i < 20; i++) {
        finish(&w[i]);
        assert_string_equal(w[i].output, "n?");
    }
    int after = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(after);
    assert_int_equal(before, after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_output),   cmocka_unit_test(test_input),
        cmocka_unit_test(test_clean),    cmocka_unit_test(test_cannot_start),
        cmocka_unit_test(test_deadline), cmocka_unit_test(test_left_behind),
        cmocka_unit_test(test_cancel),   cmocka_unit_test(test_too_much),
        cmocka_unit_test(test_others),   cmocka_unit_test(test_ignored),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
