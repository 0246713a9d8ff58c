/* hello.c - the smallest host: one handle, one blocking get. */
#include <stdio.h>
#include <string.h>

#include "moonlatch.h"

static const char policy[] =
    "local ml = require 'moonlatch.policy'\n"
    "local kv = ml.azure_key_vault { vault_url = ml.env 'VAULT_URL' }\n"
    "return ml.policy {\n"
    "  ml.rule 'db/**' { replace = { ['/'] = '-' }, from = { kv } },\n"
    "}\n";

int main(int argc, char **argv)
{
    ml_resolver *resolver = NULL;
    ml_secret *secret = NULL;
    ml_err err;
    const char *name = argc > 1 ? argv[1] : "db/password";

    ml_options options = {ML_OPTIONS_INIT, .policy_text = policy, .deadline_ms = 10000};
    if (ml_open(&resolver, &options, &err) < 0) {
        fprintf(stderr, "cannot open: %s\n", err.text);
        return 1;
    }
    int code = ml_get(resolver, name, NULL, 0, &secret, &err);
    if (code == ML_EMISSING) {
        fprintf(stderr, "%s is nowhere\n", name);
    } else if (code < 0) { /* an outage or a refusal is not an absence */
        fprintf(stderr, "%s: %s\n", ml_outcome(code), err.text);
    } else {
        size_t len;
        const void *data = ml_secret_data(secret, &len);
        fwrite(data, 1, len, stdout);
        ml_secret_unref(secret); /* the last holder's unref erases the bytes */
    }
    ml_close(resolver);
    return code < 0;
}
