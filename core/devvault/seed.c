/* seed.c - the secrets that a dev vault starts with. */
#include "devvault/seed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
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

/* Names of one object that were met, for those that come twice. */
typedef struct names {
    ml_str *items; /* views into the seed */
    size_t n, room;
} names;

/* False when it was met before, whatever its case. */
static bool meet(names *met, ml_str name)
{
    for (size_t i = 0; i < met->n; i++) {
        if (ml_str_ieq(met->items[i], name)) return false;
    }
    if (met->n == met->room) {
        size_t room = met->room ? met->room * 2 : 64;
        ml_str *more = calloc(room, sizeof(*more));
        if (!more) return true; /* only a check less */
        if (met->n) memcpy(more, met->items, met->n * sizeof(*more));
        free(met->items);
        met->items = more;
        met->room = room;
    }
    met->items[met->n++] = name;
    return true;
}

/* Looks ahead: does the object hold other keys than these?  The API passes over those,
 * but here one is a slip of the pen. */
static bool has_other_keys(ml_json j, const char *const *known, size_t n)
{
    ml_str key;
    if (ml_json_peek(&j) != ML_JSON_OBJECT || !ml_json_enter_object(&j)) return false;
    while (ml_json_next_key(&j, &key)) {
        bool is_known = false;
        for (size_t i = 0; i < n && !is_known; i++)
            is_known = ml_json_key_is(key, known[i]);
        if (!is_known) return true;
        if (ml_json_key_is(key, "attributes")) {
            static const char *const attributes[] = {"enabled", "nbf", "exp"};
            if (has_other_keys(j, attributes, 3)) return true;
        }
        if (!ml_json_skip(&j)) return false;
    }
    return false;
}

/* A string is the value; an object is what the API takes. */
static const char *read_secret(reader *d, ml_dv_record *r)
{
    if (ml_json_peek(&d->j) == ML_JSON_STRING) return ml_dv_read_value(&d->j, r);
    bool has_value = false;
    if (ml_json_peek(&d->j) != ML_JSON_OBJECT)
        return "a secret is a string or an object";
    static const char *const known[] = {"value", "contentType", "tags", "attributes"};
    if (has_other_keys(d->j, known, 4)) {
        return "a secret has value, contentType, tags and attributes (enabled, nbf, "
               "exp), nothing else";
    }
    const char *bad = ml_dv_read_parameters(&d->j, r, &has_value);
    if (bad) return bad;
    return has_value || d->j.failed ? NULL : "a secret without a value";
}

static int read_secrets(reader *d, const char *vault, names *met, ml_err *e)
{
    ml_str key;
    int rc = 0;
    if (!ml_json_enter_object(&d->j))
        return wrong(d, "a vault is an object of secrets", e);
    while (rc == 0 && ml_json_next_key(&d->j, &key)) {
        if (!ml_dv_name_ok(key)) {
            return wrong(d, "a secret's name is 1-127 letters, digits and '-'", e);
        }
        if (!meet(met, key))
            return wrong(d, "this secret came before; case does not count", e);
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

static int read_vault(reader *d, const char *vault, ml_err *e)
{
    names met = {0};
    int rc = read_secrets(d, vault, &met, e);
    free(met.items);
    return rc;
}

static int read_vaults(reader *d, names *met, ml_err *e)
{
    ml_str key;
    while (ml_json_next_key(&d->j, &key)) {
        if (!ml_dv_vault_name_ok(key)) {
            return wrong(d,
                         "a vault's name is 3-24 letters, digits and single '-', and "
                         "starts with a letter",
                         e);
        }
        if (!meet(met, key))
            return wrong(d, "this vault came before; case does not count", e);
        char vault[LONGEST_VAULT + 1];
        ml_copy_printable(vault, sizeof(vault), key.p, key.n);
        int rc = d->on_vault ? d->on_vault(d->arg, vault, e) : 0;
        if (rc == 0) rc = read_vault(d, vault, e);
        if (rc) return rc;
    }
    return ml_json_end(&d->j) ? 0 : wrong(d, "this is no JSON", e);
}

int ml_dv_seed_read(ml_str text, const char *file, ml_dv_seed_vault *on_vault,
                    ml_dv_seed_each *on_secret, void *arg, ml_err *e)
{
    reader d = {.file = file, .on_vault = on_vault, .on_secret = on_secret, .arg = arg};
    ml_json_init(&d.j, text);
    if (!ml_json_enter_object(&d.j))
        return wrong(&d, "a seed is an object of vaults", e);
    names met = {0};
    int rc = read_vaults(&d, &met, e);
    free(met.items);
    return rc;
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
