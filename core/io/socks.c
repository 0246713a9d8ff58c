/* socks.c - curl's sockets in an epoll set. */
#include "io/socks.h"

#include <sys/epoll.h>

#include "base/mem.h"

struct ml_sock {
    int fd;
    uint32_t events;
    bool is_changed;
    ml_sock *prev, *next;
};

static bool tell(const ml_socks *all, const ml_sock *s, int op)
{
    struct epoll_event ev = {.events = s->events, .data.fd = s->fd};
    return epoll_ctl(all->epoll_fd, op, s->fd, &ev) == 0;
}

bool ml_socks_reserve(ml_socks *all, size_t n)
{
    while (all->n < n) {
        ml_sock *s = ml_malloc(sizeof(*s));
        if (!s) return false;
        s->next = all->spare;
        all->spare = s;
        all->n++;
    }
    return true;
}

static void free_list(ml_sock *s)
{
    for (ml_sock *next; s; s = next) {
        next = s->next;
        ml_free(s);
    }
}

void ml_socks_free(ml_socks *all)
{
    free_list(all->first);
    free_list(all->spare);
    all->first = all->spare = NULL;
    all->n = 0;
}

ml_sock *ml_socks_add(ml_socks *all, int fd)
{
    if (!all->spare) ml_socks_reserve(all, all->n + 1);
    ml_sock *s = all->spare;
    if (!s) return NULL;
    all->spare = s->next;
    *s = (ml_sock){.fd = fd, .next = all->first};
    if (all->first) all->first->prev = s;
    all->first = s;
    return s;
}

void ml_socks_remove(ml_socks *all, ml_sock *s)
{
    tell(all, s, EPOLL_CTL_DEL);
    if (s->prev)
        s->prev->next = s->next;
    else
        all->first = s->next;
    if (s->next) s->next->prev = s->prev;
    s->next = all->spare;
    all->spare = s;
}

void ml_sock_want(ml_sock *s, uint32_t events)
{
    s->events = events;
    s->is_changed = true;
}

/* Whether a descriptor is in the set, only the set knows: its number may have been
 * closed and reused. */
void ml_socks_tell(ml_socks *all)
{
    for (ml_sock *s = all->first; s; s = s->next) {
        if (!s->is_changed) continue;
        s->is_changed = !tell(all, s, EPOLL_CTL_MOD) && !tell(all, s, EPOLL_CTL_ADD);
    }
}
