/* epoll.c - a host with an epoll loop of its own: names come on stdin, outcomes go out.
 *
 *     epoll POLICY.lua < NAMES
 *
 * However long a vault takes, the next name is read at once.  Values are never shown.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "moonlatch.h"

static ml_resolver *resolver;
static int n_in_flight, n_failed;

static void on_done(ml_request *q, const ml_answer *answer, const ml_err *e, void *arg)
{
    char *name = arg;
    size_t len = 0;
    (void)q;
    n_in_flight--;
    if (e->code != 0) {
        n_failed++;
        printf("%s: %s\n", name, ml_outcome(e->code));
        fprintf(stderr, "%s\n", e->text);
    } else {
        ml_secret_data(ml_answer_at(answer, 0), &len);
        printf("%s: found, %zu bytes\n", name, len);
    }
    free(name);
}

static void ask(const char *line)
{
    ml_err e;
    char *name = strdup(line); /* on_done frees it */
    if (ml_get_start(resolver, name, NULL, 0, on_done, name, &e)) {
        n_in_flight++;
        return;
    }
    n_failed++;
    printf("%s: %s\n", name, ml_outcome(e.code));
    free(name);
}

/* False at the end of the input. */
static bool read_names(void)
{
    static char text[4096];
    static size_t n;
    ssize_t got = read(STDIN_FILENO, text + n, sizeof(text) - 1 - n);
    if (got <= 0) return false;
    n += (size_t)got;
    text[n] = '\0';
    char *line = text, *end;
    while ((end = strchr(line, '\n'))) {
        *end = '\0';
        ask(line);
        line = end + 1;
    }
    n -= (size_t)(line - text);
    memmove(text, line, n);
    return true;
}

static void watch(int epoll_fd, int fd)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev) == 0) return;
    perror("epoll_ctl");
    exit(1);
}

int main(int argc, char **argv)
{
    struct epoll_event ev;
    ml_err e;
    bool is_open = true;
    ml_options o = {ML_OPTIONS_INIT, .policy_file = argc > 1 ? argv[1] : ""};
    if (ml_open(&resolver, &o, &e) < 0) {
        fprintf(stderr, "cannot open: %s\n", e.text);
        return 2;
    }
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    watch(epoll_fd, STDIN_FILENO);
    watch(epoll_fd, ml_fd(resolver)); /* the same one as long as the handle lives */
    while (is_open || n_in_flight > 0) {
        if (epoll_wait(epoll_fd, &ev, 1, -1) != 1) continue;
        if (ev.data.fd == ml_fd(resolver)) {
            ml_step(resolver, 0); /* does what is ready, calls on_done */
        } else if (!read_names()) {
            is_open = false;
            epoll_ctl(epoll_fd, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
        }
    }
    close(epoll_fd);
    ml_close(resolver);
    return n_failed > 0;
}
