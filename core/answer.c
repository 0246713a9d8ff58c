/* answer.c - what a call brought: secrets, or text. */

#include "base/mem.h"

#include "resolver.h"

size_t ml_answer_count(const ml_answer *a)
{
    return a ? a->list.n : 0;
}

ml_secret *ml_answer_at(const ml_answer *a, size_t i)
{
    return a && i < a->list.n ? a->list.items[i] : NULL;
}

const char *ml_answer_text(const ml_answer *a)
{
    return a && a->text ? a->text : "";
}

void ml_answer_free(ml_answer *a)
{
    if (!a) return;
    ml_secrets_fini(&a->list);
    ml_free(a->text);
    ml_free(a);
}
