/* test_oom.c - every allocation of the pure layer fails once: the answer is ML_ENOMEM,
 * nothing leaks, nothing crashes, and what was given is untouched.
 *
 * Linked with --wrap: malloc, calloc and free of our own code and of libyaml pass
 * through here.  What goes through Lua is in test_vm.c and tests/embed/allocator.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "azure/challenge.h"
#include "azure/entra.h"
#include "azure/vault.h"
#include "base/clock.h"
#include "base/err.h"
#include "source/dotenv.h"
#include "source/flight.h"
#include "source/local_file.h"
#include "source/ready.h"

/* NOLINTBEGIN(readability-identifier-naming): the linker's --wrap gives these names */
void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t n);
void __wrap_free(void *p);
char *__wrap_strdup(const char *text); /* libyaml's */
/* NOLINTEND(readability-identifier-naming) */

static long live;    /* blocks that were not given back */
static long to_fail; /* counts down; the allocation that finds 1 fails */
static bool has_failed;

static bool is_failing(void)
{
    if (to_fail <= 0 || --to_fail > 0) return false;
    has_failed = true;
    return true;
}

void *__wrap_malloc(size_t n)
{
    if (is_failing()) return NULL;
    live++;
    return __real_malloc(n);
}

void *__wrap_calloc(size_t count, size_t n)
{
    if (is_failing()) return NULL;
    live++;
    return __real_calloc(count, n);
}

void __wrap_free(void *p)
{
    if (p) live--;
    __real_free(p);
}

char *__wrap_strdup(const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = __wrap_malloc(n);
    return copy ? memcpy(copy, text, n) : NULL;
}

/* Runs a case with the first, second, ... allocation failing, until one run has seen
 * no failure.  The case gives back everything, and answers its code.  At least `least`
 * allocations must have been met, so that a case that tests nothing is seen. */
static void fail_each(int (*run)(ml_err *e), long least)
{
    for (long n = 1;; n++) {
        ml_err e = {0};
        long before = live;
        has_failed = false;
        to_fail = n;
        int rc = run(&e);
        to_fail = 0;
        assert_int_equal(live, before);
        if (!has_failed) {
            assert_int_equal(rc, 0);
            assert_true(n > least);
            return;
        }
        assert_int_equal(rc, ML_ENOMEM);
        assert_int_equal(e.code, ML_ENOMEM);
        assert_non_null(strstr(e.text, "memory"));
    }
}

/* The same for what can go on without memory: each run ends well or with ML_ENOMEM. */
static void survive_each(int (*run)(ml_err *e), long least)
{
    long n = 0;
    do {
        ml_err e = {0};
        long before = live;
        has_failed = false;
        to_fail = ++n;
        int rc = run(&e);
        to_fail = 0;
        assert_int_equal(live, before);
        assert_true(rc == 0 || (has_failed && rc == ML_ENOMEM));
    } while (has_failed);
    assert_true(n > least);
}

static const char token_body[] =
    "{\"access_token\":\"t\\u006f\\u006b\",\"expires_in\":5}";

static int run_entra_parse(ml_err *e)
{
    ml_token t = {.lifetime_s = 7};
    int rc = ml_entra_parse(200, ml_str_of(token_body), "h", "t", "c", 0, &t, e);
    assert_true(rc == 0 || (!t.secret && t.lifetime_s == 7));
    ml_secret_unref(t.secret);
    return rc;
}

static ml_secret *client_secret;

static int run_entra_build(ml_err *e)
{
    ml_entra_request q = {.authority = "https://login.example",
                          .tenant = "t",
                          .audience = "https://vault.azure.net",
                          .client_id = "c",
                          .client_secret = client_secret,
                          .claims = ML_LIT("{}")};
    ml_buf url, form;
    ml_buf_init(&url, 0);
    ml_buf_init(&form, 0);
    int rc = ml_entra_build(&q, &url, &form, e);
    ml_buf_fini(&url);
    ml_buf_fini(&form);
    return rc;
}

