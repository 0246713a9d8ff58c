/* files_dotenv.c - a dotenv file as a source: keys are its variables. */
#include "base/err.h"
#include "source/dotenv.h"
#include "source/files_inside.h"
#include "source/read_file.h"

typedef struct search {
    const files *f;
    ml_op *op;
    ml_str key;   /* of a get; a list has none */
    ml_buf value; /* of the last line that has the key */
    bool is_found;
    int line;           /* of what cannot be read, and might be what is asked for */
    const char *reason; /* NULL: there is no such line */
    bool is_named;      /* it is the key itself */
} search;

/* The last line of a key counts, also when it cannot be read.  A line without a name
 * could be any key's. */
static void see(search *s, const ml_dotenv *d)
{
    bool is_key = s->key.n && ml_str_eq(d->name, s->key);
    if (!s->key.n && d->name.n) ml_files_listed(s->f, s->op, d->name);
    if (is_key) {
        ml_buf_fini(&s->value);
        ml_buf_add_str(&s->value, ml_buf_str(&d->value));
        s->is_found = d->reason == NULL;
    }
    if (is_key || (d->reason && !d->name.n && !s->reason)) {
        s->line = d->line;
        s->reason = d->reason;
        s->is_named = is_key;
    }
}

static void settle(search *s)
{
    if (s->op->err.code) return;
    if (!ml_buf_ok(&s->value)) {
        ml_fail(&s->op->err, ML_ENOMEM, "out of memory");
    } else if (s->is_found) {
        ml_files_found(s->f, s->op, s->key, ml_buf_str(&s->value));
    } else if (s->reason) {
        ml_files_broken(s->f, s->op, s->line, s->is_named ? s->key : (ml_str){0},
                        s->reason);
    } else if (s->key.n) {
        ml_files_no_key(s->f, s->op, s->key);
    }
}

/* key empty: a list. */
static void search_file(const files *f, ml_str key, ml_op *op)
{
    ml_buf text;
    ml_dotenv d;
    if (!ml_files_read(f, op, &text)) return;
    search s = {.f = f, .op = op, .key = key};
    ml_buf_init(&s.value, ML_FILE_MAX_BYTES);
    int nul_line = ml_dotenv_init(&d, ml_buf_str(&text));
    while (ml_dotenv_next(&d)) see(&s, &d);
    if (!ml_dotenv_fini(&d)) ml_fail(&op->err, ML_ENOMEM, "out of memory");
    if (nul_line)
        ml_files_broken(f, op, nul_line, (ml_str){0},
                        "a NUL byte: is this a text file?");
    else
        settle(&s);
    ml_buf_fini(&s.value);
    ml_buf_fini(&text);
}

static void list(const files *f, ml_op *op)
{
    search_file(f, (ml_str){0}, op);
}

static int check_dotenv(const ml_source *s, ml_str key, ml_secret *value, ml_err *e)
{
    (void)s;
    (void)value;
    if (ml_dotenv_is_name(key)) return 0;
    return ml_fail(e, ML_EUSAGE,
                   "a variable of a dotenv file begins with a letter or '_', and has "
                   "letters, digits, '_', '.' and '-'");
}

const files_kind ml_files_dotenv = {{"dotenv", false, check_dotenv, ml_files_start,
                                     ml_files_free},
                                    "dotenv file",
                                    search_file,
                                    list};
