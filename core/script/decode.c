/* decode.c - the bytes behind a text that a secret may be wrapped in. */
#include "script/decode.h"

#include "azure/base64.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool decode_hex(ml_str text, ml_buf *out)
{
    int high = -1;
    for (size_t i = 0; i < text.n; i++) {
        if (is_blank(text.p[i])) continue;
        int v = hex_value(text.p[i]);
        if (v < 0) return false;
        if (high >= 0) ml_buf_add_char(out, (char)(high << 4 | v));
        high = high >= 0 ? -1 : v;
    }
    return high < 0;
}

/* Without blanks, and of one alphabet: the reader below knows both. */
static bool decode_base64(ml_str text, const char *foreign, ml_buf *out)
{
    ml_buf packed;
    ml_buf_init(&packed, text.n + 1);
    bool is_right = true;
    for (size_t i = 0; is_right && i < text.n; i++) {
        char c = text.p[i];
        if (!is_blank(c)) ml_buf_add_char(&packed, c);
        is_right = c != foreign[0] && c != foreign[1];
    }
    if (!ml_buf_ok(&packed)) out->failed = true;
    is_right = is_right && ml_base64_decode(ml_buf_str(&packed), out);
    ml_buf_fini(&packed);
    return is_right;
}

bool ml_decode(ml_encoding encoding, ml_str text, ml_buf *out)
{
    bool is_right = false;
    switch (encoding) {
    case ML_BASE64: is_right = decode_base64(text, "-_", out); break;
    case ML_BASE64URL: is_right = decode_base64(text, "+/", out); break;
    case ML_HEX: is_right = decode_hex(text, out); break;
    }
    return is_right && ml_buf_ok(out);
}

/* Back to the last star only: at most (length of text) x (length of pattern). */
bool ml_is_like(ml_str text, ml_str pattern)
{
    size_t t = 0, p = 0, star = pattern.n, retry = 0;
    while (t < text.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = p++;
            retry = t;
        } else if (p < pattern.n && pattern.p[p] == text.p[t]) {
            p++;
            t++;
        } else if (star < pattern.n) {
            p = star + 1;
            t = ++retry;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*') p++;
    return p == pattern.n;
}
