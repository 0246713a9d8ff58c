/* listen.c - sockets that wait for clients, on loopback unless told otherwise. */
#include "devvault/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/str.h"

enum { BACKLOG = 128, TRIES = 20 };

typedef struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } to;
    socklen_t len;
    bool is_loopback;
} address;

void ml_dv_sockets_close(ml_dv_sockets *s)
{
    for (int i = 0; i < s->n; i++) {
        if (s->fds[i] >= 0) close(s->fds[i]);
    }
    s->n = 0;
}

static address v4_address(struct in_addr a, int port)
{
    address r = {.len = sizeof(r.to.v4)};
    r.to.v4 = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_addr = a, .sin_port = htons((uint16_t)port)};
    r.is_loopback = (ntohl(a.s_addr) >> 24) == 127;
    return r;
}

static address v6_address(struct in6_addr a, int port)
{
    address r = {.len = sizeof(r.to.v6)};
    r.to.v6 = (struct sockaddr_in6){
        .sin6_family = AF_INET6, .sin6_addr = a, .sin6_port = htons((uint16_t)port)};
    r.is_loopback = IN6_IS_ADDR_LOOPBACK(&a);
    return r;
}

/* 0, or -1 with errno. */
static int open_socket(ml_dv_sockets *s, const address *a)
{
    int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, on = 1;
    int fd = socket(a->to.any.sa_family, type, 0);
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    /* Accepted sockets inherit it; without it each answer waits 40 ms for an ACK. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    bool is_v6 = a->to.any.sa_family == AF_INET6;
    if (is_v6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (bind(fd, &a->to.any, a->len) != 0 || listen(fd, BACKLOG) != 0) {
        int why = errno;
        close(fd);
        errno = why;
        return -1;
    }
    address got = {.len = sizeof(got.to)};
    getsockname(fd, &got.to.any, &got.len);
    s->port = ntohs(is_v6 ? got.to.v6.sin6_port : got.to.v4.sin_port);
    s->fds[s->n++] = fd;
    return 0;
}

/* Both loopbacks on one port; a machine without IPv6 has only the first. */
static int listen_localhost(ml_dv_sockets *s, int port, ml_err *e)
{
    struct in_addr v4 = {htonl(INADDR_LOOPBACK)};
    for (int i = 0; i < TRIES; i++) {
        address a = v4_address(v4, port);
        if (open_socket(s, &a) != 0) break;
        address b = v6_address(in6addr_loopback, s->port);
        if (open_socket(s, &b) == 0 || errno != EADDRINUSE) return 0;
        ml_dv_sockets_close(s);
        if (port != 0) break; /* else: another one, please */
    }
    return ml_fail(e, ML_ESYSTEM, "cannot listen on localhost:%d: %s", port,
                   strerror(errno));
}

/* Each of these is, or includes, what localhost resolves to. */
static void name_host(ml_dv_sockets *s, const char *host, bool is_v6)
{
    static const char *const local[] = {"localhost", "127.0.0.1", "::1", "0.0.0.0",
                                        "::"};
    for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++) {
        if (ml_str_ieq(ml_str_of(host), ml_str_of(local[i]))) host = "localhost";
    }
    bool in_brackets = is_v6 && strchr(host, ':');
    snprintf(s->host, sizeof(s->host), "%s%s%s", in_brackets ? "[" : "", host,
             in_brackets ? "]" : "");
}

static int bad_address(const char *where, ml_err *e)
{
    return ml_fail(e, ML_EUSAGE,
                   "cannot listen on '%s': use HOST:PORT with localhost, "
                   "127.0.0.1, [::1] or another numeric address",
                   where);
}

int ml_dv_listen(ml_dv_sockets *s, const char *where, bool allow_remote, ml_err *e)
{
    *s = (ml_dv_sockets){0};
    const char *colon = strrchr(where, ':');
    uint64_t port;
    char host[60];
    if (!colon || !ml_str_to_u64(ml_str_of(colon + 1), &port) || port > 65535) {
        return bad_address(where, e);
    }
    ml_str h = {where, (size_t)(colon - where)};
    bool bracketed = h.n > 2 && h.p[0] == '[' && h.p[h.n - 1] == ']';
    if (bracketed) h = (ml_str){h.p + 1, h.n - 2};
    if (h.n == 0 || h.n >= sizeof(host)) return bad_address(where, e);
    memcpy(host, h.p, h.n);
    host[h.n] = '\0';
    name_host(s, host, strchr(host, ':') != NULL);
    if (ml_str_ieq(h, ML_LIT("localhost"))) return listen_localhost(s, (int)port, e);
    struct in_addr v4;
    struct in6_addr v6;
    address a;
    if (inet_pton(AF_INET, host, &v4) == 1)
        a = v4_address(v4, (int)port);
    else if (inet_pton(AF_INET6, host, &v6) == 1)
        a = v6_address(v6, (int)port);
    else
        return bad_address(where, e);
    if (!a.is_loopback && !allow_remote) {
        return ml_fail(e, ML_EUSAGE,
                       "%s is not a loopback address; the dev vault is for this "
                       "machine only, unless --allow-remote is given",
                       where);
    }
    if (open_socket(s, &a) == 0) return 0;
    return ml_fail(e, ML_ESYSTEM, "cannot listen on %s: %s", where, strerror(errno));
}
