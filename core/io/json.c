/* json.c - one small JSON reader and writer for bodies that carry secrets. */
#include "io/json.h"

#include <endian.h>
#include <string.h>

static bool fail(ml_json *j, const char *why)
{
    if (!j->failed) {
        j->failed = true;
        j->why = why;
    }
    return false;
}

void ml_json_init(ml_json *j, ml_str text)
{
    *j = (ml_json){.text = text, .is_due = true};
}

static void skip_blanks(ml_json *j)
{
    while (j->at < j->text.n) {
        char c = j->text.p[j->at];
        if (c != ' ' && c != '\t' && c != '\n' && c != '\r') return;
        j->at++;
    }
}

/* The next byte that is not blank, '\0' at the end. */
static char look(ml_json *j)
{
    skip_blanks(j);
    return j->at < j->text.n ? j->text.p[j->at] : '\0';
}

ml_json_kind ml_json_peek(ml_json *j)
{
    if (j->failed || !j->is_due) return ML_JSON_NONE;
    char c = look(j);
    switch (c) {
    case 'n': return ML_JSON_NULL;
    case 't':
    case 'f': return ML_JSON_BOOL;
    case '"': return ML_JSON_STRING;
    case '{': return ML_JSON_OBJECT;
    case '[': return ML_JSON_ARRAY;
    default: return c == '-' || (c >= '0' && c <= '9') ? ML_JSON_NUMBER : ML_JSON_NONE;
    }
}

/* Every reader begins here: a value must be due and be of this kind. */
static bool expect(ml_json *j, ml_json_kind kind, const char *why)
{
    if (j->failed) return false;
    if (!j->is_due) return fail(j, "no value comes here");
    if (ml_json_peek(j) != kind) return fail(j, why);
    j->is_due = false;
    return true;
}

static bool enter(ml_json *j, char bracket)
{
    if (j->depth == ML_JSON_MAX_DEPTH) return fail(j, "nested too deeply");
    j->open[j->depth++] = bracket;
    j->at++;
    return true;
}

bool ml_json_enter_object(ml_json *j)
{
    return expect(j, ML_JSON_OBJECT, "an object is expected here") && enter(j, '{');
}

bool ml_json_enter_array(ml_json *j)
{
    return expect(j, ML_JSON_ARRAY, "an array is expected here") && enter(j, '[');
}

/* Handles comma and closing bracket; true when a member or element follows. */
static bool step(ml_json *j, char fresh, char begun)
{
    if (j->failed) return false;
    if (j->is_due && !ml_json_skip(j)) return false;
    if (j->depth == 0) return fail(j, "not inside a container");
    char *open = &j->open[j->depth - 1];
    if (*open != fresh && *open != begun) return fail(j, "not in such a container");
    char c = look(j);
    if (c == begun) { /* the closing bracket */
        j->at++;
        j->depth--;
        return false;
    }
    if (*open == fresh) {
        *open = begun;
        return true;
    }
    if (c != ',') return fail(j, "a comma or a closing bracket is expected here");
    j->at++;
    return true;
}

/* What the escape of one letter stands for, '\0' when it is none. */
static char short_escape(char c)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    const char *hit = c ? strchr(from, c) : NULL;
    return hit ? to[hit - from] : '\0';
}

