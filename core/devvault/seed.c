/* seed.c - the secrets that a dev vault starts with. */
#include "devvault/seed.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "devvault/bundle.h"
#include "io/json.h"

enum { LARGEST_FILE = 64 * 1024 * 1024, LONGEST_VAULT = 24 };

typedef struct reader {
    ml_json j;
    const char *file;
    ml_dv_seed_vault *on_vault;
    ml_dv_seed_each *on_secret;
    void *arg;
} reader;

bool ml_dv_vault_name_ok(ml_str name)
{
    if (name.n < 3 || name.n > LONGEST_VAULT || !ml_dv_name_ok(name)) return false;
    char first = (char)(name.p[0] | 0x20);
    if (first < 'a' || first > 'z' || name.p[name.n - 1] == '-') return false;
    for (size_t i = 1; i < name.n; i++) {
        if (name.p[i] == '-' && name.p[i - 1] == '-') return false;
    }
    return true;
}

int ml_dv_seed_load(const char *file, ml_buf *out, ml_err *e)
{
    FILE *f = fopen(file, "re");
    if (!f)
        return ml_fail(e, ML_EUSAGE, "cannot read seed %s: %s", file, strerror(errno));
    setvbuf(f, NULL, _IONBF, 0); /* no copy of values in stdio's buffer */
    ml_buf_init(out, LARGEST_FILE);
    char block[4096];
    size_t n;
    while ((n = fread(block, 1, sizeof(block), f)) > 0) ml_buf_add(out, block, n);
    ml_scrub(block, sizeof(block));
    bool ok = !ferror(f) && ml_buf_ok(out);
    fclose(f);
    return ok ? 0
              : ml_fail(e, ML_EUSAGE, "cannot read seed %s: too large or unreadable",
                        file);
}

static int wrong(reader *d, const char *why, ml_err *e)
{
    const char *json_why = "";
    size_t at = ml_json_error_at(&d->j, &json_why);
    return ml_fail(e, ML_EUSAGE, "seed %s, byte %zu: %s%s%s", d->file, at, why,
                   d->j.failed ? ": " : "", d->j.failed ? json_why : "");
}

/* A string is the value; an object is what the API takes. */
static const char *read_secret(reader *d, ml_dv_record *r)
{
    if (ml_json_peek(&d->j) == ML_JSON_STRING) return ml_dv_read_value(&d->j, r);
    bool has_value = false;
    if (ml_json_peek(&d->j) != ML_JSON_OBJECT)
        return "a secret is a string or an object";
    const char *bad = ml_dv_read_parameters(&d->j, r, &has_value);
    if (bad) return bad;
    return has_value || d->j.failed ? NULL : "a secret without a value";
}

static int read_vault(reader *d, const char *vault, ml_err *e)
{
    ml_str key;
    int rc = 0;
    if (!ml_json_enter_object(&d->j))
        return wrong(d, "a vault is an object of secrets", e);
    while (rc == 0 && ml_json_next_key(&d->j, &key)) {
        if (!ml_dv_name_ok(key)) {
            return wrong(d, "a secret's name is 1-127 letters, digits and '-'", e);
        }
        ml_dv_record r;
        ml_dv_record_init(&r);
        memcpy(r.name, key.p, key.n);
        const char *bad = read_secret(d, &r);
        if (bad)
            rc = wrong(d, bad, e);
        else if (d->on_secret && !d->j.failed)
            rc = d->on_secret(d->arg, vault, &r, e);
        ml_dv_record_fini(&r);
    }
    return rc;
}

int ml_dv_seed_read(ml_str text, const char *file, ml_dv_seed_vault *on_vault,
                    ml_dv_seed_each *on_secret, void *arg, ml_err *e)
{
    reader d = {.file = file, .on_vault = on_vault, .on_secret = on_secret, .arg = arg};
    ml_str key;
    ml_json_init(&d.j, text);
    if (!ml_json_enter_object(&d.j))
        return wrong(&d, "a seed is an object of vaults", e);
    while (ml_json_next_key(&d.j, &key)) {
        if (!ml_dv_vault_name_ok(key)) {
            return wrong(&d,
                         "a vault's name is 3-24 letters, digits and single '-', and "
                         "starts with a letter",
                         e);
        }
        char vault[LONGEST_VAULT + 1];
        ml_copy_printable(vault, sizeof(vault), key.p, key.n);
        int rc = on_vault ? on_vault(arg, vault, e) : 0;
        if (rc == 0) rc = read_vault(&d, vault, e);
        if (rc) return rc;
    }
    return ml_json_end(&d.j) ? 0 : wrong(&d, "this is no JSON", e);
}

int ml_dv_seed_add(ml_dv_store *s, const char *vault, ml_dv_record *r, ml_err *e)
{
    ml_dv_record known;
    ml_dv_record_init(&known);
    int rc = ml_dv_store_find(s, vault, r->name, NULL, &known, e);
    ml_dv_record_fini(&known);
    if (rc != ML_EMISSING) return rc;
    ml_dv_random_hex(r->version, 16);
    r->created = r->updated = ml_dv_now_s();
    return ml_dv_store_add(s, vault, r, e);
}