static int run_challenge(ml_err *e)
{
    ml_str line = ML_LIT("Bearer resource=https://x, claims=\"eyJhIjoxfQ==\"");
    ml_challenge c;
    ml_challenge_init(&c);
    int rc = ml_challenge_parse(&c, &line, 1, e);
    assert_true(rc == 0 || (c.claims.len == 0 && !c.resource[0]));
    ml_challenge_fini(&c);
    return rc;
}

static int run_vault_build(ml_err *e)
{
    ml_vault_url u;
    ml_tag tag = {ML_LIT("a"), ML_LIT("b")};
    ml_vault_call c = {.op = ML_VAULT_SET,
                       .key = ML_LIT("k"),
                       .value = client_secret,
                       .has_content_type = true,
                       .content_type = ML_LIT("x"),
                       .has_tags = true,
                       .tags = &tag,
                       .n_tags = 1,
                       .enabled = 1,
                       .expires_s = 9};
    const char *method = NULL;
    bool has_body = false;
    ml_buf url, body;
    ml_buf_init(&url, 0);
    ml_buf_init(&body, 0);
    int rc = ml_vault_url_parse(&u, ML_LIT("https://localhost:1"), NULL, e);
    if (!rc) rc = ml_vault_check(&c, e);
    if (!rc) rc = ml_vault_build(&c, &u, NULL, &method, &url, &body, &has_body, e);
    assert_true(rc == 0 || !method);
    ml_buf_fini(&url);
    ml_buf_fini(&body);
    return rc;
}

#define ID "https://acme.vault.azure.net/secrets/k"
/* Only what must be decoded needs memory of its own. */
#define ESCAPED_ID "https:\\/\\/acme.vault.azure.net\\/secrets\\/k"

static int parse(ml_vault_op op, ml_str body, ml_err *e)
{
    ml_vault_call c = {.op = op, .key = ML_LIT("k")};
    ml_vault_answer a;
    ml_vault_answer_init(&a);
    int rc = ml_vault_parse(&c, "prod", 200, body, &a, e);
    assert_true(rc == 0 || (!a.secret && a.list.n == 0 && a.next_link.len == 0));
    ml_vault_answer_fini(&a);
    return rc;
}

static int run_get(ml_err *e)
{
    ml_buf b; /* long enough for the buffer to grow several times */
    ml_buf_init(&b, 0);
    long kept = to_fail;
    to_fail = 0;
    ml_buf_add_text(&b,
                    "{\"id\":\"" ID "\",\"tags\":{\"a\":\"b\"},\"contentType\":\"c\","
                    "\"value\":\"");
    for (int i = 0; i < 2000; i++) ml_buf_add_text(&b, "\\u00e4");
    ml_buf_add_text(&b, "\"}");
    to_fail = kept;
    int rc = parse(ML_VAULT_GET, ml_buf_str(&b), e);
    ml_buf_fini(&b);
    return rc;
}

static int run_list(ml_err *e)
{
    return parse(ML_VAULT_LIST,
                 ML_LIT("{\"value\":[{\"id\":\"" ESCAPED_ID "\"},{\"id\":\"" ESCAPED_ID
                        "\"},{\"id\":\"" ESCAPED_ID "\"},{\"id\":\"" ESCAPED_ID
                        "\"},{\"id\":\"" ESCAPED_ID "\"},{\"id\":\"" ESCAPED_ID
                        "\"},{\"id\":\"" ESCAPED_ID "\"},{\"id\":\"" ESCAPED_ID
                        "\"},{\"id\":\"" ESCAPED_ID "\"}],\"nextLink\":\"https://x\"}"),
                 e);
}

static int run_delete(ml_err *e)
{
    return parse(ML_VAULT_DELETE,
                 ML_LIT("{\"recoveryId\":\"\\u0072\",\"id\":\"" ESCAPED_ID "\"}"), e);
}