/* Bytes of the escape at p (after the backslash), or 0. */
static size_t escape_length(const char *p, size_t n)
{
    if (n == 0) return 0;
    if (short_escape(p[0])) return 1;
    if (p[0] != 'u' || n < 5) return 0;
    for (size_t i = 1; i < 5; i++) {
        char c = p[i];
        bool hex =
            (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        if (!hex) return 0;
    }
    return 5;
}

/* ASCII that stands for itself. */
static bool is_plain(char c)
{
    return c >= 0x20 && (unsigned char)c < 0x80 && c != '"' && c != '\\';
}

/* How many of eight bytes are, before the first that is not.  The top bit of a byte is
 * its flag: (x - 1) & ~x where x is zero, (w - 0x20) & ~w where w is less than 0x20.  A
 * borrow may flag a byte too many, but only behind one that is rightly flagged. */
static size_t plain_of_eight(const char *p)
{
    const uint64_t each = 0x0101010101010101u;
    uint64_t w;
    memcpy(&w, p, sizeof(w));
    w = le64toh(w); /* the first byte is the lowest */
    uint64_t quote = w ^ (each * '"'), slash = w ^ (each * '\\');
    uint64_t flags = ((quote - each) & ~quote) | ((slash - each) & ~slash) |
                     ((w - each * 0x20) & ~w) | w;
    flags &= each * 0x80;
    return flags ? (size_t)__builtin_ctzll(flags) / 8 : 8;
}

/* How many bytes from here on are plain. */
static size_t plain_length(const char *p, size_t n)
{
    size_t i = 0;
    while (n - i >= 8) {
        size_t plain = plain_of_eight(p + i);
        i += plain;
        if (plain < 8) return i;
    }
    while (i < n && is_plain(p[i])) i++;
    return i;
}

/* At the closing quote. */
static bool end_string(ml_json *j, size_t from, bool is_ascii, ml_str *raw)
{
    *raw = (ml_str){j->text.p + from, j->at - from};
    if (!is_ascii && !ml_utf8_valid(*raw)) {
        j->at = from;
        return fail(j, "a string that is not UTF-8");
    }
    j->at++;
    return true;
}

/* At an opening quote: gives the view between the quotes. */
static bool scan_string(ml_json *j, ml_str *raw)
{
    size_t from = ++j->at;
    bool is_ascii = true;
    for (;;) {
        j->at += plain_length(j->text.p + j->at, j->text.n - j->at);
        if (j->at >= j->text.n) return fail(j, "a string without its closing quote");
        unsigned char c = (unsigned char)j->text.p[j->at];
        if (c == '"') return end_string(j, from, is_ascii, raw);
        if (c < 0x20) return fail(j, "a control character inside a string");
        size_t n = 0;
        if (c == '\\') {
            n = escape_length(j->text.p + j->at + 1, j->text.n - j->at - 1);
            if (n == 0) return fail(j, "an unknown escape");
        }
        if (c >= 0x80) is_ascii = false;
        j->at += 1 + n;
    }
}

bool ml_json_next_key(ml_json *j, ml_str *key)
{
    if (!step(j, '{', '}')) return false;
    if (look(j) != '"')
        return fail(j, "a member name in double quotes is expected here");
    if (!scan_string(j, key)) return false;
    if (look(j) != ':') return fail(j, "a colon is expected here");
    j->at++;
    j->is_due = true;
    return true;
}

bool ml_json_next_item(ml_json *j)
{
    if (!step(j, '[', ']')) return false;
    j->is_due = true;
    return true;
}

bool ml_json_read_raw_string(ml_json *j, ml_str *raw)
{
    return expect(j, ML_JSON_STRING, "a string is expected here") &&
           scan_string(j, raw);
}

bool ml_json_read_string(ml_json *j, ml_buf *out)
{
    ml_str raw;
    ml_buf_clear(out);
    if (!ml_json_read_raw_string(j, &raw)) return false;
    return ml_json_unescape(raw, out) || fail(j, "a string that cannot be decoded");
}

static bool digits(ml_json *j)
{
    size_t from = j->at;
    while (j->at < j->text.n && j->text.p[j->at] >= '0' && j->text.p[j->at] <= '9')
        j->at++;
    return j->at > from;
}

static bool take(ml_json *j, char c)
{
    if (j->at >= j->text.n || j->text.p[j->at] != c) return false;
    j->at++;
    return true;
}

bool ml_json_read_number(ml_json *j, ml_str *raw)
{
    if (!expect(j, ML_JSON_NUMBER, "a number is expected here")) return false;
    size_t from = j->at;
    take(j, '-');
    bool zero = take(j, '0');
    if (!zero && !digits(j)) return fail(j, "a number without digits");
    if (zero && digits(j)) return fail(j, "a number with a leading zero");
    if (take(j, '.') && !digits(j))
        return fail(j, "a number without digits after its point");
    if (take(j, 'e') || take(j, 'E')) {
        if (!take(j, '+')) take(j, '-');
        if (!digits(j)) return fail(j, "a number without an exponent");
    }
    *raw = (ml_str){j->text.p + from, j->at - from};
    return true;
}

bool ml_json_read_int(ml_json *j, int64_t *out)
{
    ml_str raw;
    bool is_text = ml_json_peek(j) == ML_JSON_STRING;
    if (is_text ? !ml_json_read_raw_string(j, &raw) : !ml_json_read_number(j, &raw)) {
        return false;
    }
    bool minus = raw.n > 0 && raw.p[0] == '-';
    uint64_t v;
    ml_str number = {raw.p + minus, raw.n - minus};
    if (!ml_str_to_u64(number, &v) || v > INT64_MAX) return fail(j, "not an integer");
    *out = minus ? -(int64_t)v : (int64_t)v;
    return true;
}

static bool word(ml_json *j, ml_str text)
{
    ml_str rest = {j->text.p + j->at, j->text.n - j->at};
    if (!ml_str_starts(rest, text)) return fail(j, "an unknown word");
    j->at += text.n;
    return true;
}

bool ml_json_read_bool(ml_json *j, bool *out)
{
    if (!expect(j, ML_JSON_BOOL, "true or false is expected here")) return false;
    *out = j->text.p[j->at] == 't';
    return *out ? word(j, ML_LIT("true")) : word(j, ML_LIT("false"));
}

bool ml_json_read_null(ml_json *j)
{
    if (ml_json_peek(j) != ML_JSON_NULL) return false;
    j->is_due = false;
    return word(j, ML_LIT("null"));
}

static bool skip_flat(ml_json *j)
{
    ml_str raw;
    bool b;
    switch (ml_json_peek(j)) {
    case ML_JSON_NULL: return ml_json_read_null(j);
    case ML_JSON_BOOL: return ml_json_read_bool(j, &b);
    case ML_JSON_NUMBER: return ml_json_read_number(j, &raw);
    case ML_JSON_STRING: return ml_json_read_raw_string(j, &raw);
    case ML_JSON_OBJECT: return ml_json_enter_object(j);
    case ML_JSON_ARRAY: return ml_json_enter_array(j);
    default: return j->failed ? false : fail(j, "a value is expected here");
    }
}

bool ml_json_skip(ml_json *j)
{
    int floor = j->depth;
    if (!skip_flat(j)) return false;
    while (j->depth > floor) { /* one turn: a member or element, or a closing bracket */
        ml_str key;
        bool in_object = j->open[j->depth - 1] == '{' || j->open[j->depth - 1] == '}';
        bool more = in_object ? ml_json_next_key(j, &key) : ml_json_next_item(j);
        if (more && !skip_flat(j)) return false;
        if (j->failed) return false;
    }
    return true;
}

bool ml_json_end(ml_json *j)
{
    if (j->failed) return false;
    if (j->depth > 0 || j->is_due) return fail(j, "the text ends too early");
    if (look(j) != '\0' || j->at < j->text.n)
        return fail(j, "something follows the value");
    return true;
}

size_t ml_json_error_at(const ml_json *j, const char **why)
{
    if (why) *why = j->why ? j->why : "";
    return j->at;
}

static unsigned hex4(const char *p)
{
    unsigned v = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        unsigned digit =
            c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a') + 10;
        v = v * 16 + digit;
    }
    return v;
}

