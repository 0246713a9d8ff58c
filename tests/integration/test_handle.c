/* test_handle.c - what a handle sends for a URL: against a server that says what it
 * got. */
#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "io/handle.h"

/* Answers the first request of a connection with its target, and ends at the second
 * without an answer: libcurl then sends that one again by itself.  Until the listener
 * is shut down. */
typedef struct echo {
    pthread_t thread;
    int fd, port;
    atomic_int n_requests, n_repeated;
} echo;

static echo here, there;

/* The head of a request; false: the connection has ended. */
static bool hear(int fd, char q[2000])
{
    size_t n = 0;
    ssize_t got = 1;
    q[0] = '\0';
    while (n + 1 < 2000 && !strstr(q, "\r\n\r\n") && got > 0) {
        got = recv(fd, q + n, 2000 - 1 - n, 0);
        if (got > 0) n += (size_t)got;
        q[n] = '\0';
    }
    return strstr(q, "\r\n\r\n") != NULL;
}

static void answer(int fd, const char *q)
{
    char target[1000], host[100], text[1200];
    const char *line = strstr(q, "Host: ");
    if (sscanf(q, "GET %999s", target) != 1) return;
    if (!line || sscanf(line, "Host: %99s", host) != 1) return;
    int body = snprintf(NULL, 0, "%s %s", host, target);
    int all = snprintf(text, sizeof(text),
                       "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s %s", body, host,
                       target);
    send(fd, text, (size_t)all, MSG_NOSIGNAL);
}

static void *serve(void *arg)
{
    echo *s = arg;
    char q[2000];
    int fd;
    while ((fd = accept(s->fd, NULL, NULL)) >= 0) {
        if (hear(fd, q)) {
            s->n_requests++;
            answer(fd, q);
            s->n_repeated += hear(fd, q);
        }
        close(fd);
    }
    return NULL;
}

static void open_echo(echo *s)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(at);
    *s = (echo){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_int_equal(bind(s->fd, (struct sockaddr *)&at, n), 0);
    assert_int_equal(listen(s->fd, 16), 0);
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&at, &n), 0);
    s->port = ntohs(at.sin_port);
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void close_echo(echo *s)
{
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->fd);
}

static int start(void **state)
{
    (void)state;
    open_echo(&here);
    open_echo(&there);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    close_echo(&here);
    close_echo(&there);
    return 0;
}

static size_t keep(char *p, size_t size, size_t n, void *arg)
{
    ml_buf_add(arg, p, size * n);
    return size * n;
}

static CURLcode fetch(ml_handle *h, const char *url, ml_buf *text)
{
    ml_buf_init(text, 0);
    assert_true(ml_handle_set_url(h, url));
    curl_easy_setopt(h->easy, CURLOPT_PROXY, "");
    curl_easy_setopt(h->easy, CURLOPT_TIMEOUT_MS, 20000L);
    curl_easy_setopt(h->easy, CURLOPT_WRITEFUNCTION, keep);
    curl_easy_setopt(h->easy, CURLOPT_WRITEDATA, text);
    return curl_easy_perform(h->easy);
}

/* Asks s for `target`, and expects `seen` to be asked for. */
static void expect(ml_handle *h, const echo *s, const char *target, const char *seen)
{
    char url[1000], want[1200];
    ml_buf text;
    snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", s->port, target);
    snprintf(want, sizeof(want), "127.0.0.1:%d %s", s->port, seen);
    assert_int_equal(fetch(h, url, &text), CURLE_OK);
    assert_true(ml_str_eq(ml_buf_str(&text), ml_str_of(want)));
    ml_buf_fini(&text);
}

static void expect_same(ml_handle *h, const echo *s, const char *target)
{
    expect(h, s, target, target);
}

static void test_targets_of_one_origin(void **state)
{
    (void)state;
    ml_handle h;
    assert_true(ml_handle_open(&h));
    expect_same(&h, &here, "/secrets/one?api-version=7.5");
    const CURLU *parsed = h.origin;
    assert_non_null(parsed);
    expect_same(&h, &here, "/secrets/two?api-version=7.5&maxresults=25");
    expect_same(&h, &here, "/");
    expect_same(&h, &here, "/a/../b/./c"); /* byte by byte */
    expect_same(&h, &here, "/a%2fb?c=%20");
    assert_ptr_equal(h.origin, parsed);
    ml_handle_close(&h);
    ml_handle_close(&h);
    assert_true(here.n_repeated > 0); /* the same, when libcurl sends again */
}

static void test_origins_by_turns(void **state)
{
    (void)state;
    ml_handle h;
    assert_true(ml_handle_open(&h));
    for (int i = 0; i < 3; i++) {
        expect_same(&h, &here, "/one");
        expect_same(&h, &there, "/two?x=y");
    }
    ml_handle_close(&h);
}

/* Then curl takes the whole; and what comes after is by parts again. */
static void test_what_has_no_plain_path(void **state)
{
    (void)state;
    ml_handle h;
    assert_true(ml_handle_open(&h));
    expect_same(&h, &here, "/before");
    expect(&h, &here, "", "/");
    expect(&h, &here, "?a=/b", "/?a=/b");
    expect(&h, &here, "/path?x=1#fragment", "/path?x=1");
    expect(&h, &here, "/a/../b#fragment", "/a/../b");
    assert_null(h.origin);
    expect_same(&h, &here, "/after");
    assert_non_null(h.origin);
    static const char *const whole[] = {"http://user:word@127.0.0.1/x",
                                        "http://[fe80::1%25lo]/x", "http:/h://x/p",
                                        "://h/x", "h/x"};
    for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++) {
        assert_true(ml_handle_set_url(&h, whole[i]));
        assert_null(h.origin);
    }
    ml_handle_close(&h);
}

/* Nothing is sent that could end the line, or is no URL at all. */
static void test_what_curl_refuses(void **state)
{
    (void)state;
    ml_handle h;
    char url[200];
    ml_buf text; /* stays empty */
    static const char *const paths[] = {"/a b", "/a\r\nX: y", "/\t", "/\x01"};
    assert_true(ml_handle_open(&h));
    expect_same(&h, &here, "/before");
    int before = here.n_requests;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", here.port, paths[i]);
        assert_int_equal(fetch(&h, url, &text), CURLE_URL_MALFORMAT);
    }
    assert_int_equal(fetch(&h, "http://127.0.0.1:99999/x", &text), CURLE_URL_MALFORMAT);
    assert_int_equal(fetch(&h, "", &text), CURLE_URL_MALFORMAT);
    assert_int_equal(here.n_requests, before);
    expect_same(&h, &here, "/after");
    ml_handle_close(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_targets_of_one_origin),
        cmocka_unit_test(test_origins_by_turns),
        cmocka_unit_test(test_what_has_no_plain_path),
        cmocka_unit_test(test_what_curl_refuses),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
