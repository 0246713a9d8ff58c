/* value_yaml.c - one YAML document as a tree, over libyaml's events.
 *
 * As PyYAML's safe_load: plain scalars are resolved (value_plain.c), aliases share
 * their value, "<<" merges maps, and of equal keys the last one counts.  Refused: tags
 * other than the plain ones, keys that are no scalars, a value inside itself.
 *
 * libyaml's own memory is that of secrets (see locked.h): nothing stays behind. */
#include <string.h>
#include <yaml.h>

#include "source/value.h"

enum { MAX_DEPTH = 64, MAX_ANCHORS = 1000 };

typedef struct anchor anchor;
struct anchor {
    anchor *next;
    ml_str name;
    ml_value *value;
};

typedef struct reader {
    ml_values *v;
    yaml_parser_t parser;
    yaml_event_t event; /* the one that is looked at */
    bool has_event;
    anchor *anchors;
    int n_anchors;
} reader;

static int line_of(yaml_mark_t mark)
{
    return (int)mark.line + 1;
}

static ml_value *fail(reader *r, const char *problem)
{
    return ml_values_fail(r->v, line_of(r->event.start_mark), problem);
}

/* ---- events ------------------------------------------------------------------------
 */

static void drop_event(reader *r)
{
    if (!r->has_event) return;
    yaml_event_delete(&r->event);
    r->has_event = false;
}

/* Looks at the next event.  libyaml's own words are static texts. */
static bool next(reader *r)
{
    drop_event(r);
    if (yaml_parser_parse(&r->parser, &r->event)) {
        r->has_event = true;
        return true;
    }
    if (r->parser.error == YAML_MEMORY_ERROR) ml_values_nomem(r->v);
    const char *why = r->parser.problem ? r->parser.problem : "no YAML";
    ml_values_fail(r->v, line_of(r->parser.problem_mark), why);
    return false;
}

/* ---- anchors ------------------------------------------------------------------------
 */

static const anchor *find_anchor(const reader *r, ml_str name)
{
    const anchor *a = r->anchors;
    while (a && !ml_str_eq(a->name, name)) a = a->next;
    return a;
}

static bool remember(reader *r, ml_str name, ml_value *value)
{
    anchor *a = ml_values_alloc(r->v, sizeof(*a));
    if (!a) return false;
    if (find_anchor(r, name) || ++r->n_anchors > MAX_ANCHORS) {
        fail(r, "an anchor that is there twice, or more than 1000 of them");
        return false;
    }
    *a = (anchor){.next = r->anchors, .name = name, .value = value};
    r->anchors = a;
    return true;
}

/* One that is still being read is not known yet: so there are no cycles. */
static ml_value *of_alias(reader *r)
{
    ml_str name = ml_str_of((const char *)r->event.data.alias.anchor);
    const anchor *a = find_anchor(r, name);
    if (a) return a->value;
    return fail(r, "an alias whose anchor is not known here");
}

/* ---- nodes --------------------------------------------------------------------------
 */

static bool is_tag(const yaml_char_t *tag, const char *wanted)
{
    return tag && strcmp((const char *)tag, wanted) == 0;
}

static ml_value *of_scalar(reader *r)
{
    ml_str text = {(const char *)r->event.data.scalar.value,
                   r->event.data.scalar.length};
    const yaml_char_t *tag = r->event.data.scalar.tag;
    if (!ml_values_copy(r->v, text, &text)) return NULL;
    if (is_tag(tag, YAML_STR_TAG) || r->event.data.scalar.quoted_implicit) {
        return ml_value_new(r->v, ML_VALUE_TEXT, text);
    }
    if (!r->event.data.scalar.plain_implicit) {
        return fail(r, "a tag that is not read here");
    }
    ml_value *value = ml_value_of_plain(r->v, text);
    if (r->v->problem && r->v->line == 0) r->v->line = line_of(r->event.start_mark);
    return value;
}

static ml_value *read_node(reader *r, int depth);

static ml_value *of_sequence(reader *r, int depth)
{
    const yaml_char_t *tag = r->event.data.sequence_start.tag;
    if (tag && !is_tag(tag, YAML_SEQ_TAG))
        return fail(r, "a tag that is not read here");
    ml_value *list = ml_value_new(r->v, ML_VALUE_LIST, (ml_str){0});
    if (!list || !next(r)) return NULL;
    while (r->event.type != YAML_SEQUENCE_END_EVENT) {
        if (!ml_value_add(r->v, list, (ml_str){0}, read_node(r, depth)) || !next(r)) {
            return NULL;
        }
    }
    return list;
}

static bool merge_map(reader *r, ml_value *into, const ml_value *map)
{
    if (map->kind != ML_VALUE_MAP) {
        fail(r, "<< merges a map, or a list of maps");
        return false;
    }
    for (const ml_member *m = map->first; m; m = m->next) {
        if (!ml_value_add(r->v, into, m->key, m->value)) return false;
    }
    return true;
}

/* The maps of a list from the last to the first: earlier ones win. */
static bool merge_list(reader *r, ml_value *into, const ml_member *m)
{
    return !m || (merge_list(r, into, m->next) && merge_map(r, into, m->value));
}

