/* fuzz_local.c - Airflow's local files: no crash, bounded, and what is answered for an
 * object is JSON. */
#include "fuzz.h"

#include "io/json.h"
#include "source/local_file.h"

const char *const fuzz_seeds[] = {
    "{\"a\": {\"conn_type\": \"x\", \"extra_dejson\": {\"b\": [1, -2.5e3, null]}}, "
    "\"c\": "
    "[\"\\u00e4\\ud83d\\ude00\"]}",
    "a: &x {b: 0x1F, c: 190:20:30.5, <<: {d: e}}\nf: *x\ng: [2001-12-14 1:02:03.4 +5]\n"
    "h: |\n  i\n  j\nk: \"\\x41\" # l\n? m\n: !!str 1\n",
    "# a\nb=c\n\n d=e\x0b"
    "f=g\xe2\x80\xa8h=i",
    "a: &a [1, 2]\nb: &b [*a, *a]\nc: &c {d: *b, e: *b}\n",
    "a: 1_000.5e+10\nb: -.inf\nc: 0b1\nd: 08\ne: ~\nf: y\n",
    NULL};

static void check_answer(ml_values *v, const ml_member *m, bool are_connections,
                         bool is_json)
{
    ml_buf out;
    ml_json j;
    ml_buf_init(&out, 64 * 1024);
    v->problem = NULL;
    bool is_found = ml_local_answer(v, m->value, are_connections, &out);
    if (is_found && is_json && m->value->kind == ML_VALUE_MAP) {
        ml_json_init(&j, ml_buf_str(&out));
        bool is_fine = ml_json_skip(&j) && ml_json_end(&j);
        FUZZ_CLAIM(is_fine ||
                   strstr(out.data, "Infinity")); /* Python's word for 1e999 */
    }
    ml_buf_fini(&out);
}

static void read_as(ml_str text, ml_local_format format, bool are_connections)
{
    ml_values v;
    ml_values_init(&v);
    const ml_value *map = ml_local_read(&v, text, format, are_connections);
    FUZZ_CLAIM(map ? ml_utf8_valid(text) : v.problem != NULL);
    for (const ml_member *m = map ? map->first : NULL; m; m = m->next) {
        FUZZ_CLAIM(ml_value_find(map, m->key) == m->value);
        check_answer(&v, m, are_connections, format == ML_LOCAL_JSON);
    }
    ml_values_fini(&v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ml_str text = {(const char *)data, size};
    read_as(text, ML_LOCAL_JSON, true);
    read_as(text, ML_LOCAL_YAML, false);
    read_as(text, ML_LOCAL_YAML, true);
    read_as(text, ML_LOCAL_ENV, false);
    return 0;
}
