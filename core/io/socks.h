/* socks.h - curl's sockets in an epoll set.
 *
 * curl changes its mind about what to wait for with every request; the set is told once
 * a turn.  It cannot be told that there is no memory for a socket without giving up all
 * that it does, so there is some before it is asked for anything. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ml_sock ml_sock;

typedef struct ml_socks {
    int epoll_fd;
    ml_sock *first;
    ml_sock *spare;
    size_t n; /* of both lists */
} ml_socks;

/* Sees to it that n sockets in all are no problem.  False when out of memory. */
bool ml_socks_reserve(ml_socks *all, size_t n);
void ml_socks_free(ml_socks *all);
ml_sock *ml_socks_add(ml_socks *all, int fd); /* NULL: out of memory */
/* Tells the set at once, since the descriptor is about to be closed; s is gone. */
void ml_socks_remove(ml_socks *all, ml_sock *s);
/* What to wait for from the next ml_socks_tell on. */
void ml_sock_want(ml_sock *s, uint32_t events);
void ml_socks_tell(ml_socks *all);
