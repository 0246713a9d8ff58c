/* local_file.c - a file as Airflow's LocalFilesystemBackend reads it. */
#include "source/local_file.h"

#include <string.h>

ml_local_format ml_local_format_of(const char *path)
{
    const char *dot = strrchr(path, '.');
    ml_str suffix = ml_str_of(dot ? dot : "");
    if (ml_str_ieq(suffix, ML_LIT(".env"))) return ML_LOCAL_ENV;
    if (ml_str_ieq(suffix, ML_LIT(".json"))) return ML_LOCAL_JSON;
    if (ml_str_ieq(suffix, ML_LIT(".yaml")) || ml_str_ieq(suffix, ML_LIT(".yml"))) {
        return ML_LOCAL_YAML;
    }
    return ML_LOCAL_UNKNOWN;
}

/* ---- .env ---------------------------------------------------------------------------
 */

/* Bytes of the line break at s, which are those of Python's splitlines; 0: none. */
static size_t break_length(ml_str s)
{
    static const char *const breaks[] = {"\r\n",         "\n",          "\r",
                                         "\v",           "\f",          "\x1c",
                                         "\x1d",         "\x1e",        "\xc2\x85",
                                         "\xe2\x80\xa8", "\xe2\x80\xa9"};
    for (size_t i = 0; i < sizeof(breaks) / sizeof(*breaks); i++) {
        if (ml_str_starts(s, ml_str_of(breaks[i]))) return strlen(breaks[i]);
    }
    return 0;
}

static bool is_comment(ml_str line)
{
    size_t i = 0;
    while (i < line.n && (line.p[i] == ' ' || line.p[i] == '\t')) i++;
    return i < line.n && line.p[i] == '#';
}

static bool read_env_line(ml_values *v, ml_value *map, ml_str line, int number)
{
    size_t at = ml_str_find(line, '=');
    const char *problem = NULL;
    if (line.n == 0 || is_comment(line)) return true;
    if (at == line.n) problem = "there is no '=' in this line";
    if (at == 0) problem = "the key before '=' is empty";
    if (at + 1 == line.n) problem = "the value behind '=' is empty";
    if (problem) {
        ml_values_fail(v, number, problem);
        return false;
    }
    ml_str value = {line.p + at + 1, line.n - at - 1};
    return ml_value_add(v, map, (ml_str){line.p, at},
                        ml_value_new(v, ML_VALUE_TEXT, value));
}

static ml_value *read_env(ml_values *v, ml_str text)
{
    ml_value *map = ml_value_new(v, ML_VALUE_MAP, (ml_str){0});
    size_t from = 0, i = 0;
    for (int number = 1; map && from < text.n; number++) {
        size_t n = 0;
        for (i = from; i < text.n; i++) {
            n = break_length((ml_str){text.p + i, text.n - i});
            if (n) break;
        }
        if (!read_env_line(v, map, (ml_str){text.p + from, i - from}, number)) {
            return NULL;
        }
        from = i + n;
    }
    if (!map || !ml_value_settle(v, map)) return NULL;
    if (v->repeated.n == 0) return map;
    v->key = v->repeated;
    return ml_values_fail(v, 0, "it is there more than once");
}

/* ---- connections
 * --------------------------------------------------------------------- */

static bool is_field(ml_str key)
{
    static const char *const fields[] = {"conn_id", "conn_type", "description", "host",
                                         "login",   "password",  "schema",      "port",
                                         "extra",   "uri",       "extra_dejson"};
    for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
        if (ml_str_eq(key, ml_str_of(fields[i]))) return true;
    }
    return false;
}

static const char *problem_of_object(ml_str id, const ml_value *object)
{
    for (const ml_member *m = object->first; m; m = m->next) {
        if (!is_field(m->key)) return "it has a field that Airflow does not know";
    }
    const ml_value *conn_id = ml_value_find(object, ML_LIT("conn_id"));
    if (conn_id && !ml_str_eq(conn_id->text, id)) {
        return "its conn_id is not the key that it stands under";
    }
    if (ml_value_find(object, ML_LIT("extra")) &&
        ml_value_find(object, ML_LIT("extra_dejson"))) {
        return "it has both extra and extra_dejson";
    }
    return NULL;
}