static int run_backup(ml_err *e)
{
    return parse(ML_VAULT_BACKUP, ML_LIT("{\"value\":\"bl\\u006fb\"}"), e);
}

/* ---- what is kept, and flights: over a source that answers at once --------------- */

static ml_loop *loop;
static int n_told; /* how many ops have ended */

static ml_op *start_source(ml_source *s, const ml_source_call *c, ml_op_done *done,
                           void *arg)
{
    (void)s;
    ml_op *op = ml_ready_new(loop, done, arg);
    if (!op) return NULL;
    op->secret = ml_secret_of_bytes(c->key);
    if (!op->secret) op->err.code = ML_ENOMEM;
    ml_op_finish(op);
    return op;
}

static int check_key(const ml_source *s, ml_str key, ml_secret *value, ml_err *e)
{
    (void)s;
    (void)key;
    (void)value;
    (void)e;
    return 0;
}

static void free_source(ml_source *s)
{
    (void)s;
}

static const ml_source_kind source_kind = {"fake", true, check_key, start_source,
                                           free_source};

static void tell(ml_op *op, void *arg)
{
    ml_err *e = arg;
    n_told++;
    if (op->err.code) e->code = op->err.code;
}

static const ml_keep_call keep_call = {
    .keep = {.ttl_ms = 1000, .negative_ttl_ms = 1000}, .name = {"name", 4}};

/* Two who join, one who comes later, a change, and one late hit. */
static int ask_all(ml_kept *c, ml_source *s, ml_err *e)
{
    static const struct {
        ml_verb verb;
        ml_freshness freshness;
        bool turns;
    } asks[] = {{ML_GET, ML_FRESH_ENOUGH, false}, {ML_GET, ML_FRESH_ENOUGH, true},
                {ML_GET, ML_FRESH_ENOUGH, true},  {ML_GET, ML_FRESH_ANEW, true},
                {ML_PUT, ML_FRESH_ENOUGH, true},  {ML_GET, ML_FRESH_ENOUGH, true}};
    int started = 0;
    n_told = 0;
    for (size_t i = 0; i < sizeof(asks) / sizeof(*asks); i++) {
        ml_source_call call = {
            .verb = asks[i].verb, .key = ML_LIT("key"), .deadline_ms = INT64_MAX};
        ml_keep_call how = keep_call;
        how.freshness = asks[i].freshness;
        if (ml_kept_start(c, loop, s, &call, &how, tell, e))
            started++;
        else
            e->code = ML_ENOMEM;
        if (asks[i].turns) ml_loop_turn(loop);
    }
    assert_int_equal(n_told, started);
    return e->code;
}

static ml_kept *new_kept(void)
{
    return ml_kept_new(&(ml_kept_limits){
        .max_bytes = 10000, .max_entries = 10, .refresh_percent = 0}); /* always late */
}

static int run_flights(ml_err *e)
{
    ml_source s = {.kind = &source_kind, .refs = 1};
    ml_kept *c = new_kept();
    if (!c) return ML_ENOMEM;
    int rc = ask_all(c, &s, e);
    ml_source_unref(&s);
    ml_kept_free(c);
    return rc;
}

/* A coroutine's flight with one who waits; it ends as missing, which is kept. */
static int run_asker(ml_err *e)
{
    ml_asker owner = {0}, other = {0};
    ml_flight *f = NULL;
    ml_kept_key k = {.source = 1, .key = ML_LIT("key")};
    ml_keep_call how = keep_call;
    ml_kept *c = new_kept();
    if (!c) return ML_ENOMEM;
    how.asker = &owner;
    int rc = ml_flight_begin(c, loop, &k, "lua", &how, &f, e);
    if (rc == 0) {
        ml_err unseen = {0};
        how.asker = &other;
        n_told = 0;
        ml_op *op = ml_flight_wait(c, &k, &how, INT64_MAX, tell, &unseen, e);
        ml_flight_end(f, NULL, &(ml_err){.code = ML_EMISSING});
        ml_loop_turn(loop);
        assert_int_equal(n_told, op ? 1 : 0);
        rc = e->code;
    }
    ml_kept_free(c);
    return rc;
}

