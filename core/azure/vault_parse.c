/* vault_parse.c - the Key Vault secrets REST API: parse answers.
 *
 * Texts are views of the body; those with escapes go decoded into one scrubbing buffer,
 * as an offset since it may move while it grows.  From there they go into the secret.
 * There is no other copy. */
#include "azure/vault.h"

#include <limits.h>
#include <stdio.h>

#include "azure/vault_errors.h"
#include "base/err.h"
#include "io/json.h"

enum { TAGS_MAX = 64 }; /* the service keeps 15 */

typedef struct span {
    const char *p; /* in the body; NULL: at an offset of `texts` */
    size_t at;
    size_t n;
} span;

typedef struct tag_span {
    span name, value;
} tag_span;

/* One bundle or list item being read. */
typedef struct bundle {
    ml_buf texts;
    span value;
    span id;
    span content_type;
    span recovery_id;
    size_t n_tags;
    bool has_value;
    ml_attributes attributes;
    tag_span *tags; /* room for TAGS_MAX */
} bundle;

void ml_vault_answer_init(ml_vault_answer *a)
{
    *a = (ml_vault_answer){0};
    ml_buf_init(&a->next_link, 0);
}

void ml_vault_answer_fini(ml_vault_answer *a)
{
    ml_secret_unref(a->secret);
    ml_secrets_fini(&a->list);
    ml_buf_fini(&a->next_link);
    ml_vault_answer_init(a);
}

/* A raw string as it is, or decoded to the end of the buffer. */
static bool store(ml_str raw, ml_buf *texts, span *out)
{
    *out = (span){.p = raw.p, .n = raw.n};
    if (ml_str_find(raw, '\\') == raw.n) return true;
    size_t from = texts->len;
    if (!ml_json_unescape(raw, texts)) return false;
    *out = (span){.at = from, .n = texts->len - from};
    return true;
}

/* A string, or null for none. */
static bool read_text(ml_json *j, ml_buf *texts, span *out)
{
    ml_str raw;
    if (ml_json_read_null(j)) return true;
    return ml_json_read_raw_string(j, &raw) && store(raw, texts, out);
}

static bool read_number(ml_json *j, int64_t *out)
{
    return ml_json_read_null(j) || ml_json_read_int(j, out);
}

static bool read_flag(ml_json *j, bool *out)
{
    return ml_json_read_null(j) || ml_json_read_bool(j, out);
}

static bool read_days(ml_json *j, int *out)
{
    int64_t days = 0;
    if (!read_number(j, &days)) return false;
    *out = days >= 0 && days <= INT_MAX ? (int)days : 0;
    return true;
}

static bool read_attribute(ml_json *j, ml_str key, ml_attributes *a)
{
    if (ml_json_key_is(key, "enabled")) return read_flag(j, &a->enabled);
    if (ml_json_key_is(key, "nbf")) return read_number(j, &a->not_before_s);
    if (ml_json_key_is(key, "exp")) return read_number(j, &a->expires_s);
    if (ml_json_key_is(key, "created")) return read_number(j, &a->created_s);
    if (ml_json_key_is(key, "updated")) return read_number(j, &a->updated_s);
    if (ml_json_key_is(key, "recoverableDays"))
        return read_days(j, &a->recoverable_days);
    return ml_json_skip(j);
}

static bool read_attributes(ml_json *j, ml_attributes *a)
{
    ml_str key;
    if (ml_json_read_null(j)) return true;
    if (!ml_json_enter_object(j)) return false;
    while (ml_json_next_key(j, &key)) {
        if (!read_attribute(j, key, a)) return false;
    }
    return true;
}

static bool read_tags(ml_json *j, bundle *b)
{
    ml_str key;
    if (ml_json_read_null(j)) return true;
    if (!ml_json_enter_object(j)) return false;
    while (ml_json_next_key(j, &key)) {
        if (b->n_tags == TAGS_MAX) return false;
        tag_span *tag = &b->tags[b->n_tags];
        *tag = (tag_span){0};
        if (!store(key, &b->texts, &tag->name)) return false;
        if (!read_text(j, &b->texts, &tag->value)) return false;
        b->n_tags++;
    }
    return true;
}

