/* fuzz_json_pointer.c - a pointer, a line break, a text: no crash; what is found is
 * part of a text that is JSON, and is found there by whoever looks at the members one
 * by one.
 */
#include "fuzz.h"

#include "io/json_pointer.h"

const char *const fuzz_seeds[] = {
    "/user/password\n{\"user\":{\"name\":\"x\",\"password\":\"s\\u00e4\\n\"}}",
    "/a~1b/0/m~0n\n{\"a/b\":[{\"m~n\":[1,2]},null]}",
    "\n[true,false,-1.5e+10]",
    "/\n{\"\":\"\\ud83d\\ude00\"}",
    "/k/1\n{\"\\u006b\":[0,{\"deep\":[[[]]]}],\"k\":[1,\"\\ud800\"]}",
    NULL};

/* The value of the last member with this name, read from the front. */
static bool find_simply(ml_str text, const char *name, ml_json_kind *kind)
{
    ml_json j;
    ml_str key;
    bool found = false;
    ml_json_init(&j, text);
    if (!ml_json_enter_object(&j)) return false;
    while (ml_json_next_key(&j, &key)) {
        bool same = ml_json_key_is(key, name);
        ml_json_kind k = ml_json_peek(&j);
        if (same) {
            *kind = k;
            found = true;
        }
    }
    return found && ml_json_end(&j);
}

static void check_against_simple(ml_str text)
{
    ml_json_kind simple = ML_JSON_NONE;
    ml_json_place place;
    bool there = find_simply(text, "k", &simple);
    bool found = ml_json_point(text, ML_LIT("/k"), &place) == ML_JSON_POINTED;
    FUZZ_CLAIM(there == found);
    FUZZ_CLAIM(!found || place.kind == simple);
}

/* What is pointed at is well-formed by itself. */
static void check_place(const ml_json_place *place)
{
    ml_buf text;
    ml_json j;
    bool is_string = place->kind == ML_JSON_STRING;
    ml_buf_init(&text, place->raw.n + 2);
    if (is_string) ml_buf_add_char(&text, '"');
    ml_buf_add_str(&text, place->raw);
    if (is_string) ml_buf_add_char(&text, '"');
    ml_json_init(&j, ml_buf_str(&text));
    FUZZ_CLAIM(ml_json_peek(&j) == place->kind && ml_json_skip(&j) && ml_json_end(&j));
    ml_buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ml_str all = {(const char *)data, size};
    size_t n = ml_str_find(all, '\n');
    ml_str pointer = {all.p, n};
    ml_str text = n < size ? (ml_str){all.p + n + 1, size - n - 1} : (ml_str){"", 0};
    ml_json_place place;
    ml_json_pointing found = ml_json_point(text, pointer, &place);
    ml_json j;
    ml_json_init(&j, text);
    bool is_json = ml_json_skip(&j) && ml_json_end(&j);
    FUZZ_CLAIM(found != ML_JSON_NO_MEMORY);
    FUZZ_CLAIM((found == ML_JSON_BAD_POINTER) == !ml_json_pointer_is_valid(pointer));
    if (found != ML_JSON_BAD_POINTER)
        FUZZ_CLAIM((found == ML_JSON_MALFORMED) == !is_json);
    if (found == ML_JSON_POINTED) check_place(&place);
    check_against_simple(text);
    return 0;
}
