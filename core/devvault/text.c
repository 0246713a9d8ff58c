/* text.c - small conversions that the dev vault's endpoints share. */
#include "devvault/text.h"

#include <openssl/rand.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void ml_dv_random_bytes(void *out, size_t n)
{
    if (RAND_bytes(out, (int)n) != 1) abort(); /* nothing sensible can follow */
}

static void hex(char *out, const unsigned char *p, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        *out++ = digits[p[i] >> 4];
        *out++ = digits[p[i] & 15];
    }
    *out = '\0';
}

void ml_dv_random_hex(char *out, size_t n)
{
    unsigned char bytes[32];
    if (n > sizeof(bytes)) n = sizeof(bytes);
    ml_dv_random_bytes(bytes, n);
    hex(out, bytes, n);
}

void ml_dv_random_guid(char out[ML_DV_GUID_BYTES])
{
    char digits[33];
    ml_dv_random_hex(digits, 16);
    digits[12] = '4';                    /* version: random */
    digits[16] = "89ab"[digits[16] & 3]; /* variant */
    static const int cuts[] = {8, 4, 4, 4, 12};
    const char *from = digits;
    for (int i = 0; i < 5; i++) {
        memcpy(out, from, (size_t)cuts[i]);
        out += cuts[i];
        from += cuts[i];
        *out++ = i < 4 ? '-' : '\0';
    }
}

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void ml_dv_base64url(ml_buf *out, ml_str bytes)
{
    const unsigned char *p = (const unsigned char *)bytes.p;
    for (size_t i = 0; i < bytes.n; i += 3) {
        size_t left = bytes.n - i;
        uint32_t v = (uint32_t)p[i] << 16;
        if (left > 1) v |= (uint32_t)p[i + 1] << 8;
        if (left > 2) v |= p[i + 2];
        char quad[4] = {alphabet[v >> 18], alphabet[(v >> 12) & 63],
                        alphabet[(v >> 6) & 63], alphabet[v & 63]};
        ml_buf_add(out, quad, left > 2 ? 4 : left + 1);
    }
}

static int sextet(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool ml_dv_base64url_read(ml_buf *out, ml_str text)
{
    while (text.n && text.p[text.n - 1] == '=') text.n--;
    if (text.n % 4 == 1) return false;
    uint32_t v = 0;
    int bits = 0;
    for (size_t i = 0; i < text.n; i++) {
        int six = sextet(text.p[i]);
        if (six < 0) return false;
        v = v << 6 | (uint32_t)six;
        bits += 6;
        if (bits < 8) continue;
        bits -= 8;
        ml_buf_add_char(out, (char)(v >> bits & 0xff));
    }
    return ml_buf_ok(out);
}

static int nibble(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool decode(ml_str s, ml_buf *out)
{
    ml_buf_clear(out);
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '%') {
            ml_buf_add_char(out, s.p[i] == '+' ? ' ' : s.p[i]);
            continue;
        }
        int high = s.n - i < 3 ? -1 : nibble(s.p[i + 1]);
        int low = s.n - i < 3 ? -1 : nibble(s.p[i + 2]);
        if (high < 0 || low < 0) return false;
        ml_buf_add_char(out, (char)(high * 16 + low));
        i += 2;
    }
    return ml_buf_ok(out);
}

bool ml_dv_form_get(ml_str form, const char *name, ml_buf *out)
{
    ml_str wanted = ml_str_of(name);
    while (form.n) {
        size_t n = ml_str_find(form, '&');
        ml_str pair = {form.p, n};
        size_t eq = ml_str_find(pair, '=');
        bool is_it =
            decode((ml_str){pair.p, eq}, out) && ml_str_eq(ml_buf_str(out), wanted);
        if (is_it) {
            size_t from = eq < pair.n ? eq + 1 : eq;
            return decode((ml_str){pair.p + from, pair.n - from}, out);
        }
        if (n == form.n) break;
        form = (ml_str){form.p + n + 1, form.n - n - 1};
    }
    ml_buf_clear(out);
    return false;
}

ml_str ml_dv_segment(ml_str *path)
{
    if (path->n && path->p[0] == '/') *path = (ml_str){path->p + 1, path->n - 1};
    size_t n = ml_str_find(*path, '/');
    ml_str segment = {path->p, n};
    *path = (ml_str){path->p + n, path->n - n};
    return segment;
}

bool ml_dv_is_hex(ml_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (nibble(s.p[i]) < 0) return false;
    }
    return s.n > 0;
}

size_t ml_dv_count_chars(ml_str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}
