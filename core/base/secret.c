/* secret.c - building the one type that holds secret bytes. */
#include "base/secret.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "base/locked.h"
#include "base/mem.h"

/* One block, as small as it can be, because there may be many: the head (members in the
 * order that needs no padding), where each text begins, and the texts, each followed by
 * NUL.  Texts of tags follow the others, name and value by turns; one position more
 * says where everything ends. */
enum text { VALUE, NAME, SOURCE, KEY, VERSION, CONTENT_TYPE, RECOVERY_ID, TAGS };

struct ml_secret {
    atomic_uint refs;
    uint32_t size;
    uint32_t n_tags;
    bool has_value, enabled, managed;
    int64_t created_s, updated_s, not_before_s, expires_s, deleted_s, purge_s;
    int32_t recoverable_days;
    uint32_t begins[]; /* TAGS + 2 * n_tags + 1 */
};

static ml_str text_of(const ml_secret *s, size_t i)
{
    return (ml_str){(const char *)s + s->begins[i],
                    (size_t)s->begins[i + 1] - s->begins[i] - 1};
}

static ml_tag tag_of(const ml_secret *s, size_t i)
{
    return (ml_tag){text_of(s, TAGS + 2 * i), text_of(s, TAGS + 2 * i + 1)};
}

static size_t text_bytes(const ml_secret_fields *f)
{
    size_t n = f->value.n + f->name.n + f->source.n + f->key.n + f->version.n +
               f->content_type.n + f->recovery_id.n + TAGS;
    for (size_t i = 0; i < f->n_tags; i++) {
        n += f->tags[i].name.n + f->tags[i].value.n + 2;
    }
    return n;
}

static void place(ml_secret *s, size_t i, ml_str text)
{
    char *at = (char *)s + s->begins[i];
    if (text.n) memcpy(at, text.p, text.n);
    at[text.n] = '\0';
    s->begins[i + 1] = s->begins[i] + (uint32_t)text.n + 1;
}

static void set_attributes(ml_secret *s, const ml_attributes *a)
{
    s->enabled = a->enabled;
    s->managed = a->managed;
    s->created_s = a->created_s;
    s->updated_s = a->updated_s;
    s->not_before_s = a->not_before_s;
    s->expires_s = a->expires_s;
    s->deleted_s = a->deleted_s;
    s->purge_s = a->scheduled_purge_s;
    s->recoverable_days = a->recoverable_days;
}

ml_attributes ml_secret_attributes(const ml_secret *s)
{
    return (ml_attributes){.enabled = s->enabled,
                           .managed = s->managed,
                           .created_s = s->created_s,
                           .updated_s = s->updated_s,
                           .not_before_s = s->not_before_s,
                           .expires_s = s->expires_s,
                           .deleted_s = s->deleted_s,
                           .scheduled_purge_s = s->purge_s,
                           .recoverable_days = s->recoverable_days};
}

ml_secret *ml_secret_new(const ml_secret_fields *f)
{
    const ml_str texts[TAGS] = {[VALUE] = f->value,
                                [NAME] = f->name,
                                [SOURCE] = f->source,
                                [KEY] = f->key,
                                [VERSION] = f->version,
                                [CONTENT_TYPE] = f->content_type,
                                [RECOVERY_ID] = f->recovery_id};
    size_t head =
        offsetof(ml_secret, begins) + (TAGS + 2 * f->n_tags + 1) * sizeof(uint32_t);
    size_t size = head + text_bytes(f);
    ml_secret *s = size <= UINT32_MAX ? ml_locked_alloc(size) : NULL;
    if (!s) return NULL;
    atomic_init(&s->refs, 1);
    s->size = (uint32_t)size;
    s->n_tags = (uint32_t)f->n_tags;
    s->has_value = f->has_value;
    set_attributes(s, &f->attributes);
    s->begins[0] = (uint32_t)head;
    for (size_t i = 0; i < TAGS; i++) place(s, i, texts[i]);
    for (size_t i = 0; i < f->n_tags; i++) {
        place(s, TAGS + 2 * i, f->tags[i].name);
        place(s, TAGS + 2 * i + 1, f->tags[i].value);
    }
    return s;
}

