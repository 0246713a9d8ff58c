/* bundle.c - secrets as JSON: what clients send, and what they get. */
#include "devvault/bundle.h"

#include <string.h>

/* ---- writing -------------------------------------------------------------------- */

static void add_int(ml_dv_call *c, const char *name, int64_t v)
{
    bool as_text =
        ml_dv_faults_of(&c->x->dv->faults, ML_DV_INTS_AS_STRINGS, false, c->x->op);
    const char *quote = as_text ? "\"" : "";
    ml_buf_addf(&c->x->out, ",\"%s\":%s%lld%s", name, quote, (long long)v, quote);
}

static void add_attributes(ml_dv_call *c, const ml_dv_record *r)
{
    ml_buf_addf(&c->x->out, ",\"attributes\":{\"enabled\":%s",
                ml_dv_is_disabled(c, r) ? "false" : "true");
    if (r->has_nbf) add_int(c, "nbf", r->nbf);
    if (r->has_exp) add_int(c, "exp", r->exp);
    add_int(c, "created", r->created);
    add_int(c, "updated", r->updated);
    ml_buf_add_text(&c->x->out, ",\"recoveryLevel\":\"Recoverable+Purgeable\"");
    add_int(c, "recoverableDays", ML_DV_RECOVERABLE_DAYS);
    ml_buf_add_char(&c->x->out, '}');
}

static void add_deleted(ml_dv_call *c, const ml_dv_record *r)
{
    ml_buf_addf(&c->x->out, ",\"recoveryId\":\"https://%s/deletedsecrets/%s\"",
                c->x->host, r->name);
    add_int(c, "deletedDate", r->deleted);
    add_int(c, "scheduledPurgeDate", r->purge);
}

void ml_dv_write_bundle(ml_dv_call *c, const ml_dv_record *r, int flags)
{
    ml_buf *out = &c->x->out;
    ml_buf_addf(out, "{\"id\":\"https://%s/secrets/%s", c->x->host, r->name);
    if (!(flags & ML_DV_WITHOUT_VERSION)) ml_buf_addf(out, "/%s", r->version);
    ml_buf_add_char(out, '"');
    if (flags & ML_DV_WITH_VALUE) {
        ml_buf_add_text(out, ",\"value\":");
        ml_json_write_string(out, ml_buf_str(&r->value));
    }
    if (r->has_content_type) {
        ml_buf_add_text(out, ",\"contentType\":");
        ml_json_write_string(out, ml_buf_str(&r->content_type));
    }
    add_attributes(c, r);
    if (r->tags.len > 0) {
        ml_buf_add_text(out, ",\"tags\":");
        ml_buf_add_str(out, ml_buf_str(&r->tags));
    }
    bool shows_previous = (flags & ML_DV_WITH_VALUE) && c->is_new_api && r->previous[0];
    if (shows_previous) ml_buf_addf(out, ",\"previousVersion\":\"%s\"", r->previous);
    if (flags & ML_DV_AS_DELETED) add_deleted(c, r);
    ml_buf_add_char(out, '}');
}

/* ---- reading -------------------------------------------------------------------- */

const char *ml_dv_read_value(ml_json *j, ml_dv_record *r)
{
    if (!ml_json_read_string(j, &r->value)) {
        return ml_buf_ok(&r->value) ? "value must be a string"
                                    : "Secret value is too large";
    }
    return r->value.len > ML_DV_MAX_VALUE
               ? "Secret value is too large: the limit is 25600 bytes"
               : NULL;
}

const char *ml_dv_read_content_type(ml_json *j, ml_dv_record *r)
{
    if (ml_json_read_null(j)) return NULL;
    if (!ml_json_read_string(j, &r->content_type))
        return "contentType must be a string";
    if (ml_dv_count_chars(ml_buf_str(&r->content_type)) > ML_DV_MAX_CONTENT_TYPE) {
        return "contentType is too long: the limit is 255 characters";
    }
    r->has_content_type = true;
    return NULL;
}

