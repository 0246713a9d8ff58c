/* vault_build.c - the Key Vault secrets REST API: check calls, build requests. */
#include "azure/vault.h"

#include <string.h>

#include "base/err.h"
#include "io/form.h"
#include "io/json.h"

enum { CONTENT_TYPE_MAX = 255, TAGS_MAX = 15, TAG_MAX_CHARS = 512, PAGE_MAX = 25 };

/* What each operation is on the wire: {origin}/{collection}[/{key}][/{after}]. */
typedef struct wire {
    const char *method;
    const char *collection;
    const char *after;
    bool has_key;
    bool has_version;
    bool has_body;
    bool is_idempotent;
} wire;

static const wire wires[ML_VAULT_OP_COUNT] = {
    [ML_VAULT_GET] = {"GET", "secrets", "", true, true, false, true},
    [ML_VAULT_SET] = {"PUT", "secrets", "", true, false, true, false},
    [ML_VAULT_UPDATE] = {"PATCH", "secrets", "", true, true, true, true},
    [ML_VAULT_DELETE] = {"DELETE", "secrets", "", true, false, false, true},
    [ML_VAULT_LIST] = {"GET", "secrets", "", false, false, false, true},
    [ML_VAULT_VERSIONS] = {"GET", "secrets", "versions", true, false, false, true},
    [ML_VAULT_LIST_DELETED] = {"GET", "deletedsecrets", "", false, false, false, true},
    [ML_VAULT_GET_DELETED] = {"GET", "deletedsecrets", "", true, false, false, true},
    [ML_VAULT_RECOVER] = {"POST", "deletedsecrets", "recover", true, false, false,
                          true},
    [ML_VAULT_PURGE] = {"DELETE", "deletedsecrets", "", true, false, false, true},
    [ML_VAULT_BACKUP] = {"POST", "secrets", "backup", true, false, false, true},
    [ML_VAULT_RESTORE] = {"POST", "secrets", "restore", false, false, true, false},
};

bool ml_vault_is_idempotent(ml_vault_op op)
{
    return wires[op].is_idempotent;
}

static bool is_list(ml_vault_op op)
{
    return op == ML_VAULT_LIST || op == ML_VAULT_VERSIONS ||
           op == ML_VAULT_LIST_DELETED;
}

