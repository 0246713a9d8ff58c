/* names.c - secret names, versions, tenants: checked before they enter a URL. */
#include "azure/url.h"
#include "base/err.h"

/* The first byte that is neither alphanumeric nor c; s.n when there is none. */
static size_t first_outside(ml_str s, char c)
{
    size_t i = 0;
    while (i < s.n && (ml_is_alnum(s.p[i]) || s.p[i] == c)) i++;
    return i;
}

int ml_secret_name_check(ml_str name, ml_err *e)
{
    if (name.n == 0) return ml_fail(e, ML_EUSAGE, "the secret name is empty");
    if (name.n > ML_SECRET_NAME_MAX) {
        return ml_fail(e, ML_EUSAGE,
                       "a secret name has at most %d characters, this one has %zu",
                       ML_SECRET_NAME_MAX, name.n);
    }
    size_t bad = first_outside(name, '-');
    if (bad == name.n) return 0;
    char shown[2 * ML_SECRET_NAME_MAX];
    ml_copy_printable(shown, sizeof(shown), name.p, name.n);
    unsigned char c = (unsigned char)name.p[bad];
    if (c > ' ' && c <= '~') {
        return ml_fail(e, ML_EUSAGE,
                       "'%s' cannot be a secret name: Key Vault allows "
                       "letters, digits and '-', not '%c'%s",
                       shown, c,
                       c == '_' || c == '/' || c == '.' ? " (map it to '-')" : "");
    }
    return ml_fail(e, ML_EUSAGE,
                   "'%s' cannot be a secret name: Key Vault allows letters, "
                   "digits and '-', not the byte 0x%02x",
                   shown, c);
}

int ml_secret_version_check(ml_str version, ml_err *e)
{
    bool good = version.n == 32;
    for (size_t i = 0; good && i < version.n; i++) {
        char c = version.p[i];
        good = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
    }
    if (good) return 0;
    return ml_fail(e, ML_EUSAGE,
                   "a secret's version has exactly 32 hexadecimal digits");
}

int ml_tenant_check(ml_str tenant, ml_err *e)
{
    if (tenant.n == 0) return ml_fail(e, ML_EUSAGE, "the tenant is empty");
    bool good = tenant.n <= 253;
    for (size_t i = 0; good && i < tenant.n; i++) {
        good = ml_is_alnum(tenant.p[i]) || tenant.p[i] == '-' || tenant.p[i] == '.';
    }
    if (good && tenant.p[0] != '.') return 0;
    /* Not shown: where tenant and client secret are swapped, it is the secret. */
    return ml_fail(e, ML_EUSAGE,
                   "the tenant id is neither a GUID nor a domain (letters, digits, '-' "
                   "and '.'): is it perhaps another setting's value?");
}