static void test_kept(void **state)
{
    (void)state;
    ml_err e;
    loop = ml_loop_new(&ml_system_clock, NULL, &e);
    assert_non_null(loop);
    survive_each(run_flights, 20);
    survive_each(run_asker, 6);
    ml_loop_free(loop);
}

static void test_entra(void **state)
{
    (void)state;
    fail_each(run_entra_parse, 2);
    fail_each(run_entra_build, 2);
}

static void test_challenge(void **state)
{
    (void)state;
    fail_each(run_challenge, 1);
}

static void test_vault(void **state)
{
    (void)state;
    fail_each(run_vault_build, 2);
    fail_each(run_get, 4);
    fail_each(run_list, 20);
    fail_each(run_delete, 2);
    fail_each(run_backup, 2);
}

/* An error is explained without a single allocation. */
static void test_errors_need_no_memory(void **state)
{
    (void)state;
    ml_vault_call c = {.op = ML_VAULT_GET, .key = ML_LIT("k")};
    ml_vault_answer a;
    ml_token t;
    ml_err e = {0};
    ml_vault_answer_init(&a);
    has_failed = false;
    to_fail = 1;
    int vault =
        ml_vault_parse(&c, "prod", 403,
                       ML_LIT("{\"err\\u006fr\":{\"code\":\"SecretDisabled\"}}"), &a,
                       &e);
    int entra = ml_entra_parse(401, ML_LIT("{\"err\\u006fr\":\"invalid_client\"}"), "h",
                               "t", "c", 0, &t, &e);
    to_fail = 0;
    assert_false(has_failed);
    assert_int_equal(vault, ML_EDISABLED);
    assert_int_equal(entra, ML_EUNAUTHENTICATED);
}

static int run_dotenv(ml_err *e)
{
    ml_dotenv d;
    ml_dotenv_init(&d, ML_LIT("A=1\nB='2'\nC"));
    while (ml_dotenv_next(&d)) continue;
    return ml_dotenv_fini(&d) ? 0 : ml_fail(e, ML_ENOMEM, "out of memory");
}

static int run_local(ml_str text, ml_local_format format, ml_err *e)
{
    ml_values v;
    ml_buf out;
    int rc = 0;
    ml_values_init(&v);
    ml_buf_init(&out, 0);
    ml_value *map = ml_local_read(&v, text, format, true);
    if (map) ml_local_answer(&v, map->last->value, true, &out);
    if (v.no_memory)
        rc = ml_fail(e, ML_ENOMEM, "%s", v.problem);
    else
        assert_null(v.problem);
    ml_buf_fini(&out);
    ml_values_fini(&v);
    return rc;
}

static int run_json_file(ml_err *e)
{
    return run_local(ML_LIT("{\"a\": \"\\u0041\", \"b\": {\"port\": 1.50}}"),
                     ML_LOCAL_JSON, e);
}

static int run_env_file(ml_err *e)
{
    return run_local(ML_LIT("a=b\nc=d\n"), ML_LOCAL_ENV, e);
}

static int run_yaml_file(ml_err *e)
{
    return run_local(ML_LIT("a: x://\nb: {port: 0x10, extra: {c: 1.5, d: [~]}}\n"),
                     ML_LOCAL_YAML, e);
}

static void test_files(void **state)
{
    (void)state;
    fail_each(run_dotenv, 1);
    fail_each(run_json_file, 2);
    fail_each(run_env_file, 1);
    fail_each(run_yaml_file, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entra), cmocka_unit_test(test_challenge),
        cmocka_unit_test(test_vault), cmocka_unit_test(test_kept),
        cmocka_unit_test(test_files), cmocka_unit_test(test_errors_need_no_memory)};
    client_secret = ml_secret_of_bytes(ML_LIT("s3"));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ml_secret_unref(client_secret);
    return failed;
}
