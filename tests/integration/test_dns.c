/* test_dns.c - a name server that says nothing costs a call its deadline, and no more.
 *
 * libcurl asks for addresses in a thread, through the getaddrinfo of this program. */
#include "support.h"

#include <dlfcn.h>
#include <netdb.h>
#include <unistd.h>

enum { SILENT_S = 8, SOON_MS = 4000, DEADLINE_MS = 200 };

static atomic_int asked;

/* Seen by libcurl before that of the C library. */
/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): the header's */
__attribute__((visibility("default"))) int getaddrinfo(const char *host,
                                                       const char *service,
                                                       const struct addrinfo *hints,
                                                       struct addrinfo **out)
{
    int (*real)(const char *, const char *, const struct addrinfo *,
                struct addrinfo **) = NULL;
    if (host && strstr(host, "silent")) {
        asked++;
        sleep(SILENT_S);
        return EAI_AGAIN;
    }
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    return real(host, service, hints, out);
}

static const char policy[] =
    "local ml = require 'moonlatch.policy'\n"
    "return ml.policy { ml.rule '*' { from = ml.azure_key_vault {\n"
    "  vault_url = 'https://silent.vault.azure.net',\n"
    "  authority = 'https://silent-login.example' } } }\n";

static void test_silent(void **state)
{
    (void)state;
    static const ml_pair env[] = {{"AZURE_TENANT_ID", "t"},
                                  {"AZURE_CLIENT_ID", "c"},
                                  {"AZURE_CLIENT_SECRET", "s"}};
    ml_resolver *r = NULL;
    ml_secret *s = NULL;
    ml_err e;
    ml_options o = {ML_OPTIONS_INIT, .policy_text = policy, .env = env, .n_env = 3,
                    .deadline_ms = DEADLINE_MS};
    if (ml_open(&r, &o, &e) < 0) fail_msg("%s", e.text);
    int64_t began_ms = now_ms();
    assert_int_equal(ml_get(r, "x", NULL, 0, &s, &e), ML_EUNAVAILABLE);
    ml_close(r);
    assert_true(asked > 0);
    assert_true(now_ms() - began_ms < SOON_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_silent)};
    return cmocka_run_group_tests(tests, clean_environment, NULL);
}
