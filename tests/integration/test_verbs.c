/* test_verbs.c - every verb of the public interface against a dev vault. */
#include "support.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static server *vault;
static ml_resolver *r;

static int start(void **state)
{
    clean_environment(state);
    vault = vault_start("--vault", "main", "--page-size", "7", NULL);
    r = open_on(vault);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    ml_close(r);
    server_stop(vault);
    return 0;
}

static int simple(ml_verb verb, const char *name)
{
    return run(r, &(ml_call){ML_CALL_INIT, .verb = verb, .name = name}, NULL);
}

static ml_answer *must(const ml_call *call)
{
    ml_answer *a = NULL;
    if (run(r, call, &a) < 0) fail_msg("verb %d: %s", call->verb, last_error.text);
    return a;
}

static void test_put_get_update(void **state)
{
    (void)state;
    ml_pair tags[] = {{"team", "billing"}, {"use", "test"}};
    ml_answer_free(must(&(ml_call){
        ML_CALL_INIT, .verb = ML_PUT, .name = "full", .value = "one", .value_len = 3,
        .content_type = "text/plain", .tags = tags, .n_tags = 2}));
    ml_answer *a =
        must(&(ml_call){ML_CALL_INIT, .verb = ML_UPDATE, .name = "full",
                        .expires_s = 4102444800, .not_before_s = 1700000000,
                        .content_type = "text/other", .tags = tags, .n_tags = 1});
    assert_int_equal(ml_answer_count(a), 1);
    assert_null(ml_secret_data(ml_answer_at(a, 0), &(size_t){0}));
    ml_answer_free(a);
    a = must(&(ml_call){ML_CALL_INIT, .verb = ML_GET, .name = "full"});
    const ml_secret *s = ml_answer_at(a, 0);
    assert_string_equal(ml_secret_content_type(s), "text/other");
    assert_int_equal(ml_secret_tag_count(s), 1);
    assert_string_equal(ml_secret_tag(s, "team"), "billing");
    ml_attributes at = ml_secret_attributes(s);
    assert_true(at.enabled);
    assert_int_equal(at.expires_s, 4102444800);
    assert_int_equal(at.not_before_s, 1700000000);
    assert_true(at.created_s > 1700000000 && at.updated_s >= at.created_s);
    assert_string_equal(ml_secret_name(s), "full");
    assert_string_equal(ml_secret_key(s), "full");
    assert_int_equal(strlen(ml_secret_version(s)), 32);
    ml_answer_free(a);
}

/* A daemon leaves the directory that its options were relative to. */
static void test_relative_ca_file(void **state)
{
    (void)state;
    char before[512];
    server near = *vault;
    const char *name = strrchr(vault->ca_file, '/') + 1;
    snprintf(near.ca_file, sizeof(near.ca_file), "%s", name);
    assert_non_null(getcwd(before, sizeof(before)));
    put_text(r, "near", "by");
    assert_int_equal(chdir(server_file(vault, ".")), 0);
    ml_resolver *daemon = open_on(&near);
    assert_int_equal(chdir("/"), 0);
    assert_value(daemon, "near", "by");
    ml_close(daemon);
    assert_int_equal(chdir(before), 0);
}

/* A host that starts programs does not hand our connections to them. */
static void test_sockets_close_on_exec(void **state)
{
    (void)state;
    put_text(r, "kept", "alive");
    int sockets = 0;
    for (int fd = 0; fd < 1024; fd++) {
        struct sockaddr_storage own = {0};
        if (getpeername(fd, (struct sockaddr *)&own, &(socklen_t){sizeof(own)}) != 0 ||
            (own.ss_family != AF_INET && own.ss_family != AF_INET6)) {
            continue; /* what libcurl talks to itself through */
        }
        sockets++;
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    }
    assert_true(sockets > 0);
}

static void test_versions(void **state)
{
    (void)state;
    char value[16], second[64] = "";
    for (int i = 0; i < 30; i++) { /* more than one page of any size */
        snprintf(value, sizeof(value), "value-%d", i);
        ml_answer *a = must(&(ml_call){ML_CALL_INIT, .verb = ML_PUT, .name = "often",
                                       .value = value, .value_len = strlen(value)});
        if (i == 1) {
            snprintf(second, sizeof(second), "%s",
                     ml_secret_version(ml_answer_at(a, 0)));
        }
        ml_answer_free(a);
    }
    ml_answer *a = must(&(ml_call){ML_CALL_INIT, .verb = ML_VERSIONS, .name = "often"});
    assert_int_equal(ml_answer_count(a), 30);
    bool listed = false;
    for (size_t i = 0; i < 30; i++) {
        const char *version = ml_secret_version(ml_answer_at(a, i));
        listed = listed || strcmp(version, second) == 0;
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(version, ml_secret_version(ml_answer_at(a, k)));
        }
    }
    assert_true(listed);
    ml_answer_free(a);
    a = must(
        &(ml_call){ML_CALL_INIT, .verb = ML_GET, .name = "often", .version = second});
    size_t n;
    assert_memory_equal(ml_secret_data(ml_answer_at(a, 0), &n), "value-1", 7);
    assert_int_equal(n, 7);
    ml_answer_free(a);
    assert_value(r, "often", "value-29");
    assert_int_equal(run(r,
                         &(ml_call){ML_CALL_INIT, .verb = ML_GET, .name = "often",
                                    .version = "00000000000000000000000000000000"},
                         NULL),
                     ML_EMISSING);
}

