/* identity.c - who we are towards Entra ID: a service principal, and where to log in.
 *
 * Variables and their meaning as in the Azure SDKs' EnvironmentCredential; but a
 * service principal that is given in part is an error, not a silent change of identity.
 */
#include "azure/identity.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"

static bool is_given(const char *text)
{
    return text && *text;
}

static int copy(char *out, size_t size, const char *text, const char *what, ml_err *e)
{
    if (!text) return 0;
    if (strlen(text) >= size) return ml_fail(e, ML_EUSAGE, "%s is too long", what);
    snprintf(out, size, "%s", text);
    return 0;
}

static int set_principal(ml_identity *id, const char *tenant_id, const char *client_id,
                         ml_secret *secret, ml_err *e)
{
    if (ml_tenant_check(ml_str_of(tenant_id), e) < 0) return e ? e->code : ML_EUSAGE;
    int rc = copy(id->tenant_id, sizeof(id->tenant_id), tenant_id, "tenant_id", e);
    if (rc == 0)
        rc = copy(id->client_id, sizeof(id->client_id), client_id, "client_id", e);
    if (rc == 0) id->client_secret = ml_secret_ref(secret);
    return rc;
}

static int principal_from_env(ml_identity *id, const ml_env *env, ml_err *e)
{
    const char *names[] = {"AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"};
    const char *values[3];
    int n = 0;
    const char *missing = NULL;
    for (int i = 0; i < 3; i++) {
        values[i] = ml_env_get(env, names[i]);
        if (is_given(values[i]))
            n++;
        else
            missing = names[i];
    }
    if (!is_given(values[2])) return 0; /* other credentials use the first two alone */
    if (n < 3) {
        return ml_fail(e, ML_EUSAGE,
                       "%s is not set, but AZURE_CLIENT_SECRET is: a service "
                       "principal needs tenant, client and secret",
                       missing);
    }
    ml_secret *secret = ml_secret_of_bytes(ml_str_of(values[2]));
    if (!secret) return ml_fail(e, ML_ENOMEM, "out of memory");
    int rc = set_principal(id, values[0], values[1], secret, e);
    ml_secret_unref(secret);
    return rc;
}

static int set_authority(ml_identity *id, const ml_env *env, const char *authority,
                         const char *cloud_authority, ml_err *e)
{
    const char *from_env = ml_env_get(env, "AZURE_AUTHORITY_HOST");
    const char *chosen = is_given(authority)  ? authority
                         : is_given(from_env) ? from_env
                                              : cloud_authority;
    if (!is_given(chosen)) return 0;
    return ml_authority_check(ml_str_of(chosen), id->authority, sizeof(id->authority),
                              e);
}

int ml_identity_init(ml_identity *id, const ml_env *env, const char *tenant_id,
                     const char *client_id, ml_secret *client_secret,
                     const char *authority, const char *cloud_authority, ml_err *e)
{
    *id = (ml_identity){0};
    int n = is_given(tenant_id) + is_given(client_id) + (client_secret != NULL);
    if (n != 0 && n != 3) {
        return ml_fail(e, ML_EUSAGE,
                       "a service principal needs tenant_id, client_id and "
                       "client_secret; %s is missing",
                       !is_given(tenant_id)   ? "tenant_id"
                       : !is_given(client_id) ? "client_id"
                                              : "client_secret");
    }
    int rc = n == 3 ? set_principal(id, tenant_id, client_id, client_secret, e)
                    : principal_from_env(id, env, e);
    if (rc == 0) rc = set_authority(id, env, authority, cloud_authority, e);
    if (rc == 0) {
        rc = copy(id->additional_tenants, sizeof(id->additional_tenants),
                  ml_env_get(env, "AZURE_ADDITIONALLY_ALLOWED_TENANTS"),
                  "AZURE_ADDITIONALLY_ALLOWED_TENANTS", e);
    }
    const char *off = ml_env_get(env, "AZURE_IDENTITY_DISABLE_MULTITENANTAUTH");
    if (off && (strcmp(off, "1") == 0 || ml_str_ieq(ml_str_of(off), ML_LIT("true")))) {
        id->additional_tenants[0] = '\0';
    }
    if (rc < 0) ml_identity_fini(id);
    return rc;
}

void ml_identity_fini(ml_identity *id)
{
    ml_secret_unref(id->client_secret);
    *id = (ml_identity){0};
}

bool ml_identity_allows_tenant(const ml_identity *id, const char *tenant)
{
    ml_str wanted = ml_str_of(tenant);
    if (ml_str_ieq(wanted, ml_str_of(id->tenant_id))) return true;
    ml_str rest = ml_str_of(id->additional_tenants);
    while (rest.n) {
        size_t end = ml_str_find(rest, ';');
        ml_str one = ml_str_trim((ml_str){rest.p, end});
        if (ml_str_eq(one, ML_LIT("*")) || (one.n && ml_str_ieq(one, wanted)))
            return true;
        rest =
            end < rest.n ? (ml_str){rest.p + end + 1, rest.n - end - 1} : (ml_str){0};
    }
    return false;
}
