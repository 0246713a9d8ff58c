/* value.c - what a JSON or YAML text holds, as a tree in memory that is scrubbed. */
#include "source/value.h"

#include <stdalign.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/locked.h"
#include "io/json.h"

enum { CHUNK_BYTES = 16 * 1024, MAX_BYTES = 64 * 1024 * 1024 };

typedef struct ml_value_chunk chunk;
struct ml_value_chunk {
    chunk *next;
    size_t used, size;
    alignas(max_align_t) char data[];
};

/* ---- memory -----------------------------------------------------------------------
 */

void ml_values_init(ml_values *v)
{
    *v = (ml_values){0};
}

void ml_values_fini(ml_values *v)
{
    while (v->chunks) {
        chunk *c = v->chunks;
        v->chunks = c->next;
        ml_locked_free(c, sizeof(*c) + c->size);
    }
    ml_values_init(v);
}

ml_value *ml_values_fail(ml_values *v, int line, const char *problem)
{
    if (v->problem) return NULL;
    v->problem = problem;
    v->line = line;
    return NULL;
}

ml_value *ml_values_nomem(ml_values *v)
{
    v->no_memory = true;
    v->problem = "out of memory";
    return NULL;
}

static bool add_chunk(ml_values *v, size_t n)
{
    size_t size = n > CHUNK_BYTES ? n : CHUNK_BYTES;
    if (v->n_bytes > MAX_BYTES - size) {
        ml_values_fail(v, 0, "it unfolds to too much");
        return false;
    }
    chunk *c = ml_locked_alloc(sizeof(*c) + size);
    if (!c) {
        ml_values_nomem(v);
        return false;
    }
    *c = (chunk){.next = v->chunks, .size = size};
    v->chunks = c;
    v->n_bytes += size;
    return true;
}

void *ml_values_alloc(ml_values *v, size_t n)
{
    size_t align = alignof(max_align_t);
    n = (n + align - 1) / align * align;
    if (n > MAX_BYTES) return ml_values_fail(v, 0, "it unfolds to too much");
    bool fits = v->chunks && v->chunks->size - v->chunks->used >= n;
    if (!fits && !add_chunk(v, n)) return NULL;
    void *p = v->chunks->data + v->chunks->used;
    v->chunks->used += n;
    memset(p, 0, n);
    return p;
}

bool ml_values_copy(ml_values *v, ml_str text, ml_str *out)
{
    char *p = ml_values_alloc(v, text.n + 1);
    if (!p) return false;
    if (text.n) memcpy(p, text.p, text.n);
    *out = (ml_str){p, text.n};
    return true;
}

/* ---- the tree ---------------------------------------------------------------------
 */

ml_value *ml_value_new(ml_values *v, ml_value_kind kind, ml_str text)
{
    ml_value *value = ml_values_alloc(v, sizeof(*value));
    if (value) *value = (ml_value){.kind = kind, .text = text};
    return value;
}

bool ml_value_add(ml_values *v, ml_value *container, ml_str key, ml_value *value)
{
    ml_member *m = value ? ml_values_alloc(v, sizeof(*m)) : NULL;
    if (!m) return false;
    *m = (ml_member){.key = key, .value = value};
    if (container->last)
        container->last->next = m;
    else
        container->first = m;
    container->last = m;
    container->n++;
    return true;
}

ml_value *ml_value_find(const ml_value *map, ml_str key)
{
    ml_value *found = NULL;
    for (const ml_member *m = map->first; m; m = m->next) {
        if (ml_str_eq(m->key, key)) found = m->value;
    }
    return found;
}

static int by_key(const void *a, const void *b)
{
    const ml_member *x = *(ml_member *const *)a, *y = *(ml_member *const *)b;
    size_t n = x->key.n < y->key.n ? x->key.n : y->key.n;
    int order = n ? memcmp(x->key.p, y->key.p, n) : 0;
    if (order) return order;
    if (x->key.n != y->key.n) return x->key.n < y->key.n ? -1 : 1;
    return x->place < y->place ? -1 : 1;
}

/* Leaves out the members whose value has gone. */
static void relink(ml_value *map)
{
    ml_member *m = map->first;
    map->first = map->last = NULL;
    map->n = 0;
    for (; m; m = m->next) {
        if (!m->value) continue;
        if (map->last)
            map->last->next = m;
        else
            map->first = m;
        map->last = m;
        map->n++;
    }
    if (map->last) map->last->next = NULL;
}

bool ml_value_settle(ml_values *v, ml_value *map)
{
    if (map->n < 2) return true;
    ml_member **sorted = malloc(map->n * sizeof(ml_member *));
    if (!sorted) {
        ml_values_nomem(v);
        return false;
    }
    size_t n = 0;
    for (ml_member *m = map->first; m; m = m->next) {
        m->place = n;
        sorted[n++] = m;
    }
    qsort(sorted, n, sizeof(ml_member *), by_key);
    size_t first = 0;
    for (size_t i = 1; i < n; i++) {
        if (!ml_str_eq(sorted[i]->key, sorted[first]->key)) {
            first = i;
            continue;
        }
        v->repeated = sorted[i]->key;
        sorted[first]->value = sorted[i]->value;
        sorted[i]->value = NULL;
    }
    free(sorted);
    relink(map);
    return true;
}

/* ---- reading JSON -----------------------------------------------------------------
 */

static int line_of(ml_str text, size_t at)
{
    int line = 1;
    for (size_t i = 0; i < at && i < text.n; i++) line += text.p[i] == '\n';
    return line;
}

