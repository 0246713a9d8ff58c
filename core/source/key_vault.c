/* key_vault.c - an Azure Key Vault as a source. */
#include "source/key_vault.h"

#include <stdio.h>
#include <string.h>

#include "azure/vault_settle.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/mem.h"
#include "source/ready.h"

typedef struct key_vault {
    ml_source source;
    ml_vault vault;
} key_vault;

static int check(const ml_source *s, ml_str key, ml_secret *value, ml_err *e)
{
    (void)s;
    if (!value) return ml_secret_name_check(key, e);
    return ml_vault_check(
        &(ml_vault_call){.op = ML_VAULT_SET, .key = key, .value = value}, e);
}

/* The vault's word for a verb; false when it has none. */
static bool op_of(ml_verb verb, ml_vault_op *op)
{
    static const struct {
        ml_verb verb;
        ml_vault_op op;
    } table[] = {
        {ML_GET, ML_VAULT_GET},
        {ML_LIST, ML_VAULT_LIST},
        {ML_PUT, ML_VAULT_SET},
        {ML_UPDATE, ML_VAULT_UPDATE},
        {ML_DELETE, ML_VAULT_DELETE},
        {ML_VERSIONS, ML_VAULT_VERSIONS},
        {ML_RECOVER, ML_VAULT_RECOVER},
        {ML_PURGE, ML_VAULT_PURGE},
        {ML_BACKUP, ML_VAULT_BACKUP},
        {ML_RESTORE, ML_VAULT_RESTORE},
        {ML_LIST_DELETED, ML_VAULT_LIST_DELETED},
        {ML_GET_DELETED, ML_VAULT_GET_DELETED},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        if (table[i].verb != verb) continue;
        *op = table[i].op;
        return true;
    }
    return false;
}

static ml_op *refuse(key_vault *v, ml_op_done *done, void *arg)
{
    ml_op *op = ml_ready_new(v->vault.azure->client->loop, done, arg);
    if (!op) return NULL;
    snprintf(op->err.source, sizeof(op->err.source), "%s", v->source.alias);
    ml_op_fail(op, ML_EUSAGE, "a Key Vault cannot do that");
    return op;
}

static ml_op *start(ml_source *s, const ml_source_call *c, ml_op_done *done, void *arg)
{
    key_vault *v = (key_vault *)s;
    ml_vault_op op;
    if (!op_of(c->verb, &op)) return refuse(v, done, arg);
    ml_vault_call call = {.op = op,
                          .key = c->key,
                          .version = c->version,
                          .name = c->name,
                          .value = c->value,
                          .has_content_type = c->has_content_type,
                          .content_type = c->content_type,
                          .has_tags = c->has_tags,
                          .tags = c->tags,
                          .n_tags = c->n_tags,
                          .enabled = c->enabled,
                          .not_before_s = c->not_before_s,
                          .expires_s = c->expires_s};
    return ml_vault_run(&v->vault, &call, c->deadline_ms, c->trace, done, arg);
}

static void free_key_vault(ml_source *s)
{
    key_vault *v = (key_vault *)s;
    ml_identity_fini(&v->vault.identity);
    ml_free(v);
}

static const ml_source_kind kind = {"key_vault", true, check, start, free_key_vault};

/* Copies a text option; "" and NULL leave the default. */
static int set(char *out, size_t size, const char *text, const char *what, ml_err *e)
{
    if (!text || !*text) return 0;
    if (strlen(text) >= size) return ml_fail(e, ML_EUSAGE, "%s is too long", what);
    snprintf(out, size, "%s", text);
    return 0;
}

static int check_api_version(const char *text, ml_err *e)
{
    size_t ok = strspn(text, "0123456789abcdefghijklmnopqrstuvwxyz.-");
    if (text[ok] == '\0') return 0;
    return ml_fail(e, ML_EUSAGE, "api_version must look like 7.5 or 2025-07-01");
}

/* A configured audience is an https URL without a trailing slash, as challenges are. */
static int set_audience(ml_vault *vault, const char *audience, ml_err *e)
{
    if (!audience || !*audience) {
        snprintf(vault->audience, sizeof(vault->audience), "%s", vault->url.audience);
    } else if (ml_authority_check(ml_str_of(audience), vault->audience,
                                  sizeof(vault->audience), e) < 0) {
        return ml_fail(e, ML_EUSAGE, "audience must be like https://vault.azure.net");
    }
    memcpy(vault->expected, vault->audience, sizeof(vault->expected));
    return 0;
}

/* Vaults that share a number by chance forget a key too often, that is all. */
static uint32_t store_of(const char *origin)
{
    return (uint32_t)ml_hash_mixed(ml_hash_add(ML_HASH_SEED, origin, strlen(origin)));
}

static int configure(key_vault *v, const ml_key_vault_options *o, ml_err *e)
{
    ml_vault *vault = &v->vault;
    const char *alias = o->alias && *o->alias ? o->alias : "key_vault";
    snprintf(vault->api_version, sizeof(vault->api_version), "%s",
             ML_VAULT_API_VERSION);
    int rc = set(v->source.alias, sizeof(v->source.alias), alias, "alias", e);
    if (rc == 0) rc = set(vault->alias, sizeof(vault->alias), alias, "alias", e);
    if (rc == 0) {
        rc = set(vault->api_version, sizeof(vault->api_version), o->api_version,
                 "api_version", e);
    }
    if (rc == 0) rc = check_api_version(vault->api_version, e);
    if (rc == 0) {
        rc = ml_vault_url_parse(&vault->url, ml_str_of(o->vault_url), o->dns_suffix, e);
    }
    if (rc == 0) rc = set_audience(vault, o->audience, e);
    if (rc == 0) {
        rc = ml_identity_init(&vault->identity, vault->azure->env, o->tenant_id,
                              o->client_id, o->client_secret, o->authority,
                              vault->url.authority, e);
    }
    if (rc < 0) return rc;
    snprintf(vault->tenant, sizeof(vault->tenant), "%s", vault->identity.tenant_id);
    snprintf(v->source.label, sizeof(v->source.label), "%s", vault->url.origin);
    v->source.store = store_of(vault->url.origin);
    vault->skip_challenge_check = o->skip_challenge_check;
    return 0;
}

static int set_gates(ml_vault *vault, ml_err *e)
{
    for (int i = 0; i < ML_REQUEST_KINDS; i++) {
        vault->gates[i] = ml_azure_gate_of(vault->azure, vault->url.origin, i);
        if (!vault->gates[i]) return ml_fail(e, ML_ENOMEM, "out of memory");
    }
    return 0;
}

ml_source *ml_key_vault_source_new(ml_azure *a, const ml_key_vault_options *o,
                                   ml_err *e)
{
    key_vault *v = ml_calloc(1, sizeof(*v));
    if (!v) {
        ml_fail(e, ML_ENOMEM, "out of memory");
        return NULL;
    }
    v->source.kind = &kind;
    v->source.refs = 1;
    v->source.ignores_case = true;
    v->vault.azure = a;
    if (configure(v, o, e) == 0 && set_gates(&v->vault, e) == 0) return &v->source;
    free_key_vault(&v->source);
    return NULL;
}
