/* json.h - one small JSON reader and writer for bodies that carry secrets.
 *
 * The reader is a pull scanner over bytes that the caller keeps: no tree, no copies.
 * Strings come back as raw views (still escaped); ml_json_unescape decodes one into
 * a scrubbing buffer.  It accepts RFC 8259 and nothing else: UTF-8 is checked, depth
 * is limited, numbers, literals and escapes are checked, and after the top value only
 * blanks may follow.  ml_json_error_at says where it gave up.
 *
 * Typical use, for {"access_token": "...", "expires_in": 3599}:
 *
 *     ml_json j;
 *     ml_json_init(&j, body);
 *     if (!ml_json_enter_object(&j)) return bad(...);
 *     ml_str key;
 *     while (ml_json_next_key(&j, &key)) {
 *         if (!ml_json_key_is(key, "access_token")) ml_json_skip(&j);
 *         else ok = ml_json_read_string(&j, &token);
 *     }
 *     if (!ml_json_end(&j)) return bad(...);
 *
 * Every function but ml_json_error_at answers false once the scanner has failed, so
 * checks may wait until ml_json_end. */
#pragma once
#include "base/buf.h"
#include "base/str.h"

enum { ML_JSON_MAX_DEPTH = 64 };

typedef struct ml_json {
    ml_str text;
    size_t at;
    int depth;
    bool failed;
    const char *why;              /* static text, when failed */
    bool is_due;                  /* private: a value must come next */
    char open[ML_JSON_MAX_DEPTH]; /* private: '{' '[' fresh, '}' ']' begun */
} ml_json;

typedef enum ml_json_kind {
    ML_JSON_NONE, /* nothing more, or failed */
    ML_JSON_NULL,
    ML_JSON_BOOL,
    ML_JSON_NUMBER,
    ML_JSON_STRING,
    ML_JSON_OBJECT,
    ML_JSON_ARRAY
} ml_json_kind;

void ml_json_init(ml_json *j, ml_str text);
/* The kind of the value that comes next, without consuming it. */
ml_json_kind ml_json_peek(ml_json *j);

bool ml_json_enter_object(ml_json *j);
/* Steps to the next member; key is raw.  A value left unread is skipped.  False at the
 * closing brace (consumed). */
bool ml_json_next_key(ml_json *j, ml_str *key);
bool ml_json_enter_array(ml_json *j);
/* True while another element follows; false at the closing bracket (consumed). */
bool ml_json_next_item(ml_json *j);

bool ml_json_read_raw_string(ml_json *j, ml_str *raw); /* without the quotes */
/* Unescapes into out, which is cleared first.  Strings may hold NUL bytes. */
bool ml_json_read_string(ml_json *j, ml_buf *out);
bool ml_json_read_number(ml_json *j, ml_str *raw); /* the digits as written */
/* An integer, also when written as a decimal string; null and others are a failure. */
bool ml_json_read_int(ml_json *j, int64_t *out);
bool ml_json_read_bool(ml_json *j, bool *out);
/* Consumes a null if one comes next. */
bool ml_json_read_null(ml_json *j);
bool ml_json_skip(ml_json *j); /* any value, checked */

/* True when the whole text was one well-formed value that was read to its end. */
bool ml_json_end(ml_json *j);
/* Byte offset of the first thing wrong, and why (static text). */
size_t ml_json_error_at(const ml_json *j, const char **why);

/* Does a raw key, with its escapes, spell this text, which is ASCII without backslash?
 */
bool ml_json_key_is(ml_str raw, const char *text);
/* Appends the decoded form of a raw string; false: a bad escape or a failed buffer. */
bool ml_json_unescape(ml_str raw, ml_buf *out);

/* Writer: appends to a buffer; the caller places commas.  Bytes that are not UTF-8
 * cannot be written: false, and nothing is added. */
bool ml_json_write_string(ml_buf *out, ml_str s);
