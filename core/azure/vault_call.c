/* vault_call.c - owning copies of ml_vault_call. */
#include "azure/vault_call.h"

#include <stdint.h>

#include "base/mem.h"

/* An empty one needs no memory. */
static bool copy_str(ml_str *s)
{
    char *p = s->n ? ml_dup_n(s->p, s->n) : NULL;
    bool ok = p || s->n == 0;
    *s = p ? (ml_str){p, s->n} : ML_LIT("");
    return ok;
}

static void free_str(ml_str s)
{
    if (s.n) ml_free((char *)(uintptr_t)s.p);
}

static bool copy_tags(ml_vault_call *to, const ml_vault_call *from)
{
    ml_tag *tags = from->n_tags ? ml_calloc(from->n_tags, sizeof(*tags)) : NULL;
    bool ok = tags || from->n_tags == 0;
    to->tags = tags;
    to->n_tags = tags ? from->n_tags : 0;
    for (size_t i = 0; i < to->n_tags; i++) {
        tags[i] = from->tags[i];
        ok = copy_str(&tags[i].name) && ok;
        ok = copy_str(&tags[i].value) && ok;
    }
    return ok;
}

bool ml_vault_call_copy(ml_vault_call *to, const ml_vault_call *from)
{
    *to = *from;
    bool ok = copy_str(&to->key);
    ok = copy_str(&to->version) && ok;
    ok = copy_str(&to->name) && ok;
    ok = copy_str(&to->content_type) && ok;
    to->value = ml_secret_ref((ml_secret *)(uintptr_t)from->value);
    ok = copy_tags(to, from) && ok;
    if (!ok) ml_vault_call_fini(to);
    return ok;
}

void ml_vault_call_fini(ml_vault_call *c)
{
    for (size_t i = 0; i < c->n_tags; i++) {
        free_str(c->tags[i].name);
        free_str(c->tags[i].value);
    }
    ml_free((ml_tag *)(uintptr_t)c->tags);
    free_str(c->key);
    free_str(c->version);
    free_str(c->name);
    free_str(c->content_type);
    ml_secret_unref((ml_secret *)(uintptr_t)c->value);
    *c = (ml_vault_call){0};
}