/* Code points of valid UTF-8. */
static size_t count_chars(ml_str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

static int check_value(const ml_vault_call *c, ml_err *e)
{
    size_t n = 0;
    bool is_blob = c->op == ML_VAULT_RESTORE;
    if (!c->value || !ml_secret_data(c->value, &n)) {
        return ml_fail(e, ML_EUSAGE, "there is no value to %s",
                       is_blob ? "restore" : "set");
    }
    if (is_blob && n == 0)
        return ml_fail(e, ML_EUSAGE, "the backup to restore is empty");
    if (!is_blob && n > ML_VALUE_MAX_BYTES) {
        return ml_fail(e, ML_EUSAGE,
                       "the value is longer than the %d bytes that Key Vault "
                       "stores; keep it elsewhere and store its key",
                       ML_VALUE_MAX_BYTES);
    }
    if (!ml_utf8_valid(ml_secret_value(c->value))) {
        return ml_fail(e, ML_EUSAGE,
                       "the value is not UTF-8, and Key Vault stores text "
                       "only; encode it, for example as base64");
    }
    return 0;
}

static int check_tags(const ml_vault_call *c, ml_err *e)
{
    if (c->n_tags > TAGS_MAX) {
        return ml_fail(e, ML_EUSAGE, "%zu tags: Key Vault keeps at most %d a secret",
                       c->n_tags, TAGS_MAX);
    }
    for (size_t i = 0; i < c->n_tags; i++) {
        const ml_tag *t = &c->tags[i];
        if (!ml_utf8_valid(t->name) || !ml_utf8_valid(t->value)) {
            return ml_fail(e, ML_EUSAGE, "tag %zu is not UTF-8", i + 1);
        }
        if (t->name.n == 0) return ml_fail(e, ML_EUSAGE, "tag %zu has no name", i + 1);
        if (count_chars(t->name) > TAG_MAX_CHARS ||
            count_chars(t->value) > TAG_MAX_CHARS) {
            return ml_fail(e, ML_EUSAGE, "tag %zu is longer than %d characters", i + 1,
                           TAG_MAX_CHARS);
        }
        for (size_t k = 0; k < i; k++) {
            if (ml_str_eq(c->tags[k].name, t->name)) {
                return ml_fail(e, ML_EUSAGE, "tags %zu and %zu have the same name",
                               k + 1, i + 1);
            }
        }
    }
    return 0;
}

static int check_metadata(const ml_vault_call *c, ml_err *e)
{
    if (c->has_content_type && (!ml_utf8_valid(c->content_type) ||
                                count_chars(c->content_type) > CONTENT_TYPE_MAX)) {
        return ml_fail(e, ML_EUSAGE,
                       "the content type is not UTF-8 of at most %d characters",
                       CONTENT_TYPE_MAX);
    }
    if (c->not_before_s < 0 || c->expires_s < 0) {
        return ml_fail(e, ML_EUSAGE, "a date before 1970");
    }
    if (c->expires_s && c->expires_s < c->not_before_s) {
        return ml_fail(e, ML_EUSAGE, "the secret would expire before it is valid");
    }
    return c->has_tags ? check_tags(c, e) : 0;
}

int ml_vault_check(const ml_vault_call *c, ml_err *e)
{
    if ((int)c->op < 0 || c->op >= ML_VAULT_OP_COUNT) {
        return ml_fail(e, ML_EUSAGE, "an unknown operation");
    }
    const wire *w = &wires[c->op];
    int rc = w->has_key ? ml_secret_name_check(c->key, e) : 0;
    if (!rc && w->has_version && c->version.n > 0) {
        rc = ml_secret_version_check(c->version, e);
    }
    bool has_value = c->op == ML_VAULT_SET || c->op == ML_VAULT_RESTORE;
    if (!rc && has_value) rc = check_value(c, e);
    if (!rc && (c->op == ML_VAULT_SET || c->op == ML_VAULT_UPDATE))
        rc = check_metadata(c, e);
    if (!rc && is_list(c->op) && (c->max_results < 0 || c->max_results > PAGE_MAX)) {
        rc = ml_fail(e, ML_EUSAGE, "a page has 1 to %d entries, not %d", PAGE_MAX,
                     c->max_results);
    }
    return rc;
}

static void build_url(const ml_vault_call *c, const ml_vault_url *vault,
                      const char *api_version, ml_buf *url)
{
    const wire *w = &wires[c->op];
    ml_buf_add_text(url, vault->origin);
    ml_buf_add_char(url, '/');
    ml_buf_add_text(url, w->collection);
    if (w->has_key) {
        ml_buf_add_char(url, '/');
        ml_form_escape(url, c->key);
    }
    /* The path of an update always has a place for the version. */
    if (w->has_version && (c->version.n > 0 || c->op == ML_VAULT_UPDATE)) {
        ml_buf_add_char(url, '/');
        ml_form_escape(url, c->version);
    }
    if (w->after[0]) {
        ml_buf_add_char(url, '/');
        ml_buf_add_text(url, w->after);
    }
    ml_buf_add_text(url, "?api-version=");
    ml_form_escape(url, ml_str_of(api_version));
    if (is_list(c->op) && c->max_results > 0) {
        ml_buf_addf(url, "&maxresults=%d", c->max_results);
    }
}

/* Begins a member of the object that out ends in. */
static void add_name(ml_buf *out, const char *name)
{
    if (out->len > 0 && out->data[out->len - 1] != '{') ml_buf_add_char(out, ',');
    ml_json_write_string(out, ml_str_of(name));
    ml_buf_add_char(out, ':');
}

static void add_tags(ml_buf *out, const ml_vault_call *c)
{
    add_name(out, "tags");
    ml_buf_add_char(out, '{');
    for (size_t i = 0; i < c->n_tags; i++) {
        if (i > 0) ml_buf_add_char(out, ',');
        ml_json_write_string(out, c->tags[i].name);
        ml_buf_add_char(out, ':');
        ml_json_write_string(out, c->tags[i].value);
    }
    ml_buf_add_char(out, '}');
}

static void add_attributes(ml_buf *out, const ml_vault_call *c)
{
    if (c->enabled == 0 && c->not_before_s == 0 && c->expires_s == 0) return;
    add_name(out, "attributes");
    ml_buf_add_char(out, '{');
    if (c->enabled != 0) {
        add_name(out, "enabled");
        ml_buf_add_text(out, c->enabled > 0 ? "true" : "false");
    }
    if (c->not_before_s) {
        add_name(out, "nbf");
        ml_buf_addf(out, "%lld", (long long)c->not_before_s);
    }
    if (c->expires_s) {
        add_name(out, "exp");
        ml_buf_addf(out, "%lld", (long long)c->expires_s);
    }
    ml_buf_add_char(out, '}');
}

static void build_body(const ml_vault_call *c, ml_buf *body)
{
    ml_buf_add_char(body, '{');
    if (c->op != ML_VAULT_UPDATE) {
        add_name(body, "value");
        ml_json_write_string(body, ml_secret_value(c->value));
    }
    if (c->op != ML_VAULT_RESTORE) {
        if (c->has_content_type) {
            add_name(body, "contentType");
            ml_json_write_string(body, c->content_type);
        }
        if (c->has_tags) add_tags(body, c);
        add_attributes(body, c);
    }
    ml_buf_add_char(body, '}');
}

int ml_vault_build(const ml_vault_call *c, const ml_vault_url *vault,
                   const char *api_version, const char **method, ml_buf *url,
                   ml_buf *body, bool *has_body, ml_err *e)
{
    const wire *w = &wires[c->op];
    if (!api_version || !api_version[0]) api_version = ML_VAULT_API_VERSION;
    build_url(c, vault, api_version, url);
    if (w->has_body) build_body(c, body);
    if (!ml_buf_ok(url) || !ml_buf_ok(body)) {
        return ml_fail(e, ML_ENOMEM, "out of memory for a request");
    }
    *method = w->method;
    *has_body = w->has_body;
    return 0;
}
