/* fuzz_decode.c - base64, hex, shapes: no crash, no more bytes than the text can hold;
 * what is written in hex reads back. */
#include "fuzz.h"

#include "script/decode.h"

const char *const fuzz_seeds[] = {"aHVudGVyMg==", "w7_Dv-w", "68756E74 657232\n",
                                  "a*b*c\naxbyc", "*\n",     NULL};

static void check_hex(ml_str bytes)
{
    static const char digits[] = "0123456789ABCDEF";
    ml_buf text, back;
    ml_buf_init(&text, 2 * bytes.n + 1);
    ml_buf_init(&back, bytes.n + 1);
    for (size_t i = 0; i < bytes.n; i++) {
        unsigned char c = (unsigned char)bytes.p[i];
        ml_buf_add_char(&text, digits[c >> 4]);
        ml_buf_add_char(&text, digits[c & 15]);
    }
    FUZZ_CLAIM(ml_decode(ML_HEX, ml_buf_str(&text), &back));
    FUZZ_CLAIM(ml_str_eq(ml_buf_str(&back), bytes));
    ml_buf_fini(&text);
    ml_buf_fini(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ml_str text = {(const char *)data, size};
    for (int encoding = ML_BASE64; encoding <= ML_HEX; encoding++) {
        ml_buf out;
        ml_buf_init(&out, size + 1);
        ml_decode((ml_encoding)encoding, text, &out);
        FUZZ_CLAIM(ml_buf_ok(&out) && out.len <= size);
        ml_buf_fini(&out);
    }
    check_hex(text);
    size_t n = ml_str_find(text, '\n');
    ml_str pattern = {text.p, n};
    ml_str rest = n < size ? (ml_str){text.p + n + 1, size - n - 1} : (ml_str){"", 0};
    bool has_star = ml_str_find(pattern, '*') < pattern.n;
    FUZZ_CLAIM(ml_is_like(pattern, pattern)); /* a star fits a star */
    FUZZ_CLAIM(has_star || ml_is_like(rest, pattern) == ml_str_eq(rest, pattern));
    return 0;
}
