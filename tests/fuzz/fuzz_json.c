/* fuzz_json.c - the JSON reader: no crash; what it takes, it takes again after writing.
 */
#include "fuzz.h"

#include "io/json.h"

const char *const fuzz_seeds[] = {
    "{\"value\":\"s\\u00e4\\ud83d\\ude00\\n\",\"n\":[-1.5e+10,0,true,false,null,{}]}",
    "[[[[[[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]]]]]]",
    "\"\\u0000\\ud800\"",
    "{\"a\":{\"b\":{\"c\":[{},{\"d\":\"\xf0\x9f\x98\x80\"}]}}}",
    " [ 1 , 2 , 3 ] ",
    NULL};

/* Writes the value that was decoded, and reads it back to the same bytes. */
static void check_round_trip(ml_str raw)
{
    ml_buf plain, text, again;
    ml_buf_init(&plain, 0);
    ml_buf_init(&text, 0);
    ml_buf_init(&again, 0);
    if (ml_json_unescape(raw, &plain)) {
        ml_json j;
        FUZZ_CLAIM(ml_json_write_string(&text, ml_buf_str(&plain)));
        ml_json_init(&j, ml_buf_str(&text));
        FUZZ_CLAIM(ml_json_read_string(&j, &again) && ml_json_end(&j));
        FUZZ_CLAIM(ml_str_eq(ml_buf_str(&plain), ml_buf_str(&again)));
    }
    ml_buf_fini(&plain);
    ml_buf_fini(&text);
    ml_buf_fini(&again);
}

/* Visits everything; strings and keys are decoded. */
static void walk(ml_json *j)
{
    ml_str raw;
    int64_t n;
    switch (ml_json_peek(j)) {
    case ML_JSON_OBJECT:
        if (!ml_json_enter_object(j)) return;
        while (ml_json_next_key(j, &raw)) {
            ml_json_key_is(raw, "value");
            check_round_trip(raw);
            walk(j);
        }
        return;
    case ML_JSON_ARRAY:
        if (!ml_json_enter_array(j)) return;
        while (ml_json_next_item(j)) walk(j);
        return;
    case ML_JSON_STRING:
        if (ml_json_read_raw_string(j, &raw)) check_round_trip(raw);
        return;
    case ML_JSON_NUMBER: ml_json_read_int(j, &n); return;
    default: ml_json_skip(j); return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ml_str text = {(const char *)data, size};
    ml_json j;
    ml_json_init(&j, text);
    bool skipped = ml_json_skip(&j) && ml_json_end(&j);
    FUZZ_CLAIM(!skipped || ml_utf8_valid(text));
    ml_json_init(&j, text);
    walk(&j);
    bool walked = ml_json_end(&j);
    FUZZ_CLAIM(!walked || skipped); /* walking refuses more: integers only */
    FUZZ_CLAIM(ml_json_error_at(&j, NULL) <= size);
    ml_buf b;
    ml_buf_init(&b, 0);
    ml_json_unescape(text, &b);
    FUZZ_CLAIM(ml_json_write_string(&b, text) == ml_utf8_valid(text));
    ml_buf_fini(&b);
    return 0;
}
