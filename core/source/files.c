/* files.c - local files as sources: what all kinds share, and one file as one secret.
 */
#include "source/files.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "source/files_inside.h"
#include "source/local_file.h"
#include "source/read_file.h"
#include "source/ready.h"

enum { MAX_NAMES = 100 * 1000 };

void ml_files_found(const files *f, ml_op *op, ml_str key, ml_str value)
{
    if (f->o.trim_newline) value = ml_trim_newline(value);
    op->secret = ml_source_secret(&f->source, key, &value);
    if (!op->secret) ml_fail(&op->err, ML_ENOMEM, "out of memory");
}

void ml_files_listed(const files *f, ml_op *op, ml_str key)
{
    if (op->err.code) return;
    if (op->list.n == MAX_NAMES) {
        ml_fail(&op->err, ML_EINVALID, "%s holds more than %d keys", f->source.label,
                MAX_NAMES);
    } else if (!ml_secrets_add(&op->list, ml_source_secret(&f->source, key, NULL))) {
        ml_fail(&op->err, ML_ENOMEM, "out of memory");
    }
}

void ml_files_unread(const files *f, ml_op *op, const ml_err *why)
{
    int code = why->code;
    const char *hint = "";
    if (code == ML_EMISSING && !f->o.is_optional) {
        code = ML_EUNAVAILABLE;
        hint = " (optional = true lets it be absent)";
    }
    ml_fail(&op->err, code, "%s%s", why->text, hint);
}

void ml_files_no_key(const files *f, ml_op *op, ml_str key)
{
    ml_fail(&op->err, ML_EMISSING, "%s has no %.*s", f->source.label,
            key.n < 128 ? (int)key.n : 128, key.p);
}

/* The file's bytes; false: op->err is filled. */
bool ml_files_read(const files *f, ml_op *op, ml_buf *text)
{
    ml_err why = {0};
    if (ml_read_file(ml_open_file(f->o.path), f->o.path, text, &why) == 0) return true;
    ml_files_unread(f, op, &why);
    return false;
}

void ml_files_broken(const files *f, ml_op *op, int line, ml_str key,
                     const char *reason)
{
    char place[16] = "", shown[140] = "";
    if (line > 0) snprintf(place, sizeof(place), ":%d", line);
    ml_copy_printable(shown, sizeof(shown), key.p, key.n);
    ml_fail(&op->err, ML_EINVALID, "%.160s%s: %s%s%s", f->o.path, place, shown,
            *shown ? ": " : "", reason);
}

/* ---- one file
 * ------------------------------------------------------------------------ */

static ml_str base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return ml_str_of(slash ? slash + 1 : path);
}

static void get_file(const files *f, ml_str key, ml_op *op)
{
    ml_buf text;
    if (f->o.key && !ml_str_eq(key, ml_str_of(f->o.key))) {
        ml_files_no_key(f, op, key);
        return;
    }
    if (!ml_files_read(f, op, &text)) return;
    ml_files_found(f, op, key, ml_buf_str(&text));
    ml_buf_fini(&text);
}

static void list_file(const files *f, ml_op *op)
{
    ml_buf text;
    if (!ml_files_read(f, op, &text)) return;
    ml_files_listed(f, op, f->o.key ? ml_str_of(f->o.key) : base_name(f->o.path));
    ml_buf_fini(&text);
}

int ml_files_check_any(const ml_source *s, ml_str key, ml_secret *value, ml_err *e)
{
    (void)s;
    (void)value;
    if (key.n) return 0;
    return ml_fail(e, ML_EUSAGE, "a key cannot be empty");
}

static const files_kind one_file = {{"file", false, ml_files_check_any, ml_files_start,
                                     ml_files_free},
                                    "file",
                                    get_file,
                                    list_file};

/* ---- all kinds
 * ----------------------------------------------------------------------- */

static void get_or_list(ml_source *s, const ml_source_call *c, ml_op *op)
{
    const files *f = (const files *)s;
    if (c->verb == ML_GET && c->version.n) {
        ml_fail(&op->err, ML_EUSAGE, "%s has no versions", s->label);
        return;
    }
    if (c->verb == ML_GET) {
        if (s->kind->check(s, c->key, NULL, &op->err) == 0) f->kind->get(f, c->key, op);
    } else {
        f->kind->list(f, op);
        if (op->err.code == ML_EMISSING)
            ml_err_clear(&op->err); /* and optional: none */
        if (op->err.code == 0) ml_source_sort(&op->list);
    }
    ml_trace_add(c->trace, "file", "%s read", f->o.path);
}

ml_op *ml_files_start(ml_source *s, const ml_source_call *c, ml_op_done *done,
                      void *arg)
{
    return ml_ready_start(((files *)s)->loop, s, c, get_or_list, done, arg);
}

void ml_files_free(ml_source *s)
{
    files *f = (files *)s;
    ml_free((char *)(uintptr_t)f->o.path);
    ml_free((char *)(uintptr_t)f->o.key);
    ml_free(f);
}

static const files_kind *kind_of(ml_files_kind kind)
{
    switch (kind) {
    case ML_FILES_DOTENV: return &ml_files_dotenv;
    case ML_FILES_DIRECTORY: return &ml_files_directory;
    case ML_FILES_LOCAL: return &ml_files_local;
    default: return &one_file;
    }
}

static int check_options(const ml_files_options *o, ml_err *e)
{
    if (!o->path || !*o->path) return ml_fail(e, ML_EUSAGE, "path is empty");
    if (o->kind == ML_FILES_LOCAL && ml_local_format_of(o->path) == ML_LOCAL_UNKNOWN) {
        return ml_fail(e, ML_EUSAGE,
                       "path must end in .env, .json, .yaml or .yml: the suffix is the "
                       "format");
    }
    return 0;
}

ml_source *ml_files_source_new(ml_loop *loop, const ml_files_options *o, ml_err *e)
{
    if (check_options(o, e) < 0) return NULL;
    files *f = ml_calloc(1, sizeof(*f));
    if (!f) {
        ml_fail(e, ML_ENOMEM, "out of memory");
        return NULL;
    }
    f->loop = loop;
    f->kind = kind_of(o->kind);
    f->source = (ml_source){.kind = &f->kind->kind, .refs = 1};
    f->o = *o;
    f->o.path = ml_dup(o->path);
    f->o.key = ml_dup(o->key);
    snprintf(f->source.alias, sizeof(f->source.alias), "%s", o->alias);
    snprintf(f->source.label, sizeof(f->source.label), "%s %.250s", f->kind->what,
             o->path);
    if (f->o.path && (f->o.key || !o->key)) return &f->source;
    ml_files_free(&f->source);
    ml_fail(e, ML_ENOMEM, "out of memory");
    return NULL;
}