static void add_utf8(ml_buf *out, unsigned cp)
{
    if (cp < 0x80) {
        ml_buf_add_char(out, (char)cp);
        return;
    }
    if (cp < 0x800) {
        ml_buf_add_char(out, (char)(0xc0 | (cp >> 6)));
    } else if (cp < 0x10000) {
        ml_buf_add_char(out, (char)(0xe0 | (cp >> 12)));
        ml_buf_add_char(out, (char)(0x80 | ((cp >> 6) & 0x3f)));
    } else {
        ml_buf_add_char(out, (char)(0xf0 | (cp >> 18)));
        ml_buf_add_char(out, (char)(0x80 | ((cp >> 12) & 0x3f)));
        ml_buf_add_char(out, (char)(0x80 | ((cp >> 6) & 0x3f)));
    }
    ml_buf_add_char(out, (char)(0x80 | (cp & 0x3f)));
}

/* The \uXXXX at p[i] (i at the 'u'), with its low half if it needs one.  Bytes used,
 * or 0 for a lone surrogate: it has no UTF-8 form. */
static size_t unescape_u(ml_str raw, size_t i, ml_buf *out)
{
    unsigned cp = hex4(raw.p + i + 1);
    if (cp < 0xd800 || cp > 0xdfff) {
        add_utf8(out, cp);
        return 5;
    }
    if (cp > 0xdbff || raw.n - i < 11) return 0;
    if (raw.p[i + 5] != '\\' || escape_length(raw.p + i + 6, raw.n - i - 6) != 5)
        return 0;
    unsigned low = hex4(raw.p + i + 7);
    if (low < 0xdc00 || low > 0xdfff) return 0;
    add_utf8(out, 0x10000 + ((cp - 0xd800) << 10) + (low - 0xdc00));
    return 11;
}

