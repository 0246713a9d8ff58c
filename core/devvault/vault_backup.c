/* vault_backup.c - a secret with all its versions as one opaque text, and back.
 *
 * The blob is base64url(nonce | AES-256-GCM(JSON) | tag) under a key of this store: no
 * other dev vault can read it, as the service's are tied to a subscription.
 * Inside: {"name": ..., "versions": [{"version", "value", "contentType", "tags",
 * "attributes", "created", "updated"}, ...]}, oldest first. */
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "devvault/bundle.h"

enum { NONCE = 12, TAG = 16, MAX_VERSIONS = 500, LARGEST = 48 * 1024 * 1024 };

/* ---- sealing ----------------------------------------------------------------------
 */

static bool seal(const ml_dv *dv, ml_str plain, ml_buf *out)
{
    unsigned char nonce[NONCE], tag[TAG], block[4096 + 16];
    ml_dv_random_bytes(nonce, sizeof(nonce));
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool ok =
        ctx && EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, dv->backup_key, nonce);
    ml_buf_add(out, nonce, sizeof(nonce));
    for (size_t i = 0; ok && i < plain.n; i += 4096) {
        int n = 0, left = (int)(plain.n - i < 4096 ? plain.n - i : 4096);
        ok =
            EVP_EncryptUpdate(ctx, block, &n, (const unsigned char *)plain.p + i, left);
        ml_buf_add(out, block, (size_t)n);
    }
    int n = 0;
    ok = ok && EVP_EncryptFinal_ex(ctx, block, &n) &&
         EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG, tag);
    if (ok) ml_buf_add(out, tag, sizeof(tag));
    EVP_CIPHER_CTX_free(ctx);
    return ok && ml_buf_ok(out);
}

static bool unseal(const ml_dv *dv, ml_str sealed, ml_buf *out)
{
    if (sealed.n < NONCE + TAG) return false;
    const unsigned char *p = (const unsigned char *)sealed.p;
    unsigned char block[4096 + 16], tag[TAG];
    size_t end = sealed.n - TAG;
    memcpy(tag, p + end, TAG);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool ok =
        ctx && EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, dv->backup_key, p);
    for (size_t i = NONCE; ok && i < end; i += 4096) {
        int n = 0, left = (int)(end - i < 4096 ? end - i : 4096);
        ok = EVP_DecryptUpdate(ctx, block, &n, p + i, left);
        ml_buf_add(out, block, (size_t)n);
    }
    int n = 0;
    ok = ok && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG, tag) &&
         EVP_DecryptFinal_ex(ctx, block, &n) > 0;
    EVP_CIPHER_CTX_free(ctx);
    return ok && ml_buf_ok(out);
}

/* ---- backup -----------------------------------------------------------------------
 */

typedef struct backup {
    ml_buf text;
    int n;
} backup;

static bool add_version(void *arg, const ml_dv_record *r)
{
    backup *b = arg;
    ml_buf *t = &b->text;
    if (b->n++ > 0) ml_buf_add_char(t, ',');
    ml_buf_addf(t,
                "{\"version\":\"%s\",\"created\":%lld,\"updated\":%lld,\"attributes\":"
                "{\"enabled\":%s",
                r->version, (long long)r->created, (long long)r->updated,
                r->enabled ? "true" : "false");
    if (r->has_nbf) ml_buf_addf(t, ",\"nbf\":%lld", (long long)r->nbf);
    if (r->has_exp) ml_buf_addf(t, ",\"exp\":%lld", (long long)r->exp);
    ml_buf_add_text(t, "},\"value\":");
    ml_json_write_string(t, ml_buf_str(&r->value));
    if (r->has_content_type) {
        ml_buf_add_text(t, ",\"contentType\":");
        ml_json_write_string(t, ml_buf_str(&r->content_type));
    }
    if (r->tags.len > 0) {
        ml_buf_add_text(t, ",\"tags\":");
        ml_buf_add_str(t, ml_buf_str(&r->tags));
    }
    ml_buf_add_char(t, '}');
    return b->n <= MAX_VERSIONS;
}

static void answer_blob(ml_dv_call *c, const backup *b)
{
    ml_buf sealed;
    ml_buf_init(&sealed, LARGEST);
    bool ok = ml_buf_ok(&b->text) && seal(c->x->dv, ml_buf_str(&b->text), &sealed);
    if (ok) {
        ml_buf_clear(&c->x->out);
        ml_buf_add_text(&c->x->out, "{\"value\":\"");
        ml_dv_base64url(&c->x->out, ml_buf_str(&sealed));
        ml_buf_add_text(&c->x->out, "\"}");
        ml_dv_answer(c->x, 200);
    } else {
        ml_dv_refuse(c->x, 500, "InternalServerError", NULL, "The backup failed.");
    }
    ml_buf_fini(&sealed);
}

void ml_dv_op_backup(ml_dv_call *c)
{
    if (!ml_dv_load(c, NULL)) return;
    backup b = {0};
    ml_err e = {0};
    ml_buf_init(&b.text, LARGEST);
    ml_buf_addf(&b.text, "{\"name\":\"%s\",\"versions\":[", c->r.name);
    int rc = ml_dv_store_versions(c->x->dv->store, c->x->vault, c->name, 0, -1,
                                  add_version, &b, &e);
    ml_buf_add_text(&b.text, "]}");
    if (rc) {
        ml_dv_broken(c->x, &e);
    } else if (b.n > MAX_VERSIONS) {
        ml_dv_refuse(c->x, 400, "BadParameter", NULL,
                     "A secret with more than 500 versions cannot be backed up.");
    } else {
        answer_blob(c, &b);
    }
    ml_buf_fini(&b.text);
}