/* wants_value: otherwise a value that the service echoes is skipped, never copied. */
static bool read_member(ml_json *j, ml_str key, bool wants_value, bundle *b)
{
    ml_attributes *a = &b->attributes;
    if (ml_json_key_is(key, "value") && wants_value && !b->has_value) {
        ml_str raw;
        if (!ml_json_read_raw_string(j, &raw)) return false;
        b->has_value = true;
        return store(raw, &b->texts, &b->value);
    }
    if (ml_json_key_is(key, "id")) return read_text(j, &b->texts, &b->id);
    if (ml_json_key_is(key, "contentType"))
        return read_text(j, &b->texts, &b->content_type);
    if (ml_json_key_is(key, "recoveryId"))
        return read_text(j, &b->texts, &b->recovery_id);
    if (ml_json_key_is(key, "attributes")) return read_attributes(j, a);
    if (ml_json_key_is(key, "tags")) return read_tags(j, b);
    if (ml_json_key_is(key, "managed")) return read_flag(j, &a->managed);
    if (ml_json_key_is(key, "deletedDate")) return read_number(j, &a->deleted_s);
    if (ml_json_key_is(key, "scheduledPurgeDate")) {
        return read_number(j, &a->scheduled_purge_s);
    }
    return ml_json_skip(j);
}

static bool read_bundle(ml_json *j, bool wants_value, bundle *b)
{
    ml_str key;
    if (!ml_json_enter_object(j)) return false;
    while (ml_json_next_key(j, &key)) {
        if (!read_member(j, key, wants_value, b)) return false;
    }
    return !j->failed;
}

static ml_str view(const bundle *b, span s)
{
    if (s.n == 0) return ML_LIT("");
    return (ml_str){s.p ? s.p : b->texts.data + s.at, s.n};
}

/* One parse: what was asked, for the checks and texts. */
typedef struct job {
    const ml_vault_call *call;
    const char *source;
    ml_err *e;
} job;

static int fail(const job *w, int code, const char *why)
{
    char what[190];
    ml_err *e = w->e;
    snprintf(e->source, sizeof(e->source), "%s", w->source);
    ml_copy_printable(e->key, sizeof(e->key), w->call->key.p, w->call->key.n);
    ml_vault_describe(w->call, w->source, what, sizeof(what));
    if (code == ML_ENOMEM) return ml_fail(e, code, "%s: out of memory", what);
    return ml_fail(e, code,
                   "%s: the answer cannot be used: %s; is the host a Key Vault, "
                   "or does a proxy answer?",
                   what, why);
}

static int fail_reading(const job *w, const bundle *b, const ml_json *j)
{
    const char *why = "a member of an unexpected kind";
    if (!ml_buf_ok(&b->texts)) return fail(w, ML_ENOMEM, NULL);
    if (j->failed) ml_json_error_at(j, &why);
    return fail(w, ML_EINVALID, why);
}

/* The id must name what was asked for; what was not asked for is not compared. */
static int take_id(const job *w, const bundle *b, ml_str *name, ml_str *version)
{
    const ml_vault_call *c = w->call;
    ml_str collection;
    if (!ml_secret_id_parse(view(b, b->id), &collection, name, version)) {
        return fail(w, ML_EINVALID, "no id of a secret in it");
    }
    bool is_any = c->op == ML_VAULT_RESTORE || c->op == ML_VAULT_LIST ||
                  c->op == ML_VAULT_LIST_DELETED;
    if (!is_any && !ml_str_ieq(*name, c->key)) {
        return fail(w, ML_EINVALID, "it is about another secret");
    }
    bool is_pinned = c->op == ML_VAULT_GET || c->op == ML_VAULT_UPDATE;
    if (is_pinned && c->version.n > 0 && !ml_str_ieq(*version, c->version)) {
        return fail(w, ML_EINVALID, "it is about another version");
    }
    return 0;
}

static int make_secret(const job *w, const bundle *b, ml_secret **out)
{
    ml_tag tags[TAGS_MAX];
    ml_secret_fields f = {.has_value = b->has_value,
                          .value = view(b, b->value),
                          .name = w->call->name,
                          .source = ml_str_of(w->source),
                          .key = w->call->key,
                          .content_type = view(b, b->content_type),
                          .recovery_id = view(b, b->recovery_id),
                          .tags = tags,
                          .n_tags = b->n_tags,
                          .attributes = b->attributes};
    for (size_t i = 0; i < b->n_tags; i++) {
        tags[i] = (ml_tag){view(b, b->tags[i].name), view(b, b->tags[i].value)};
    }
    if (w->call->op != ML_VAULT_BACKUP) {
        int rc = take_id(w, b, &f.key, &f.version);
        if (rc) return rc;
    }
    *out = ml_secret_new(&f);
    return *out ? 0 : fail(w, ML_ENOMEM, NULL);
}

