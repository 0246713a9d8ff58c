/* ask.c - a host in the common part of C and C++: asks once, prints the answer. */
#include <moonlatch.h>
#include <stdio.h>
#include <string.h>

static const char policy[] = "local ml = require 'moonlatch.policy'\n"
                             "return ml.policy {\n"
                             "  ml.rule 'HELLO' { from = { ml.environment {} } },\n"
                             "}\n";

int main(void)
{
    const ml_pair env[] = {{"HELLO", "installed"}};
    ml_options options;
    ml_resolver *resolver = NULL;
    ml_secret *secret = NULL;
    ml_err err;
    size_t len = 0;

    memset(&options, 0, sizeof(options));
    options.size = sizeof(options);
    options.policy_text = policy;
    options.env = env;
    options.n_env = 1;
    int code = ml_open(&resolver, &options, &err);
    if (code == 0) code = ml_get(resolver, "HELLO", NULL, 0, &secret, &err);
    if (code == 0) {
        const void *data = ml_secret_data(secret, &len);
        fwrite(data, 1, len, stdout);
        ml_secret_unref(secret);
    } else {
        fprintf(stderr, "%s: %s\n", ml_outcome(code), err.text);
    }
    ml_close(resolver);
    return code < 0;
}
