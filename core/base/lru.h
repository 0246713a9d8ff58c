/* lru.h - entries in order of use:
 *
 *     recent <-> node <-> node <-> node <-> oldest      the oldest goes first */
#pragma once
#include <stddef.h>

typedef struct ml_lru_node ml_lru_node;
/* First member of an entry. */
struct ml_lru_node {
    ml_lru_node *newer, *older;
};

typedef struct ml_lru {
    ml_lru_node *recent, *oldest;
} ml_lru;

static inline void ml_lru_remove(ml_lru *l, ml_lru_node *n)
{
    if (n->newer)
        n->newer->older = n->older;
    else
        l->recent = n->older;
    if (n->older)
        n->older->newer = n->newer;
    else
        l->oldest = n->newer;
    n->newer = n->older = NULL;
}

static inline void ml_lru_add(ml_lru *l, ml_lru_node *n)
{
    n->newer = NULL;
    n->older = l->recent;
    if (l->recent)
        l->recent->newer = n;
    else
        l->oldest = n;
    l->recent = n;
}

/* It was used. */
static inline void ml_lru_touch(ml_lru *l, ml_lru_node *n)
{
    if (l->recent == n) return;
    ml_lru_remove(l, n);
    ml_lru_add(l, n);
}