/* A string as a view of the text, or unescaped into memory of the tree. */
static bool plain(ml_values *v, ml_str raw, ml_str *out)
{
    if (ml_str_find(raw, '\\') == raw.n) {
        *out = raw;
        return true;
    }
    ml_buf b;
    ml_buf_init(&b, raw.n + 1);
    bool ok = ml_json_unescape(raw, &b);
    if (!ml_buf_ok(&b))
        ml_values_nomem(v);
    else if (!ok)
        ml_values_fail(v, 0, "a text with a lone half of a surrogate pair");
    if (ok) ok = ml_values_copy(v, ml_buf_str(&b), out);
    ml_buf_fini(&b);
    return ok;
}

static ml_value *read_json(ml_values *v, ml_json *j);

static ml_value *read_json_map(ml_values *v, ml_json *j)
{
    ml_value *map = ml_value_new(v, ML_VALUE_MAP, (ml_str){0});
    ml_str raw, key;
    if (!map || !ml_json_enter_object(j)) return NULL;
    while (ml_json_next_key(j, &raw)) {
        if (!plain(v, raw, &key)) return NULL;
        if (!ml_value_add(v, map, key, read_json(v, j))) return NULL;
    }
    return ml_value_settle(v, map) ? map : NULL;
}

static ml_value *read_json_list(ml_values *v, ml_json *j)
{
    ml_value *list = ml_value_new(v, ML_VALUE_LIST, (ml_str){0});
    if (!list || !ml_json_enter_array(j)) return NULL;
    while (ml_json_next_item(j)) {
        if (!ml_value_add(v, list, (ml_str){0}, read_json(v, j))) return NULL;
    }
    return list;
}

static ml_value *read_json_scalar(ml_values *v, ml_json *j)
{
    ml_str raw;
    bool flag;
    switch (ml_json_peek(j)) {
    case ML_JSON_NULL:
        if (!ml_json_read_null(j)) return NULL;
        return ml_value_new(v, ML_VALUE_NULL, ML_LIT("None"));
    case ML_JSON_BOOL:
        if (!ml_json_read_bool(j, &flag)) return NULL;
        return ml_value_new(v, ML_VALUE_BOOL, flag ? ML_LIT("True") : ML_LIT("False"));
    case ML_JSON_NUMBER:
        return ml_json_read_number(j, &raw) ? ml_value_of_number(v, raw) : NULL;
    case ML_JSON_STRING:
        if (!ml_json_read_raw_string(j, &raw) || !plain(v, raw, &raw)) return NULL;
        return ml_value_new(v, ML_VALUE_TEXT, raw);
    default: ml_json_skip(j); return NULL; /* fails, and says why */
    }
}

/* Depth is bounded by the scanner. */
static ml_value *read_json(ml_values *v, ml_json *j)
{
    switch (ml_json_peek(j)) {
    case ML_JSON_OBJECT: return read_json_map(v, j);
    case ML_JSON_ARRAY: return read_json_list(v, j);
    default: return read_json_scalar(v, j);
    }
}

ml_value *ml_value_of_json(ml_values *v, ml_str text)
{
    ml_json j;
    ml_json_init(&j, text);
    ml_value *top = read_json(v, &j);
    if (top && ml_json_end(&j)) return top;
    const char *why;
    size_t at = ml_json_error_at(&j, &why);
    ml_values_fail(v, line_of(text, at), *why ? why : "no JSON");
    if (v->line == 0) v->line = line_of(text, at);
    return NULL;
}

/* ---- writing JSON -----------------------------------------------------------------
 */

static bool write_members(const ml_value *container, bool is_map, ml_buf *out)
{
    for (const ml_member *m = container->first; m; m = m->next) {
        if (m != container->first) ml_buf_add_text(out, ", ");
        if (is_map) {
            if (!ml_json_write_string(out, m->key)) return false;
            ml_buf_add_text(out, ": ");
        }
        if (!ml_value_write_json(m->value, out)) return false;
    }
    return ml_buf_ok(out);
}

static bool write_float(ml_str text, ml_buf *out)
{
    if (ml_str_eq(text, ML_LIT("inf")))
        ml_buf_add_text(out, "Infinity");
    else if (ml_str_eq(text, ML_LIT("-inf")))
        ml_buf_add_text(out, "-Infinity");
    else if (ml_str_eq(text, ML_LIT("nan")))
        ml_buf_add_text(out, "NaN");
    else
        ml_buf_add_str(out, text);
    return ml_buf_ok(out);
}

bool ml_value_write_json(const ml_value *value, ml_buf *out)
{
    switch (value->kind) {
    case ML_VALUE_NULL: ml_buf_add_text(out, "null"); break;
    case ML_VALUE_BOOL:
        ml_buf_add_text(out, value->text.p[0] == 'T' ? "true" : "false");
        break;
    case ML_VALUE_INT: ml_buf_add_str(out, value->text); break;
    case ML_VALUE_FLOAT: return write_float(value->text, out);
    case ML_VALUE_OTHER: return false;
    case ML_VALUE_TEXT: return ml_json_write_string(out, value->text);
    case ML_VALUE_LIST:
    case ML_VALUE_MAP: {
        bool is_map = value->kind == ML_VALUE_MAP;
        ml_buf_add_char(out, is_map ? '{' : '[');
        if (!write_members(value, is_map, out)) return false;
        ml_buf_add_char(out, is_map ? '}' : ']');
    }
    }
    return ml_buf_ok(out);
}
