/* config.c - options checked, and what was left out filled in. */
#include "devvault/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "devvault/seed.h"

enum { TOKEN_LIFETIME_S = 3599, LONGEST_SECRET = 256 };

static int add_vault(void *arg, const char *name, ml_err *e)
{
    ml_dv_config *c = arg;
    for (size_t i = 0; i < c->n_vaults; i++) {
        if (ml_str_ieq(ml_str_of(c->vaults[i]), ml_str_of(name))) return 0;
    }
    if (!ml_dv_vault_name_ok(ml_str_of(name))) {
        return ml_fail(e, ML_EUSAGE,
                       "vault '%s': a vault's name is 3-24 letters, digits and "
                       "single '-', and starts with a letter",
                       name);
    }
    char **more = calloc(c->n_vaults + 1, sizeof(*more));
    if (!more) return ml_fail(e, ML_ENOMEM, "out of memory");
    if (c->n_vaults) memcpy(more, c->vaults, c->n_vaults * sizeof(*more));
    free(c->vaults);
    c->vaults = more;
    c->vaults[c->n_vaults] = ml_dup(name);
    if (!c->vaults[c->n_vaults]) return ml_fail(e, ML_ENOMEM, "out of memory");
    c->n_vaults++;
    return 0;
}

static int add_vaults(ml_dv_config *c, const ml_devvault_options *opt, ml_str seed,
                      ml_err *e)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < opt->n_vaults; i++) {
        rc = add_vault(c, opt->vaults[i], e);
        if (rc == 0 && c->n_vaults != i + 1)
            rc = ml_fail(e, ML_EUSAGE, "--vault %s is given twice; case does not count",
                         opt->vaults[i]);
    }
    if (rc == 0 && seed.n)
        rc = ml_dv_seed_read(seed, opt->seed_file, add_vault, NULL, c, e);
    if (rc == 0 && c->n_vaults == 0) rc = add_vault(c, "dev", e);
    return rc;
}

/* Letters, digits, '.' and '-': what may stand in a URL path and a token. */
static int set_id(char *out, size_t size, const char *given, const char *option,
                  ml_err *e)
{
    static const char safe[] = "0123456789.-abcdefghijklmnopqrstuvwxyz"
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    if (!given) {
        ml_dv_random_guid(out);
        return 0;
    }
    size_t n = strlen(given);
    if (n == 0 || n >= size || strspn(given, safe) != n) {
        return ml_fail(e, ML_EUSAGE, "%s takes a GUID or a domain name", option);
    }
    memcpy(out, given, n + 1);
    return 0;
}

/* Printable UTF-8 on one line: it must fit into a form, an env file and a header. */
static int set_secret(ml_buf *out, const char *given, bool generate, const char *option,
                      ml_err *e)
{
    char fresh[65];
    ml_buf_init(out, 0);
    if (!given && !generate) return 0;
    if (!given) ml_dv_random_hex(fresh, 20);
    const char *text = given ? given : fresh;
    ml_str s = ml_str_of(text);
    bool ok = s.n > 0 && s.n <= LONGEST_SECRET && ml_utf8_valid(s);
    for (size_t i = 0; ok && i < s.n; i++)
        ok = (unsigned char)s.p[i] >= 0x20 && s.p[i] != 0x7f;
    if (ok) ml_buf_add_str(out, s);
    ml_scrub(fresh, sizeof(fresh));
    if (ok && ml_buf_ok(out)) return 0;
    return ml_fail(e, ML_EUSAGE, "%s takes 1-256 bytes of printable text", option);
}

static int check_numbers(const ml_devvault_options *opt, ml_err *e)
{
    if (opt->page_size < 0 || opt->page_size > ML_DV_PAGE_SIZE) {
        return ml_fail(e, ML_EUSAGE, "--page-size takes 1 to 25");
    }
    if (opt->token_lifetime_s < 0 || opt->token_lifetime_s > 7 * 24 * 3600) {
        return ml_fail(e, ML_EUSAGE, "--token-lifetime takes 1 second to a week");
    }
    return 0;
}

int ml_dv_config_init(ml_dv_config *c, const ml_devvault_options *opt, ml_str seed_text,
                      ml_err *e)
{
    *c =
        (ml_dv_config){.page_size = opt->page_size ? opt->page_size : ML_DV_PAGE_SIZE,
                       .token_lifetime_s = opt->token_lifetime_s ? opt->token_lifetime_s
                                                                 : TOKEN_LIFETIME_S,
                       .verbose = opt->verbose};
    int rc = check_numbers(opt, e);
    if (rc == 0) rc = add_vaults(c, opt, seed_text, e);
    if (rc == 0) {
        rc = set_id(c->tenant_id, sizeof(c->tenant_id), opt->tenant_id, "--tenant-id",
                    e);
    }
    if (rc == 0) {
        rc = set_id(c->client_id, sizeof(c->client_id), opt->client_id, "--client-id",
                    e);
    }
    if (rc == 0) {
        rc = set_secret(&c->client_secret, opt->client_secret, true, "--client-secret",
                        e);
    }
    if (rc == 0) {
        rc = set_secret(&c->expired_secret, opt->client_secret_expired, false,
                        "--client-secret-expired", e);
    }
    if (rc == 0) {
        rc = set_secret(&c->identity_header, opt->identity_header, true,
                        "--identity-header", e);
    }
    if (rc) ml_dv_config_fini(c);
    return rc;
}

void ml_dv_config_fini(ml_dv_config *c)
{
    for (size_t i = 0; i < c->n_vaults; i++) ml_free(c->vaults[i]);
    free(c->vaults);
    ml_buf_fini(&c->client_secret);
    ml_buf_fini(&c->expired_secret);
    ml_buf_fini(&c->identity_header);
    *c = (ml_dv_config){0};
}
