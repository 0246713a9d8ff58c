/* host_source.c - a source that the host supplies: here a table in memory. */
#include <stdio.h>
#include <string.h>

#include "moonlatch.h"

static const char policy[] =
    "local ml = require 'moonlatch.policy'\n"
    "local mine = ml.host_source { name = 'table' }\n"
    "return ml.policy { ml.rule 'db/**' { strip = 'db/', from = mine } }\n";

static const char *const table[][2] = {{"user", "scott"}, {"password", "tiger"}};

/* Answers at once; it may as well keep f, and answer later from any thread. */
static void get(ml_fetch *f, const char *key, const char *version, void *arg)
{
    (void)version;
    (void)arg;
    ml_fetched got = {ML_FETCHED_INIT, .code = ML_EMISSING};
    for (int i = 0; i < 2; i++) {
        if (strcmp(table[i][0], key) != 0) continue;
        got.code = 0;
        got.value = table[i][1];
        got.value_len = strlen(table[i][1]);
    }
    ml_fetch_done(f, &got);
}

static void list(ml_fetch *f, void *arg)
{
    (void)arg;
    const char *keys[] = {table[0][0], table[1][0]};
    ml_fetch_done(f, &(ml_fetched){ML_FETCHED_INIT, .keys = keys, .n_keys = 2});
}

int main(int argc, char **argv)
{
    ml_resolver *r = NULL;
    ml_secret *secret = NULL;
    ml_err err;
    ml_options options = {ML_OPTIONS_INIT, .policy_text = policy};
    ml_source_ops ops = {ML_SOURCE_OPS_INIT, .get = get, .list = list};
    if (ml_open(&r, &options, &err) < 0 ||
        ml_add_source(r, "table", &ops, NULL, &err) < 0) {
        fprintf(stderr, "cannot open: %s\n", err.text);
        return 1;
    }
    int code = ml_get(r, argc > 1 ? argv[1] : "db/password", NULL, 0, &secret, &err);
    if (code < 0) {
        fprintf(stderr, "%s: %s\n", ml_outcome(code), err.text);
    } else {
        size_t len;
        const void *data = ml_secret_data(secret, &len);
        printf("%.*s\n", (int)len, (const char *)data);
        ml_secret_unref(secret);
    }
    ml_close(r);
    return code < 0;
}