static void begin(bundle *b, tag_span tags[TAGS_MAX], size_t max)
{
    *b = (bundle){.attributes.enabled = true, .tags = tags};
    ml_buf_init(&b->texts, max);
}

/* One object of the body into one secret. */
static int parse_object(const job *w, ml_json *j, ml_secret **out)
{
    bundle b;
    tag_span tags[TAGS_MAX];
    ml_vault_op op = w->call->op;
    bool wants_value = op == ML_VAULT_GET || op == ML_VAULT_BACKUP;
    begin(&b, tags, j->text.n + 1);
    int rc = 0;
    if (!read_bundle(j, wants_value, &b)) {
        rc = fail_reading(w, &b, j);
    } else if (wants_value && !b.has_value) {
        rc = fail(w, ML_EINVALID, "no value in it");
    } else {
        rc = make_secret(w, &b, out);
    }
    ml_buf_fini(&b.texts);
    return rc;
}

static int parse_bundle(const job *w, ml_str body, ml_secret **out)
{
    ml_json j;
    ml_json_init(&j, body);
    ml_secret *secret = NULL;
    int rc = parse_object(w, &j, &secret);
    if (!rc && !ml_json_end(&j)) {
        rc = fail(w, ML_EINVALID, "something follows it");
    }
    if (rc) {
        ml_secret_unref(secret);
        return rc;
    }
    *out = secret;
    return 0;
}

static int parse_items(const job *w, ml_json *j, ml_secrets *list)
{
    if (ml_json_read_null(j)) return 0;
    if (!ml_json_enter_array(j))
        return fail(w, ML_EINVALID, "its list is not an array");
    while (ml_json_next_item(j)) {
        ml_secret *secret = NULL;
        int rc = parse_object(w, j, &secret);
        if (rc) return rc;
        if (!ml_secrets_add(list, secret)) return fail(w, ML_ENOMEM, NULL);
    }
    return 0;
}

static int parse_next_link(const job *w, ml_json *j, ml_buf *link)
{
    if (ml_json_read_null(j)) return 0;
    ml_buf_fini(link);
    ml_buf_init(link, j->text.n + 1);
    if (ml_json_read_string(j, link)) return 0;
    return ml_buf_ok(link) ? fail(w, ML_EINVALID, "its nextLink is not a string")
                           : fail(w, ML_ENOMEM, NULL);
}

static int parse_page(const job *w, ml_str body, ml_vault_answer *a)
{
    ml_json j;
    ml_str key;
    bool has_list = false;
    ml_json_init(&j, body);
    if (!ml_json_enter_object(&j)) return fail(w, ML_EINVALID, "not a JSON object");
    while (ml_json_next_key(&j, &key)) {
        int rc = 0;
        if (ml_json_key_is(key, "value") && !has_list) {
            has_list = true;
            rc = parse_items(w, &j, &a->list);
        } else if (ml_json_key_is(key, "nextLink")) {
            rc = parse_next_link(w, &j, &a->next_link);
        }
        if (rc) return rc;
    }
    const char *why = "no list in it";
    if (!ml_json_end(&j)) ml_json_error_at(&j, &why);
    return j.failed || !has_list ? fail(w, ML_EINVALID, why) : 0;
}

int ml_vault_parse(const ml_vault_call *c, const char *source, int status, ml_str body,
                   ml_vault_answer *out, ml_err *e)
{
    bool is_purge = c->op == ML_VAULT_PURGE;
    if (status != 200 && !(is_purge && status == 204)) {
        return ml_vault_fail(c, source, status, body, e);
    }
    ml_err scratch = {0};
    job w = {c, source, e ? e : &scratch};
    w.e->http_status = status;
    if (is_purge) return 0;
    ml_vault_answer a;
    ml_vault_answer_init(&a);
    bool is_list = c->op == ML_VAULT_LIST || c->op == ML_VAULT_VERSIONS ||
                   c->op == ML_VAULT_LIST_DELETED;
    int rc = is_list ? parse_page(&w, body, &a) : parse_bundle(&w, body, &a.secret);
    if (rc) {
        ml_vault_answer_fini(&a);
        return rc;
    }
    *out = a;
    return 0;
}
