/* entra_metadata.c - what identity clients read before they ask for a token.
 *
 *     GET /common/discovery/instance
 *     GET /{tenant}[/v2.0]/.well-known/openid-configuration
 *     GET /{tenant}/discovery[/v2.0]/keys      none: the dev vault checks its own */
#include "devvault/entra.h"

static void serve_openid(ml_dv_exchange *x, ml_str tenant, const char *v2)
{
    x->op = "metadata";
    bool is_common = ml_str_eq(tenant, ML_LIT("common"));
    if (!is_common && !ml_dv_entra_check_tenant(x, tenant)) return;
    const char *t = x->dv->config.tenant_id, *h = x->host;
    ml_buf_addf(&x->out,
                "{\"issuer\":\"https://%s/%s%s\","
                "\"authorization_endpoint\":\"https://%s/%s/oauth2%s/authorize\","
                "\"token_endpoint\":\"https://%s/%s/oauth2%s/token\","
                "\"jwks_uri\":\"https://%s/%s/discovery%s/keys\"",
                h, t, v2, h, t, v2, h, t, v2, h, t, v2);
    ml_buf_add_text(
        &x->out, ",\"response_types_supported\":[\"code\",\"id_token\"],"
                 "\"subject_types_supported\":[\"pairwise\"],"
                 "\"id_token_signing_alg_values_supported\":[\"RS256\"],"
                 "\"token_endpoint_auth_methods_supported\":[\"client_secret_post\"],"
                 "\"scopes_supported\":[\"openid\"],"
                 "\"tenant_region_scope\":\"local\","
                 "\"cloud_instance_name\":\"localhost\"}");
    ml_dv_answer(x, 200);
}

static void serve_instance(ml_dv_exchange *x)
{
    x->op = "metadata";
    ml_buf_addf(&x->out,
                "{\"tenant_discovery_endpoint\":\"https://%s/%s/v2.0/.well-known/"
                "openid-configuration\",\"api-version\":\"1.1\",\"metadata\":["
                "{\"preferred_network\":\"%s\",\"preferred_cache\":\"%s\","
                "\"aliases\":[\"%s\"]}]}",
                x->host, x->dv->config.tenant_id, x->host, x->host, x->host);
    ml_dv_answer(x, 200);
}

bool ml_dv_entra_metadata(ml_dv_exchange *x, ml_str tenant, ml_str rest)
{
    if (ml_str_eq(rest, ML_LIT("/discovery/instance"))) {
        serve_instance(x);
    } else if (ml_str_eq(rest, ML_LIT("/v2.0/.well-known/openid-configuration"))) {
        serve_openid(x, tenant, "/v2.0");
    } else if (ml_str_eq(rest, ML_LIT("/.well-known/openid-configuration"))) {
        serve_openid(x, tenant, "");
    } else if (ml_str_starts(rest, ML_LIT("/discovery/"))) {
        x->op = "metadata";
        ml_buf_add_text(&x->out, "{\"keys\":[]}");
        ml_dv_answer(x, 200);
    } else {
        return false;
    }
    return true;
}
