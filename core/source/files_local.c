/* files_local.c - a file as Airflow's LocalFilesystemBackend reads it, as a source. */
#include "base/err.h"
#include "source/files_inside.h"
#include "source/local_file.h"
#include "source/read_file.h"

static void refuse(const files *f, ml_op *op, const ml_values *v, ml_str key)
{
    if (v->no_memory)
        ml_fail(&op->err, ML_ENOMEM, "out of memory");
    else
        ml_files_broken(f, op, v->line, key, v->problem);
}

static void answer_local(const files *f, ml_values *v, ml_str key,
                         const ml_value *value, ml_op *op)
{
    ml_buf out;
    ml_buf_init(&out, ML_FILE_MAX_BYTES);
    if (ml_local_answer(v, value, f->o.are_connections, &out))
        ml_files_found(f, op, key, ml_buf_str(&out));
    else if (v->problem)
        refuse(f, op, v, key);
    else
        ml_fail(&op->err, ML_EMISSING,
                "%s: %.*s is null, which Airflow counts as missing", f->source.label,
                key.n < 128 ? (int)key.n : 128, key.p);
    ml_buf_fini(&out);
}

/* use is called with the file's map. */
static void with_local(const files *f, ml_op *op, ml_str key,
                       void (*use)(const files *, ml_values *, ml_value *, ml_str,
                                   ml_op *))
{
    ml_buf text;
    ml_values v;
    if (!ml_files_read(f, op, &text)) return;
    ml_values_init(&v);
    ml_value *map = ml_local_read(&v, ml_buf_str(&text), ml_local_format_of(f->o.path),
                                  f->o.are_connections);
    if (map)
        use(f, &v, map, key, op);
    else
        refuse(f, op, &v, v.key);
    ml_values_fini(&v);
    ml_buf_fini(&text);
}

static void use_for_get(const files *f, ml_values *v, ml_value *map, ml_str key,
                        ml_op *op)
{
    const ml_value *value = ml_value_find(map, key);
    if (value)
        answer_local(f, v, key, value, op);
    else
        ml_files_no_key(f, op, key);
}

static void use_for_list(const files *f, ml_values *v, ml_value *map, ml_str key,
                         ml_op *op)
{
    (void)v;
    (void)key;
    for (const ml_member *m = map->first; m; m = m->next) {
        if (m->value->kind != ML_VALUE_NULL) ml_files_listed(f, op, m->key);
    }
}

static void get_local(const files *f, ml_str key, ml_op *op)
{
    with_local(f, op, key, use_for_get);
}

static void list_local(const files *f, ml_op *op)
{
    with_local(f, op, (ml_str){0}, use_for_list);
}

const files_kind ml_files_local = {{"local_file", false, ml_files_check_any,
                                    ml_files_start, ml_files_free},
                                   "Airflow's local file",
                                   get_local,
                                   list_local};
