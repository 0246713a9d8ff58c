/* source.c - something that can fetch a key: what all kinds have in common. */
#include "source/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "source/kept.h"

ml_source *ml_source_ref(ml_source *s)
{
    if (s) s->refs++;
    return s;
}

void ml_source_unref(ml_source *s)
{
    if (!s || --s->refs > 0) return;
    if (s->kept) ml_kept_forget_source(s->kept, s->kept_as);
    s->kind->free(s);
}

int ml_source_check(const ml_source *s, ml_str key, ml_secret *value, ml_err *e)
{
    return s->kind->check(s, key, value, e);
}

ml_op *ml_source_start(ml_source *s, const ml_source_call *c, ml_op_done *done,
                       void *arg)
{
    return s->kind->start(s, c, done, arg);
}

void ml_source_name_op(const ml_source *s, ml_str key, ml_op *op)
{
    snprintf(op->err.source, sizeof(op->err.source), "%s", s->alias);
    ml_copy_printable(op->err.key, sizeof(op->err.key), key.p, key.n);
}

ml_secret *ml_source_secret(const ml_source *s, ml_str key, const ml_str *value)
{
    return ml_secret_new(&(ml_secret_fields){.has_value = value != NULL,
                                             .value = value ? *value : (ml_str){0},
                                             .key = key,
                                             .source = ml_str_of(s->alias),
                                             .attributes.enabled = true});
}

static int by_key(const void *a, const void *b)
{
    const ml_secret *x = *(ml_secret *const *)a, *y = *(ml_secret *const *)b;
    return strcmp(ml_secret_key(x), ml_secret_key(y));
}

void ml_source_sort(ml_secrets *list)
{
    size_t kept = 0;
    if (list->n > 1) qsort(list->items, list->n, sizeof(ml_secret *), by_key);
    for (size_t i = 0; i < list->n; i++) {
        if (kept && by_key(&list->items[kept - 1], &list->items[i]) == 0)
            ml_secret_unref(list->items[i]);
        else
            list->items[kept++] = list->items[i];
    }
    list->n = kept;
}