static void test_disabled(void **state)
{
    (void)state;
    put_text(r, "off", "hidden");
    ml_answer_free(must(
        &(ml_call){ML_CALL_INIT, .verb = ML_UPDATE, .name = "off", .enabled = -1}));
    assert_int_equal(get_code(r, "off"), ML_EDISABLED);
    assert_string_equal(last_error.service_code, "SecretDisabled");
    assert_int_equal(last_error.http_status, 403);
    ml_answer_free(
        must(&(ml_call){ML_CALL_INIT, .verb = ML_UPDATE, .name = "off", .enabled = 1}));
    assert_value(r, "off", "hidden");
}

static void test_deleted_and_back(void **state)
{
    (void)state;
    put_text(r, "gone", "kept");
    ml_answer *a = must(&(ml_call){ML_CALL_INIT, .verb = ML_DELETE, .name = "gone"});
    const ml_secret *s = ml_answer_at(a, 0);
    assert_true(ml_secret_recovery_id(s)[0]);
    assert_true(ml_secret_attributes(s).deleted_s > 0);
    assert_true(ml_secret_attributes(s).scheduled_purge_s >
                ml_secret_attributes(s).deleted_s);
    ml_answer_free(a);
    int code = get_code(r, "gone"); /* nowhere, as far as get is concerned */
    assert_true(code == ML_EMISSING);
    assert_int_equal(ml_put(r, "gone", "new", 3, NULL, 0, &last_error), ML_ECONFLICT);
    assert_string_equal(last_error.service_code, "ObjectIsDeletedButRecoverable");
    ml_answer_free(
        must(&(ml_call){ML_CALL_INIT, .verb = ML_GET_DELETED, .name = "gone"}));
    a = must(&(ml_call){ML_CALL_INIT, .verb = ML_LIST_DELETED});
    assert_int_equal(ml_answer_count(a), 1);
    assert_string_equal(ml_secret_key(ml_answer_at(a, 0)), "gone");
    ml_answer_free(a);
    assert_int_equal(simple(ML_RECOVER, "gone"), 0);
    assert_value(r, "gone", "kept");
    assert_int_equal(simple(ML_RECOVER, "gone"), ML_EMISSING);
    assert_int_equal(simple(ML_DELETE, "gone"), 0);
    a = must(&(ml_call){ML_CALL_INIT, .verb = ML_PURGE, .name = "gone"});
    assert_int_equal(ml_answer_count(a), 0);
    ml_answer_free(a);
    assert_int_equal(simple(ML_GET_DELETED, "gone"), ML_EMISSING);
    assert_int_equal(simple(ML_DELETE, "gone"), ML_EMISSING);
    put_text(r, "gone", "new");
    assert_value(r, "gone", "new");
}

static void test_backup_and_restore(void **state)
{
    (void)state;
    put_text(r, "saved", "first");
    put_text(r, "saved", "second");
    ml_answer *blob =
        must(&(ml_call){ML_CALL_INIT, .verb = ML_BACKUP, .name = "saved"});
    size_t n;
    const void *p = ml_secret_data(ml_answer_at(blob, 0), &n);
    ml_call restore = {ML_CALL_INIT, .verb = ML_RESTORE, .name = "saved", .value = p,
                       .value_len = n};
    assert_int_equal(run(r, &restore, NULL), ML_ECONFLICT);
    assert_int_equal(simple(ML_DELETE, "saved"), 0);
    assert_int_equal(simple(ML_PURGE, "saved"), 0);
    ml_answer_free(must(&restore));
    assert_value(r, "saved", "second");
    ml_answer *a = must(&(ml_call){ML_CALL_INIT, .verb = ML_VERSIONS, .name = "saved"});
    assert_int_equal(ml_answer_count(a), 2);
    ml_answer_free(a);
    ml_answer_free(blob);
    assert_int_equal(run(r,
                         &(ml_call){ML_CALL_INIT, .verb = ML_RESTORE, .name = "saved",
                                    .value = "nonsense", .value_len = 8},
                         NULL),
                     ML_EUSAGE);
}

static void check_bytes(const char *name, const char *value, size_t n)
{
    if (ml_put(r, name, value, n, NULL, 0, &last_error) < 0) {
        fail_msg("%s", last_error.text);
    }
    ml_secret *s = NULL;
    size_t got;
    assert_int_equal(ml_get(r, name, NULL, 0, &s, NULL), 0);
    const void *p = ml_secret_data(s, &got);
    assert_int_equal(got, n);
    assert_memory_equal(p, value, n);
    ml_secret_unref(s);
}

