/* timers.c - a heap of ml_timer, earliest first, that needs no memory of its own.
 *
 *        root          child: the first of a timer's children
 *        /             next:  the sibling to the right
 *       a - b - c      prev:  the sibling to the left; of a first child, its parent
 *      /        /
 *     d        e - f                                                            */
#include "io/timers.h"

/* Joins two heaps; the later root becomes the first child of the earlier one. */
static ml_timer *meld(ml_timer *a, ml_timer *b)
{
    if (!a) return b;
    if (!b) return a;
    if (b->at_ms < a->at_ms) {
        ml_timer *swap = a;
        a = b;
        b = swap;
    }
    b->prev = a;
    b->next = a->child;
    if (a->child) a->child->prev = b;
    a->child = b;
    return a;
}

/* Joins a row of siblings: pairs from the left, then everything onto one. */
static ml_timer *meld_row(ml_timer *first)
{
    ml_timer *pairs = NULL; /* linked through next, last pair first */
    while (first) {
        ml_timer *a = first;
        ml_timer *b = a->next;
        first = b ? b->next : NULL;
        a->next = a->prev = NULL;
        if (b) b->next = b->prev = NULL;
        a = meld(a, b);
        a->next = pairs;
        pairs = a;
    }
    ml_timer *root = NULL;
    while (pairs) {
        ml_timer *a = pairs;
        pairs = a->next;
        a->next = NULL;
        root = meld(root, a);
    }
    return root;
}

void ml_timers_add(ml_timers *h, ml_timer *t)
{
    t->child = t->next = t->prev = NULL;
    t->is_armed = true;
    h->root = meld(h->root, t);
}

static void unlink_child(ml_timer *t)
{
    if (t->prev->child == t)
        t->prev->child = t->next;
    else
        t->prev->next = t->next;
    if (t->next) t->next->prev = t->prev;
    t->next = t->prev = NULL;
}

void ml_timers_remove(ml_timers *h, ml_timer *t)
{
    if (!t->is_armed) return;
    t->is_armed = false;
    if (t == h->root) {
        h->root = meld_row(t->child);
    } else {
        unlink_child(t);
        h->root = meld(h->root, meld_row(t->child));
    }
    t->child = NULL;
}

ml_timer *ml_timers_first(const ml_timers *h)
{
    return h->root;
}