static const char *problem_of_connection(ml_str id, const ml_value *value)
{
    if (value->kind == ML_VALUE_MAP) return problem_of_object(id, value);
    if (value->kind != ML_VALUE_TEXT) {
        return "this connection is neither a URI nor an object of its fields";
    }
    ml_str uri = ml_str_trim(value->text);
    if (uri.n && uri.p[0] == '{') {
        return "its JSON stands inside a text, which Airflow takes for a URI here: "
               "write it as an object";
    }
    return NULL;
}

/* Without conn_id, and with extra_dejson under the name that it stands for. */
static bool write_object(ml_values *v, const ml_value *object, ml_buf *out)
{
    ml_value *plain = ml_value_new(v, ML_VALUE_MAP, (ml_str){0});
    if (!plain) return false;
    for (const ml_member *m = object->first; m; m = m->next) {
        bool is_extra = ml_str_eq(m->key, ML_LIT("extra_dejson"));
        if (ml_str_eq(m->key, ML_LIT("conn_id"))) continue;
        if (!ml_value_add(v, plain, is_extra ? ML_LIT("extra") : m->key, m->value)) {
            return false;
        }
    }
    return ml_value_write_json(plain, out);
}

/* ---- the whole file
 * -------------------------------------------------------------------- */

static const ml_value *unwrapped(const ml_value *value)
{
    return value->kind == ML_VALUE_LIST && value->n == 1 ? value->first->value : value;
}

static const char *problem_of(const ml_member *m, bool are_connections)
{
    bool is_list = m->value->kind == ML_VALUE_LIST;
    if (is_list && m->value->n > 1) return "it has more than one value";
    if (is_list && m->value->n == 0) return are_connections ? NULL : "it has no value";
    return are_connections ? problem_of_connection(m->key, unwrapped(m->value)) : NULL;
}

static ml_value *read_format(ml_values *v, ml_str text, ml_local_format format)
{
    if (format == ML_LOCAL_ENV) return read_env(v, text);
    if (text.n == 0) return ml_values_fail(v, 1, "the file is empty");
    return format == ML_LOCAL_JSON ? ml_value_of_json(v, text)
                                   : ml_value_of_yaml(v, text);
}

ml_value *ml_local_read(ml_values *v, ml_str text, ml_local_format format,
                        bool are_connections)
{
    if (!ml_utf8_valid(text)) return ml_values_fail(v, 0, "the file is not UTF-8");
    ml_value *map = read_format(v, text, format);
    if (!map) return NULL;
    if (map->kind != ML_VALUE_MAP) {
        return ml_values_fail(v, 1, "the file does not hold an object at its top");
    }
    for (const ml_member *m = map->first; m; m = m->next) {
        const char *problem = problem_of(m, are_connections);
        v->key = problem ? m->key : (ml_str){0};
        if (problem) return ml_values_fail(v, 0, problem);
    }
    return map;
}

static bool write_variable(const ml_value *value, ml_buf *out)
{
    if (value->kind == ML_VALUE_LIST || value->kind == ML_VALUE_MAP) {
        return ml_value_write_json(value, out);
    }
    ml_buf_add_str(out, value->text);
    return ml_buf_ok(out);
}

bool ml_local_answer(ml_values *v, const ml_value *value, bool are_connections,
                     ml_buf *out)
{
    value = unwrapped(value);
    bool is_nothing = value->kind == ML_VALUE_NULL ||
                      (are_connections && value->kind == ML_VALUE_LIST);
    if (is_nothing) return false;
    bool ok = are_connections && value->kind == ML_VALUE_MAP
                  ? write_object(v, value, out)
                  : write_variable(value, out);
    if (!ml_buf_ok(out) && !out->is_full) ml_values_nomem(v);
    if (!ok) ml_values_fail(v, 0, "its value unfolds to too much, or has no JSON form");
    return ok;
}