static const char *read_tag(ml_json *j, ml_str key, ml_buf *text, ml_buf *out)
{
    ml_buf_clear(text);
    if (!ml_json_unescape(key, text)) return "tags are not a map of strings";
    if (ml_dv_count_chars(ml_buf_str(text)) > ML_DV_MAX_TAG_CHARS) {
        return "a tag name is too long: the limit is 512 characters";
    }
    ml_json_write_string(out, ml_buf_str(text));
    ml_buf_add_char(out, ':');
    if (!ml_json_read_string(j, text)) return "tags are not a map of strings";
    if (ml_dv_count_chars(ml_buf_str(text)) > ML_DV_MAX_TAG_CHARS) {
        return "a tag value is too long: the limit is 512 characters";
    }
    ml_json_write_string(out, ml_buf_str(text));
    return NULL;
}

const char *ml_dv_read_tags(ml_json *j, ml_dv_record *r)
{
    if (ml_json_read_null(j)) return NULL;
    if (!ml_json_enter_object(j)) return "tags are not a map of strings";
    ml_buf text;
    ml_buf_init(&text, 0);
    ml_buf_clear(&r->tags);
    ml_str key;
    const char *wrong = NULL;
    int n = 0;
    while (!wrong && ml_json_next_key(j, &key)) {
        ml_buf_add_char(&r->tags, n == 0 ? '{' : ',');
        if (++n > ML_DV_MAX_TAGS)
            wrong = "too many tags: the limit is 15";
        else
            wrong = read_tag(j, key, &text, &r->tags);
    }
    if (n > 0) ml_buf_add_char(&r->tags, '}');
    if (!wrong && !ml_buf_ok(&r->tags)) wrong = "tags are too large";
    ml_buf_fini(&text);
    return wrong;
}

static const char *read_date(ml_json *j, bool *has, int64_t *out)
{
    if (ml_json_read_null(j)) return NULL;
    if (ml_json_peek(j) != ML_JSON_NUMBER || !ml_json_read_int(j, out) || *out < 0) {
        return "nbf and exp must be whole seconds since 1970";
    }
    *has = true;
    return NULL;
}

const char *ml_dv_read_attributes(ml_json *j, ml_dv_record *r)
{
    if (ml_json_read_null(j)) return NULL;
    if (!ml_json_enter_object(j)) return "attributes must be an object";
    ml_str key;
    const char *wrong = NULL;
    while (!wrong && ml_json_next_key(j, &key)) {
        if (ml_json_key_is(key, "enabled")) {
            if (ml_json_read_null(j)) continue;
            if (!ml_json_read_bool(j, &r->enabled))
                wrong = "enabled must be true or false";
        } else if (ml_json_key_is(key, "nbf")) {
            wrong = read_date(j, &r->has_nbf, &r->nbf);
        } else if (ml_json_key_is(key, "exp")) {
            wrong = read_date(j, &r->has_exp, &r->exp);
        }
    }
    return wrong;
}

const char *ml_dv_read_parameters(ml_json *j, ml_dv_record *r, bool *has_value)
{
    if (!ml_json_enter_object(j)) return "The request body is not a JSON object";
    ml_str key;
    const char *wrong = NULL;
    while (!wrong && ml_json_next_key(j, &key)) {
        if (ml_json_key_is(key, "value")) {
            if (ml_json_peek(j) == ML_JSON_NULL) continue;
            wrong = ml_dv_read_value(j, r);
            *has_value = true;
        } else if (ml_json_key_is(key, "contentType")) {
            wrong = ml_dv_read_content_type(j, r);
        } else if (ml_json_key_is(key, "tags")) {
            wrong = ml_dv_read_tags(j, r);
        } else if (ml_json_key_is(key, "attributes")) {
            wrong = ml_dv_read_attributes(j, r);
        }
    }
    return wrong;
}