/* ---- restore ----------------------------------------------------------------------
 */

static bool read_version(ml_json *j, ml_dv_record *r)
{
    ml_str key, raw;
    if (!ml_json_enter_object(j)) return false;
    while (ml_json_next_key(j, &key)) {
        const char *wrong = NULL;
        if (ml_json_key_is(key, "version")) {
            if (!ml_json_read_raw_string(j, &raw) || raw.n != 32) return false;
            ml_copy_printable(r->version, sizeof(r->version), raw.p, raw.n);
        } else if (ml_json_key_is(key, "created")) {
            ml_json_read_int(j, &r->created);
        } else if (ml_json_key_is(key, "updated")) {
            ml_json_read_int(j, &r->updated);
        } else if (ml_json_key_is(key, "attributes")) {
            wrong = ml_dv_read_attributes(j, r);
        } else if (ml_json_key_is(key, "value")) {
            wrong = ml_dv_read_value(j, r);
        } else if (ml_json_key_is(key, "contentType")) {
            wrong = ml_dv_read_content_type(j, r);
        } else if (ml_json_key_is(key, "tags")) {
            wrong = ml_dv_read_tags(j, r);
        }
        if (wrong) return false;
    }
    return !j->failed;
}

/* Adds what the blob's text says; the name must be free. 0, ML_EINVALID, or the
 * store's. */
static int add_versions(ml_dv_call *c, ml_json *j, ml_err *e)
{
    while (ml_json_next_item(j)) {
        ml_dv_record r;
        ml_dv_record_init(&r);
        snprintf(r.name, sizeof(r.name), "%s", c->name);
        int rc = read_version(j, &r)
                     ? ml_dv_store_add(c->x->dv->store, c->x->vault, &r, e)
                     : ML_EINVALID;
        ml_dv_record_fini(&r);
        if (rc) return rc;
    }
    return j->failed ? ML_EINVALID : 0;
}

static bool name_is_free(ml_dv_call *c)
{
    ml_err e = {0};
    int rc = ml_dv_store_find(c->x->dv->store, c->x->vault, c->name, NULL, &c->r, &e);
    if (rc == ML_EMISSING) return true;
    if (rc) return ml_dv_broken(c->x, &e);
    if (!ml_dv_refuse_if_taken(c)) return false;
    return ml_dv_refuse(c->x, 409, "Conflict", NULL,
                        "There was a conflict restoring the secret "
                        "'%s': a secret of this name exists already.",
                        c->name);
}

static bool invalid_blob(ml_dv_call *c)
{
    return ml_dv_refuse(c->x, 400, "BadParameter", NULL,
                        "The backup blob is invalid or is not from this dev vault.");
}

static bool restore_text(ml_dv_call *c, ml_str text)
{
    ml_json j;
    ml_str key, raw;
    ml_err e = {0};
    ml_json_init(&j, text);
    bool ok = ml_json_enter_object(&j) && ml_json_next_key(&j, &key) &&
              ml_json_read_raw_string(&j, &raw) && ml_dv_name_ok(raw);
    if (!ok) return invalid_blob(c);
    memcpy(c->name, raw.p, raw.n);
    c->name[raw.n] = '\0';
    if (!name_is_free(c)) return false;
    if (!ml_json_next_key(&j, &key) || !ml_json_enter_array(&j)) return invalid_blob(c);
    if (!ml_dv_store_begin(c->x->dv->store)) return ml_dv_broken(c->x, &e);
    int rc = add_versions(c, &j, &e);
    if (!ml_dv_store_end(c->x->dv->store, rc == 0) && rc == 0) rc = ML_ESYSTEM;
    if (rc == ML_EINVALID) return invalid_blob(c);
    return rc == 0 || ml_dv_broken(c->x, &e);
}

static bool read_blob(ml_dv_call *c, ml_buf *sealed)
{
    ml_json j;
    ml_str key, raw = ML_LIT("");
    ml_json_init(&j, ml_buf_str(&c->x->body));
    bool ok = ml_json_enter_object(&j);
    while (ok && ml_json_next_key(&j, &key)) {
        if (ml_json_key_is(key, "value")) ok = ml_json_read_raw_string(&j, &raw);
    }
    return ok && ml_json_end(&j) && raw.n > 0 && ml_dv_base64url_read(sealed, raw);
}

void ml_dv_op_restore(ml_dv_call *c)
{
    ml_buf sealed, text;
    ml_buf_init(&sealed, LARGEST);
    ml_buf_init(&text, LARGEST);
    bool ok = read_blob(c, &sealed) && unseal(c->x->dv, ml_buf_str(&sealed), &text);
    if (!ok) {
        invalid_blob(c);
    } else if (restore_text(c, ml_buf_str(&text)) && ml_dv_load(c, NULL)) {
        ml_buf_clear(&c->x->out);
        ml_dv_write_bundle(c, &c->r, 0);
        ml_dv_answer(c->x, 200);
    }
    ml_buf_fini(&sealed);
    ml_buf_fini(&text);
}
