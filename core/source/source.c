/* source.c - something that can fetch a key: what all kinds have in common. */
#include "source/source.h"

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
