/* json_pointer.c - the value that a JSON pointer (RFC 6901) names, without a tree. */
#include "io/json_pointer.h"

enum { MAX_POINTER_BYTES = 4096 };

typedef struct search {
    ml_json json;
    ml_json_place *place;
    bool is_found;
    ml_buf name; /* a member name, decoded */
    ml_buf part; /* one part of the pointer, decoded */
} search;

static void find(search *s, ml_str pointer);

bool ml_json_pointer_is_valid(ml_str pointer)
{
    if (pointer.n == 0) return true;
    if (pointer.p[0] != '/' || pointer.n > MAX_POINTER_BYTES) return false;
    for (size_t i = 0; i < pointer.n; i++) {
        if (pointer.p[i] != '~') continue;
        if (++i == pointer.n || (pointer.p[i] != '0' && pointer.p[i] != '1'))
            return false;
    }
    return true;
}

/* "/a~1b/c" -> "a~1b", and "/c" in *rest. */
static ml_str first_part(ml_str pointer, ml_str *rest)
{
    ml_str tail = {pointer.p + 1, pointer.n - 1};
    size_t n = ml_str_find(tail, '/');
    *rest = (ml_str){tail.p + n, tail.n - n};
    return (ml_str){tail.p, n};
}

static void decode_part(ml_str part, ml_buf *out)
{
    ml_buf_clear(out);
    for (size_t i = 0; i < part.n; i++) {
        bool is_escape = part.p[i] == '~';
        if (is_escape) i++;
        char c = part.p[i];
        ml_buf_add_char(out, !is_escape ? c : c == '0' ? '~' : '/');
    }
}

/* Names that have no UTF-8 form (a lone surrogate) are nobody's. */
static bool is_named(search *s, ml_str key, ml_str part)
{
    ml_buf_clear(&s->name);
    if (!ml_json_unescape(key, &s->name)) return false;
    decode_part(part, &s->part);
    return ml_buf_ok(&s->part) && ml_str_eq(ml_buf_str(&s->name), ml_buf_str(&s->part));
}

static void find_member(search *s, ml_str part, ml_str rest)
{
    ml_str key;
    if (!ml_json_enter_object(&s->json)) return;
    while (ml_json_next_key(&s->json, &key)) {
        if (!is_named(s, key, part)) continue;
        s->is_found = false; /* an earlier one of this name does not count */
        find(s, rest);
    }
}

static bool is_index(ml_str part, uint64_t *index)
{
    if (part.n > 1 && part.p[0] == '0') return false;
    return ml_str_to_u64(part, index);
}

static void find_element(search *s, ml_str part, ml_str rest)
{
    uint64_t index = 0, i = 0;
    bool is_wanted = is_index(part, &index);
    if (!ml_json_enter_array(&s->json)) return;
    while (ml_json_next_item(&s->json)) {
        if (is_wanted && i == index) find(s, rest);
        i++;
    }
}

static void take_value(search *s)
{
    ml_json *j = &s->json;
    ml_json_kind kind = ml_json_peek(j); /* passes over blanks */
    size_t from = j->at;
    if (!ml_json_skip(j)) return;
    ml_str raw = {j->text.p + from, j->at - from};
    if (kind == ML_JSON_STRING) raw = (ml_str){raw.p + 1, raw.n - 2};
    *s->place = (ml_json_place){kind, raw};
    s->is_found = true;
}

/* Reads the value that comes next.  The depth of recursion is the scanner's limit. */
static void find(search *s, ml_str pointer)
{
    if (pointer.n == 0) {
        take_value(s);
        return;
    }
    ml_str rest, part = first_part(pointer, &rest);
    switch (ml_json_peek(&s->json)) {
    case ML_JSON_OBJECT: find_member(s, part, rest); return;
    case ML_JSON_ARRAY: find_element(s, part, rest); return;
    default: ml_json_skip(&s->json);
    }
}

ml_json_pointing ml_json_point(ml_str text, ml_str pointer, ml_json_place *place)
{
    if (!ml_json_pointer_is_valid(pointer)) return ML_JSON_BAD_POINTER;
    search s = {.place = place};
    ml_json_init(&s.json, text);
    ml_buf_init(&s.name, text.n + 1);
    ml_buf_init(&s.part, MAX_POINTER_BYTES);
    find(&s, pointer);
    bool is_json = ml_json_end(&s.json);
    bool has_memory = ml_buf_ok(&s.name) && ml_buf_ok(&s.part);
    ml_buf_fini(&s.name);
    ml_buf_fini(&s.part);
    if (!has_memory) return ML_JSON_NO_MEMORY;
    if (!is_json) return ML_JSON_MALFORMED;
    return s.is_found ? ML_JSON_POINTED : ML_JSON_ABSENT;
}
