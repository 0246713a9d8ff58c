/* form.c - percent-encoding, the only way text gets into a URL or a form. */
#include "io/form.h"

static bool is_unreserved(char c)
{
    return ml_is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

void ml_form_escape(ml_buf *out, ml_str s)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t from = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (is_unreserved(s.p[i])) continue;
        unsigned char c = (unsigned char)s.p[i];
        char coded[3] = {'%', hex[c >> 4], hex[c & 15]};
        ml_buf_add(out, s.p + from, i - from);
        ml_buf_add(out, coded, sizeof(coded));
        from = i + 1;
    }
    if (s.n > from) ml_buf_add(out, s.p + from, s.n - from);
}

void ml_form_add(ml_buf *out, const char *name, ml_str value)
{
    if (out->len > 0) ml_buf_add_char(out, '&');
    ml_form_escape(out, ml_str_of(name));
    ml_buf_add_char(out, '=');
    ml_form_escape(out, value);
}
