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

static ml_resolver *open_silent(int deadline_ms)
{
    static const ml_pair env[] = {{"AZURE_TENANT_ID", "t"},
                                  {"AZURE_CLIENT_ID", "c"},
                                  {"AZURE_CLIENT_SECRET", "s"}};
    ml_resolver *r = NULL;
    ml_err e;
    ml_options o = {ML_OPTIONS_INIT, .policy_text = policy, .env = env, .n_env = 3,
                    .deadline_ms = deadline_ms};
    if (ml_open(&r, &o, &e) < 0) fail_msg("%s", e.text);
    asked = 0;
    return r;
}

static void test_silent(void **state)
{
    (void)state;
    ml_resolver *r = open_silent(DEADLINE_MS);
    ml_secret *s = NULL;
    ml_err e;
    int64_t began_ms = now_ms();
    assert_int_equal(ml_get(r, "x", NULL, 0, &s, &e), ML_EUNAVAILABLE);
    ml_close(r);
    assert_true(asked > 0);
    assert_true(now_ms() - began_ms < SOON_MS);
}

static void note(ml_request *q, const ml_answer *a, const ml_err *e, void *arg)
{
    (void)q;
    (void)a;
    assert_int_equal(*(int *)arg, 0); /* once */
    *(int *)arg = e->code;
}

/* Taken back, hurried, and closed, all while the name server says nothing. */
static void test_ends(void **state)
{
    (void)state;
    int canceled = 0, hurried = 0, closed = 0;
    ml_resolver *r = open_silent(60000);
    ml_request *back = ml_get_start(r, "x", NULL, 0, note, &canceled, NULL);
    ml_request *late = ml_get_start(r, "y", NULL, 0, note, &hurried, NULL);
    assert_non_null(ml_get_start(r, "x", NULL, 0, note, &closed, NULL));
    for (int i = 0; i < 100 && asked == 0; i++) ml_step(r, 50);
    assert_true(asked > 0);
    int64_t began_ms = now_ms();
    ml_cancel(back);
    ml_request_deadline(late, 50);
    while ((!canceled || !hurried) && now_ms() - began_ms < SOON_MS) ml_step(r, 50);
    assert_int_equal(canceled, ML_ECANCELED);
    assert_int_equal(hurried, ML_EUNAVAILABLE);
    assert_int_equal(closed, 0);
    ml_close(r);
    assert_int_equal(closed, ML_ECANCELED);
    assert_true(now_ms() - began_ms < SOON_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_silent),
                                       cmocka_unit_test(test_ends)};
    return cmocka_run_group_tests(tests, clean_environment, NULL);
}