/* A copy with another name or value; NULL leaves it. */
static ml_secret *copy_with(const ml_secret *s, const ml_str *name, const ml_str *value)
{
    ml_tag few[8], *tags = few;
    if (s->n_tags > sizeof(few) / sizeof(few[0])) {
        tags = ml_calloc(s->n_tags, sizeof(*tags));
        if (!tags) return NULL;
    }
    for (size_t i = 0; i < s->n_tags; i++) tags[i] = tag_of(s, i);
    ml_secret *copy =
        ml_secret_new(&(ml_secret_fields){.has_value = value || s->has_value,
                                          .value = value ? *value : text_of(s, VALUE),
                                          .name = name ? *name : text_of(s, NAME),
                                          .source = text_of(s, SOURCE),
                                          .key = text_of(s, KEY),
                                          .version = text_of(s, VERSION),
                                          .content_type = text_of(s, CONTENT_TYPE),
                                          .recovery_id = text_of(s, RECOVERY_ID),
                                          .tags = tags,
                                          .n_tags = s->n_tags,
                                          .attributes = ml_secret_attributes(s)});
    if (tags != few) ml_free(tags);
    return copy;
}

ml_secret *ml_secret_with_name(ml_secret *s, ml_str name)
{
    if (ml_str_eq(text_of(s, NAME), name)) return ml_secret_ref(s);
    return copy_with(s, &name, NULL);
}

ml_secret *ml_secret_with_value(const ml_secret *s, ml_str value)
{
    return copy_with(s, NULL, &value);
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
    ml_locked_free(s, s->size);
}

ml_str ml_secret_value(const ml_secret *s)
{
    return text_of(s, VALUE);
}

size_t ml_secret_size(const ml_secret *s)
{
    return s->size;
}

const void *ml_secret_data(const ml_secret *s, size_t *len)
{
    ml_str value = text_of(s, VALUE);
    if (len) *len = s->has_value ? value.n : 0;
    return s->has_value ? value.p : NULL;
}

const char *ml_secret_name(const ml_secret *s)
{
    return text_of(s, NAME).p;
}

const char *ml_secret_source(const ml_secret *s)
{
    return text_of(s, SOURCE).p;
}

const char *ml_secret_key(const ml_secret *s)
{
    return text_of(s, KEY).p;
}

const char *ml_secret_version(const ml_secret *s)
{
    return text_of(s, VERSION).p;
}

const char *ml_secret_content_type(const ml_secret *s)
{
    return text_of(s, CONTENT_TYPE).p;
}

const char *ml_secret_recovery_id(const ml_secret *s)
{
    return text_of(s, RECOVERY_ID).p;
}

size_t ml_secret_tag_count(const ml_secret *s)
{
    return s->n_tags;
}

ml_pair ml_secret_tag_at(const ml_secret *s, size_t i)
{
    ml_tag tag = tag_of(s, i);
    return (ml_pair){tag.name.p, tag.value.p};
}

const char *ml_secret_tag(const ml_secret *s, const char *name)
{
    for (size_t i = 0; i < s->n_tags; i++) {
        ml_tag tag = tag_of(s, i);
        if (strcmp(tag.name.p, name) == 0) return tag.value.p;
    }
    return NULL;
}

void ml_secrets_fini(ml_secrets *l)
{
    for (size_t i = 0; i < l->n; i++) ml_secret_unref(l->items[i]);
    ml_free(l->items);
    *l = (ml_secrets){0};
}

bool ml_secrets_add(ml_secrets *l, ml_secret *s)
{
    if (!s) return false;
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 8;
        ml_secret **items = ml_calloc(cap, sizeof(*items));
        if (!items) {
            ml_secret_unref(s);
            return false;
        }
        if (l->n) memcpy(items, l->items, l->n * sizeof(*items));
        ml_free(l->items);
        l->items = items;
        l->cap = cap;
    }
    l->items[l->n++] = s;
    return true;
}
