/* secret.c - building the one type that holds secret bytes. */
#include "base/secret.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct ml_secret {
    atomic_uint refs;
    size_t size; /* of the whole block, for scrubbing */
    bool has_value;
    ml_str value;
    ml_str name;
    ml_str source;
    ml_str key;
    ml_str version;
    ml_str content_type;
    ml_str recovery_id;
    size_t n_tags;
    ml_attributes attributes;
    ml_tag tags[]; /* then the texts, each followed by NUL */
};

static size_t text_bytes(const ml_secret_fields *f)
{
    size_t n = f->value.n + f->name.n + f->source.n + f->key.n + f->version.n +
               f->content_type.n + f->recovery_id.n + 7;
    for (size_t i = 0; i < f->n_tags; i++) {
        n += f->tags[i].name.n + f->tags[i].value.n + 2;
    }
    return n;
}

static ml_str place(char **at, ml_str s)
{
    ml_str copy = {*at, s.n};
    if (s.n) memcpy(*at, s.p, s.n);
    (*at)[s.n] = '\0';
    *at += s.n + 1;
    return copy;
}

ml_secret *ml_secret_new(const ml_secret_fields *f)
{
    size_t head = sizeof(ml_secret) + f->n_tags * sizeof(ml_tag);
    size_t size = head + text_bytes(f);
    ml_secret *s = malloc(size);
    if (!s) return NULL;
    char *at = (char *)s + head;
    atomic_init(&s->refs, 1);
    s->size = size;
    s->has_value = f->has_value;
    s->value = place(&at, f->value);
    s->name = place(&at, f->name);
    s->source = place(&at, f->source);
    s->key = place(&at, f->key);
    s->version = place(&at, f->version);
    s->content_type = place(&at, f->content_type);
    s->recovery_id = place(&at, f->recovery_id);
    s->attributes = f->attributes;
    s->n_tags = f->n_tags;
    for (size_t i = 0; i < f->n_tags; i++) {
        s->tags[i].name = place(&at, f->tags[i].name);
        s->tags[i].value = place(&at, f->tags[i].value);
    }
    return s;
}

static ml_secret_fields fields_of(const ml_secret *s)
{
    return (ml_secret_fields){.has_value = s->has_value,
                              .value = s->value,
                              .name = s->name,
                              .source = s->source,
                              .key = s->key,
                              .version = s->version,
                              .content_type = s->content_type,
                              .recovery_id = s->recovery_id,
                              .tags = s->tags,
                              .n_tags = s->n_tags,
                              .attributes = s->attributes};
}

ml_secret *ml_secret_with_name(const ml_secret *s, ml_str name)
{
    ml_secret_fields f = fields_of(s);
    f.name = name;
    return ml_secret_new(&f);
}

ml_secret *ml_secret_with_value(const ml_secret *s, ml_str value)
{
    ml_secret_fields f = fields_of(s);
    f.has_value = true;
    f.value = value;
    return ml_secret_new(&f);
}

ml_secret *ml_secret_of_bytes(ml_str value)
{
    return ml_secret_new(&(ml_secret_fields){
        .has_value = true, .value = value, .attributes.enabled = true});
}

ml_secret *ml_secret_ref(ml_secret *s)
{
    if (s) atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void ml_secret_unref(ml_secret *s)
{
    if (!s) return;
    if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) > 1) return;
    ml_scrub_free(s, s->size);
}

ml_str ml_secret_value(const ml_secret *s)
{
    return s->value;
}

size_t ml_secret_size(const ml_secret *s)
{
    return s->size;
}

const void *ml_secret_data(const ml_secret *s, size_t *len)
{
    if (len) *len = s->has_value ? s->value.n : 0;
    return s->has_value ? s->value.p : NULL;
}

const char *ml_secret_name(const ml_secret *s)
{
    return s->name.p;
}

const char *ml_secret_source(const ml_secret *s)
{
    return s->source.p;
}

const char *ml_secret_key(const ml_secret *s)
{
    return s->key.p;
}

const char *ml_secret_version(const ml_secret *s)
{
    return s->version.p;
}

const char *ml_secret_content_type(const ml_secret *s)
{
    return s->content_type.p;
}

const char *ml_secret_recovery_id(const ml_secret *s)
{
    return s->recovery_id.p;
}

size_t ml_secret_tag_count(const ml_secret *s)
{
    return s->n_tags;
}

ml_pair ml_secret_tag_at(const ml_secret *s, size_t i)
{
    return (ml_pair){s->tags[i].name.p, s->tags[i].value.p};
}

const char *ml_secret_tag(const ml_secret *s, const char *name)
{
    for (size_t i = 0; i < s->n_tags; i++) {
        if (strcmp(s->tags[i].name.p, name) == 0) return s->tags[i].value.p;
    }
    return NULL;
}

ml_attributes ml_secret_attributes(const ml_secret *s)
{
    return s->attributes;
}

void ml_secrets_fini(ml_secrets *l)
{
    for (size_t i = 0; i < l->n; i++) ml_secret_unref(l->items[i]);
    free(l->items);
    *l = (ml_secrets){0};
}

bool ml_secrets_add(ml_secrets *l, ml_secret *s)
{
    if (!s) return false;
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 8;
        ml_secret **items = calloc(cap, sizeof(*items));
        if (!items) {
            ml_secret_unref(s);
            return false;
        }
        if (l->n) memcpy(items, l->items, l->n * sizeof(*items));
        free(l->items);
        l->items = items;
        l->cap = cap;
    }
    l->items[l->n++] = s;
    return true;
}