static bool merge(reader *r, ml_value *into, const ml_value *value)
{
    if (value->kind != ML_VALUE_LIST) return merge_map(r, into, value);
    if (value->n > MAX_DEPTH) {
        fail(r, "<< merges more than 64 maps");
        return false;
    }
    return merge_list(r, into, value->first);
}

/* What was merged goes in front: the map's own members win. */
static ml_value *joined(reader *r, ml_value *merged, ml_value *own)
{
    if (own->first) {
        if (merged->last)
            merged->last->next = own->first;
        else
            merged->first = own->first;
        merged->last = own->last;
        merged->n += own->n;
    }
    return ml_value_settle(r->v, merged) ? merged : NULL;
}

static bool is_merge_key(const reader *r)
{
    const yaml_event_t *e = &r->event;
    return e->type == YAML_SCALAR_EVENT && e->data.scalar.plain_implicit &&
           strcmp((const char *)e->data.scalar.value, "<<") == 0;
}

/* As json.dumps writes a key that is no text. */
static ml_str key_text(const ml_value *key)
{
    if (key->kind == ML_VALUE_NULL) return ML_LIT("null");
    if (key->kind != ML_VALUE_BOOL) return key->text;
    return key->text.p[0] == 'T' ? ML_LIT("true") : ML_LIT("false");
}

static bool read_member(reader *r, ml_value *own, ml_value *merged, int depth)
{
    bool merges = is_merge_key(r);
    ml_value *key = merges ? NULL : read_node(r, depth);
    if (!merges && !key) return false;
    if (key && (key->kind == ML_VALUE_LIST || key->kind == ML_VALUE_MAP)) {
        fail(r, "a key that is a list or a map");
        return false;
    }
    if (!next(r)) return false;
    ml_value *value = read_node(r, depth);
    if (!value) return false;
    if (merges) return merge(r, merged, value);
    return ml_value_add(r->v, own, key_text(key), value);
}

static ml_value *of_mapping(reader *r, int depth)
{
    const yaml_char_t *tag = r->event.data.mapping_start.tag;
    if (tag && !is_tag(tag, YAML_MAP_TAG))
        return fail(r, "a tag that is not read here");
    ml_value *own = ml_value_new(r->v, ML_VALUE_MAP, (ml_str){0});
    ml_value *merged = ml_value_new(r->v, ML_VALUE_MAP, (ml_str){0});
    if (!own || !merged || !next(r)) return NULL;
    while (r->event.type != YAML_MAPPING_END_EVENT) {
        if (!read_member(r, own, merged, depth) || !next(r)) return NULL;
    }
    return joined(r, merged, own);
}

static const char *anchor_of(const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_SCALAR_EVENT: return (const char *)e->data.scalar.anchor;
    case YAML_SEQUENCE_START_EVENT: return (const char *)e->data.sequence_start.anchor;
    case YAML_MAPPING_START_EVENT: return (const char *)e->data.mapping_start.anchor;
    default: return NULL;
    }
}

/* The node that begins with the event looked at; leaves its last event there. */
static ml_value *read_unnamed(reader *r, int depth)
{
    if (depth > MAX_DEPTH) return fail(r, "nested too deeply");
    switch (r->event.type) {
    case YAML_ALIAS_EVENT: return of_alias(r);
    case YAML_SCALAR_EVENT: return of_scalar(r);
    case YAML_SEQUENCE_START_EVENT: return of_sequence(r, depth + 1);
    case YAML_MAPPING_START_EVENT: return of_mapping(r, depth + 1);
    default: return fail(r, "a value is expected here");
    }
}

static ml_value *read_node(reader *r, int depth)
{
    const char *anchored = anchor_of(&r->event);
    ml_str name = {0};
    if (anchored && !ml_values_copy(r->v, ml_str_of(anchored), &name)) return NULL;
    ml_value *value = read_unnamed(r, depth);
    if (value && anchored && !remember(r, name, value)) return NULL;
    return value;
}

static bool next_is(reader *r, yaml_event_type_t type)
{
    return next(r) && r->event.type == type;
}

/* An empty text is null, as are comments alone. */
static ml_value *read_stream(reader *r)
{
    if (!next_is(r, YAML_STREAM_START_EVENT)) return fail(r, "no YAML");
    if (!next_is(r, YAML_DOCUMENT_START_EVENT)) {
        if (r->v->problem) return NULL;
        return ml_value_new(r->v, ML_VALUE_NULL, ML_LIT("None"));
    }
    if (!next(r)) return NULL;
    ml_value *top = read_node(r, 0);
    if (!top || !next_is(r, YAML_DOCUMENT_END_EVENT)) return fail(r, "no YAML");
    return next_is(r, YAML_STREAM_END_EVENT) ? top : fail(r, "a second document");
}

ml_value *ml_value_of_yaml(ml_values *v, ml_str text)
{
    reader r = {.v = v};
    if (!yaml_parser_initialize(&r.parser)) {
        return ml_values_nomem(v);
    }
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text.p, text.n);
    ml_value *top = read_stream(&r);
    drop_event(&r);
    yaml_parser_delete(&r.parser);
    return top;
}