bool ml_json_unescape(ml_str raw, ml_buf *out)
{
    for (size_t i = 0; i < raw.n;) {
        ml_str rest = {raw.p + i, raw.n - i};
        size_t plain = ml_str_find(rest, '\\');
        ml_buf_add(out, rest.p, plain);
        i += plain;
        if (i == raw.n) break;
        size_t len = escape_length(raw.p + i + 1, raw.n - i - 1);
        if (len == 0) return false;
        if (len == 1) {
            ml_buf_add_char(out, short_escape(raw.p[i + 1]));
        } else {
            len = unescape_u(raw, i + 1, out);
            if (len == 0) return false;
        }
        i += 1 + len;
    }
    return ml_buf_ok(out);
}

/* The ASCII character at raw[*i], decoded, and *i past it; -1 for anything else. */
static int next_ascii(ml_str raw, size_t *i)
{
    char c = raw.p[*i];
    if (c != '\\') {
        *i += 1;
        return (unsigned char)c < 0x80 ? c : -1;
    }
    size_t len = escape_length(raw.p + *i + 1, raw.n - *i - 1);
    if (len == 0) return -1;
    const char *p = raw.p + *i + 1;
    *i += 1 + len;
    if (len == 1) return short_escape(*p);
    unsigned cp = hex4(p + 1);
    return cp < 0x80 ? (int)cp : -1;
}

bool ml_json_key_is(ml_str raw, const char *text)
{
    if (raw.n && raw.p[0] != *text && raw.p[0] != '\\')
        return false; /* the usual case */
    if (ml_str_eq(raw, ml_str_of(text))) return true;
    size_t i = 0;
    while (i < raw.n && *text) {
        if (next_ascii(raw, &i) != *text++) return false;
    }
    return i == raw.n && *text == '\0';
}

static void write_escaped(ml_buf *out, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    switch (c) {
    case '"': ml_buf_add_text(out, "\\\""); return;
    case '\\': ml_buf_add_text(out, "\\\\"); return;
    case '\n': ml_buf_add_text(out, "\\n"); return;
    case '\r': ml_buf_add_text(out, "\\r"); return;
    case '\t': ml_buf_add_text(out, "\\t"); return;
    default: break;
    }
    char u[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
    ml_buf_add(out, u, sizeof(u));
}

bool ml_json_write_string(ml_buf *out, ml_str s)
{
    if (!ml_utf8_valid(s)) return false;
    ml_buf_add_char(out, '"');
    size_t from = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) continue;
        ml_buf_add(out, s.p + from, i - from);
        write_escaped(out, c);
        from = i + 1;
    }
    ml_buf_add(out, s.p + from, s.n - from);
    ml_buf_add_char(out, '"');
    return ml_buf_ok(out);
}
