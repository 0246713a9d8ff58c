/* watches.c - the descriptors that others asked the loop to look after; for loop.c. */
#include "io/watches.h"

#include <sys/epoll.h>

bool ml_watches_add(ml_watches *all, ml_watch *w, int fd,
                    void (*fn)(ml_watch *, void *), void *arg)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};
    *w = (ml_watch){.fd = fd, .fn = fn, .arg = arg, .next = all->first};
    if (epoll_ctl(all->epoll_fd, EPOLL_CTL_ADD, fd, &ev) != 0) return false;
    w->is_on = true;
    if (all->first) all->first->prev = w;
    all->first = w;
    return true;
}

void ml_watches_remove(ml_watches *all, ml_watch *w)
{
    if (!w->is_on) return;
    w->is_on = false;
    epoll_ctl(all->epoll_fd, EPOLL_CTL_DEL, w->fd, &(struct epoll_event){0});
    if (w->prev)
        w->prev->next = w->next;
    else
        all->first = w->next;
    if (w->next) w->next->prev = w->prev;
}

bool ml_watches_call(const ml_watches *all, int fd)
{
    ml_watch *w = all->first;
    while (w && w->fd != fd) w = w->next;
    if (w) w->fn(w, w->arg);
    return w != NULL;
}
