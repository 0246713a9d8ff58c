/* base64.c - reading base64 as services write it. */
#include "azure/base64.h"

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+' || c == '-') return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

bool ml_base64_decode(ml_str text, ml_buf *out)
{
    size_t padding = 0;
    while (text.n > 0 && padding < 2 && text.p[text.n - 1] == '=') {
        text.n--;
        padding++;
    }
    if (text.n % 4 == 1 || (padding > 0 && (text.n + padding) % 4 != 0)) return false;
    unsigned bits = 0;
    int n_bits = 0;
    for (size_t i = 0; i < text.n; i++) {
        int v = value_of(text.p[i]);
        if (v < 0) return false;
        bits = (bits << 6 | (unsigned)v) & 0xffff;
        n_bits += 6;
        if (n_bits < 8) continue;
        n_bits -= 8;
        ml_buf_add_char(out, (char)(bits >> n_bits & 0xff));
    }
    return true;
}