static void test_bytes(void **state)
{
    (void)state;
    static char large[25601];
    memset(large, '"', sizeof(large)); /* each is two bytes on the wire */
    check_bytes("nul", "a\0b\0", 4);
    check_bytes("newlines", "a\nb\r\n\t", 6);
    check_bytes("text", "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x94\x91", 15);
    check_bytes("controls", "\x01\x1f\x7f\\\"/", 6);
    check_bytes("empty", "", 0);
    check_bytes("large", large, 25600);
    int before = requests(vault, "set", -1);
    assert_int_equal(ml_put(r, "large", large, 25601, NULL, 0, &last_error), ML_EUSAGE);
    assert_int_equal(ml_put(r, "latin", "\xfc", 1, NULL, 0, &last_error), ML_EUSAGE);
    assert_int_equal(ml_put(r, "bad_name", "x", 1, NULL, 0, &last_error), ML_EUSAGE);
    assert_int_equal(requests(vault, "set", -1), before);
}

/* ---- lists --------------------------------------------------------------------------
 */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static const char *write_seed(const server *s, int n)
{
    const char *path = server_file(s, "seed.json");
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    fputs("{\"main\": {", f);
    for (int i = 0; i < n; i++) fprintf(f, "%s\"item-%d\": \"v\"", i ? ", " : "", i);
    fputs("}}\n", f);
    assert_int_equal(fclose(f), 0);
    return path;
}

/* The sorted names, each followed by a blank; the caller frees. */
static char *list_names(ml_resolver *from, size_t *count)
{
    ml_answer *a = NULL;
    if (ml_list(from, NULL, NULL, 0, &a, &last_error) < 0) {
        fail_msg("list: %s", last_error.text);
    }
    size_t n = *count = ml_answer_count(a);
    const char **names = calloc(n + 1, sizeof(*names));
    char *text = calloc(n + 1, 40);
    for (size_t i = 0; i < n; i++) {
        assert_null(ml_secret_data(ml_answer_at(a, i), &(size_t){0}));
        names[i] = ml_secret_name(ml_answer_at(a, i));
    }
    qsort(names, n, sizeof(*names), by_text);
    for (size_t i = 0, at = 0; i < n; i++) {
        at += (size_t)snprintf(text + at, 40, "%s ", names[i]);
    }
    free(names);
    ml_answer_free(a);
    return text;
}

static void test_page_sizes(void **state)
{
    (void)state;
    static const int sizes[] = {1, 7, 24, 25};
    char *expected = NULL, size[8];
    char seed[256];
    snprintf(seed, sizeof(seed), "%s", write_seed(vault, 60));
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        snprintf(size, sizeof(size), "%d", sizes[i]);
        server *v = vault_start("--seed", seed, "--page-size", size, "--fault",
                                "empty-page", "--fault",
                                i % 2 ? "next-link=missing" : "next-link=empty", NULL);
        ml_resolver *from = open_on(v);
        size_t n;
        char *names = list_names(from, &n);
        assert_int_equal(n, 60);
        if (expected) assert_string_equal(names, expected);
        free(expected);
        expected = names;
        /* the empty page and one for each full one, after one without a token */
        int pages = 1 + (60 + sizes[i] - 1) / sizes[i];
        assert_int_equal(requests(v, "list", 200), pages);
        ml_close(from);
        server_stop(v);
    }
    free(expected);
}

/* A nextLink that leads elsewhere: refused, and nobody is even connected to. */
static void test_foreign_next_link(void **state)
{
    (void)state;
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(fd, 5), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    int port = ntohs(at.sin_port);
    static const char *const shapes[] = {
        "bad-next-link=https://localhost:%d/secrets?x=1",
        "bad-next-link=http://localhost:%d/secrets?x=1",
        "bad-next-link=https://localhost:%d@127.0.0.1/secrets",
        "bad-next-link=//localhost:%d/secrets"};
    char seed[256], fault[160];
    snprintf(seed, sizeof(seed), "%s", write_seed(vault, 30));
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        snprintf(fault, sizeof(fault), shapes[i], port);
        server *v = vault_start("--seed", seed, "--fault", fault, NULL);
        ml_resolver *from = open_on(v);
        ml_answer *a = NULL;
        assert_int_equal(ml_list(from, NULL, NULL, 0, &a, &last_error), ML_EINVALID);
        assert_null(a);
        assert_int_equal(requests(v, "list", 200), 1);
        struct pollfd watch = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&watch, 1, 0), 0);
        ml_close(from);
        server_stop(v);
    }
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_put_get_update),
        cmocka_unit_test(test_relative_ca_file),
        cmocka_unit_test(test_sockets_close_on_exec),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_disabled),
        cmocka_unit_test(test_deleted_and_back),
        cmocka_unit_test(test_backup_and_restore),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_page_sizes),
        cmocka_unit_test(test_foreign_next_link),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
