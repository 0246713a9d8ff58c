/* watches.h - the descriptors that others asked the loop to look after; for loop.c. */
#pragma once
#include "io/loop.h"

typedef struct ml_watches {
    int epoll_fd;
    ml_watch *first; /* there are few, so a list will do */
} ml_watches;

bool ml_watches_add(ml_watches *all, ml_watch *w, int fd,
                    void (*fn)(ml_watch *, void *), void *arg);
void ml_watches_remove(ml_watches *all, ml_watch *w);
/* Calls whoever watches fd; false when nobody does. */
bool ml_watches_call(const ml_watches *all, int fd);
