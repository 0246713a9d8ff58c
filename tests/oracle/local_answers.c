/* local_answers.c - what our reader of Airflow's local files makes of some, for an
 * oracle.
 *
 *     local_answers [--connections] FILE...
 *
 * A JSON line for each: {"key": "answer", ...}, a key that is missing is left out, one
 * whose answer is refused is null; or null when the whole file is refused. */
#include <stdio.h>
#include <string.h>

#include "io/json.h"
#include "source/local_file.h"
#include "source/read_file.h"

static void add_member(ml_buf *out, ml_values *v, const ml_member *m,
                       bool are_connections)
{
    ml_buf value;
    ml_buf_init(&value, 0);
    bool is_found = ml_local_answer(v, m->value, are_connections, &value);
    if (is_found || v->problem) {
        if (out->len > 1) ml_buf_add_text(out, ", ");
        ml_json_write_string(out, m->key);
        ml_buf_add_text(out, ": ");
        if (is_found)
            ml_json_write_string(out, ml_buf_str(&value));
        else
            ml_buf_add_text(out, "null");
    }
    v->problem = NULL;
    ml_buf_fini(&value);
}

static int answer(const char *path, bool are_connections)
{
    ml_buf text, out;
    ml_values v;
    ml_err e = {0};
    if (ml_read_file(ml_open_file(path), path, &text, &e) < 0) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    ml_values_init(&v);
    ml_buf_init(&out, 0);
    const ml_value *map =
        ml_local_read(&v, ml_buf_str(&text), ml_local_format_of(path), are_connections);
    if (map) {
        ml_buf_add_text(&out, "{");
        for (const ml_member *m = map->first; m; m = m->next) {
            add_member(&out, &v, m, are_connections);
        }
        ml_buf_add_text(&out, "}");
    }
    puts(map ? ml_buf_str(&out).p : "null");
    ml_buf_fini(&out);
    ml_values_fini(&v);
    ml_buf_fini(&text);
    return 0;
}

int main(int argc, char **argv)
{
    int rc = 0;
    bool are_connections = argc > 1 && strcmp(argv[1], "--connections") == 0;
    for (int i = 1 + are_connections; i < argc; i++) {
        rc |= answer(argv[i], are_connections);
    }
    return rc;
}
