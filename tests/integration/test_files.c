/* test_files.c - sources that are files: real ones, as they change, vanish and refuse.
 */
#include "support.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#define CANARY "c4nary"

static char dir[64];
static ml_resolver *r;

static void put(const char *name, const char *text)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static const char policy[] =
    "local ml = require 'moonlatch.policy'\n"
    "local function by(prefix, source)\n"
    "  return ml.rule(prefix .. '/**') { strip = prefix .. '/', from = source }\n"
    "end\n"
    "return ml.policy {\n"
    "  by('env', ml.dotenv { path = 'app.env' }),\n"
    "  by('none', ml.dotenv { path = 'none.env', alias = 'none' }),\n"
    "  by('maybe', ml.dotenv { path = 'none.env', optional = true, alias = 'maybe' "
    "}),\n"
    "  by('one', ml.file { path = 'one', trim_newline = true }),\n"
    "  by('key', ml.file { path = 'one', key = 'k', alias = 'key' }),\n"
    "  by('mnt', ml.directory { path = 'mnt' }),\n"
    "  by('plain', ml.directory { path = 'plain', hidden = true, trim_newline = true "
    "}),\n"
    "  by('gone', ml.directory { path = 'gone' }),\n"
    "  by('nodir', ml.directory { path = 'gone', optional = true, alias = 'nodir' }),\n"
    "  by('var', ml.local_file { path = 'vars.yaml' }),\n"
    "  by('conn', ml.local_file { path = 'conns.json', holds = 'connections' }),\n"
    "}\n";

static int open_all(void **state)
{
    (void)state;
    ml_err e;
    snprintf(dir, sizeof(dir), "/tmp/ml-files-XXXXXX");
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chmod(dir, 0755) | chdir(dir), 0);
    put("policy.lua", policy);
    put("app.env", "A=1\nB='two # " CANARY "'\n");
    put("one", "whole\n");
    put("vars.yaml", "v: 010\nn: ~\n");
    put("conns.json", "{\"db\": {\"conn_type\": \"http\", \"port\": 80}}");
    assert_int_equal(mkdir("plain", 0755) | mkdir("plain/sub", 0755), 0);
    put("plain/a", "1\n");
    put("plain/.dot", "2");
    put("plain/sub/b", "3\r\n");
    assert_int_equal(symlink("../one", "plain/up") | symlink("sub/b", "plain/l"), 0);
    assert_int_equal(mkfifo("plain/fifo", 0644), 0);
    assert_int_equal(mkdir("mnt", 0755) | mkdir("mnt/..1", 0755), 0);
    put("mnt/..1/user", "u1");
    assert_int_equal(symlink("..1", "mnt/..data"), 0);
    assert_int_equal(symlink("..data/user", "mnt/user"), 0);
    char file[128];
    snprintf(file, sizeof(file), "%s/policy.lua", dir);
    ml_options o = {ML_OPTIONS_INIT, .policy_file = file, .cache_ttl_ms = -1};
    if (ml_open(&r, &o, &e) < 0) fail_msg("%s", e.text);
    return chdir("/"); /* paths are relative to the policy, not to us */
}

static int close_all(void **state)
{
    (void)state;
    ml_close(r);
    remove_all(dir);
    return 0;
}

static int got(const char *name, char value[64], ml_err *e)
{
    ml_secret *s = NULL;
    value[0] = '\0';
    int code = ml_get(r, name, NULL, 0, &s, e);
    if (code == 0) {
        size_t n;
        const void *p = ml_secret_data(s, &n);
        snprintf(value, 64, "%.*s", (int)n, (const char *)p);
        ml_secret_unref(s);
    }
    return code;
}

static void expect(const char *name, int code, const char *wanted)
{
    char value[64];
    ml_err e;
    int is = got(name, value, &e);
    if (is != code) fail_msg("%s: %s, %s", name, ml_outcome(is), is ? e.text : value);
    if (code == 0) {
        assert_string_equal(value, wanted);
        return;
    }
    if (!strstr(e.text, wanted))
        fail_msg("%s: '%s' is not in: %s", name, wanted, e.text);
    assert_null(strstr(e.text, CANARY));
}

static void test_gets(void **state)
{
    (void)state;
    expect("env/A", 0, "1");
    expect("env/Z", ML_EMISSING, "app.env:Z");
    expect("env/a b", ML_EUSAGE, "a variable of a dotenv file");
    expect("none/A", ML_EUNAVAILABLE, "none.env (optional = true");
    expect("maybe/A", ML_EMISSING, "maybe:A");
    expect("one/anything", 0, "whole");
    expect("key/k", 0, "whole\n");
    expect("key/other", ML_EMISSING, "key:other");
    expect("plain/a", 0, "1");
    expect("plain/.dot", 0, "2");
    expect("plain/sub/b", 0, "3");
    expect("plain/l", 0, "3");
    expect("plain/up", ML_EFORBIDDEN, "leads out");
    expect("plain/fifo", ML_EINVALID, "not a regular file");
    expect("plain/sub", ML_EINVALID, "not a regular file");
    expect("plain/none", ML_EMISSING, "plain:none");
    expect("plain/../one", ML_EUSAGE, "'..'");
    expect("plain//etc/passwd", ML_EUSAGE, "'/'");
    expect("mnt/user", 0, "u1");
    expect("mnt/..data/user", ML_EUSAGE, "'..'");
    expect("mnt/.hidden", ML_EUSAGE, "hidden = true");
    expect("gone/a", ML_EUNAVAILABLE, "optional = true");
    expect("nodir/a", ML_EMISSING, "nodir:a");
    expect("var/v", 0, "8");
    expect("var/n", ML_EMISSING, "var");
    expect("conn/db", 0, "{\"conn_type\": \"http\", \"port\": 80}");
}

static void names_of(const char *pattern, char out[400])
{
    ml_answer *a = NULL;
    ml_err e;
    size_t n = 0;
    out[0] = '\0';
    if (ml_list(r, pattern, NULL, 0, &a, &e) < 0) fail_msg("%s", e.text);
    for (size_t i = 0; i < ml_answer_count(a); i++) {
        size_t len;
        assert_null(ml_secret_data(ml_answer_at(a, i), &len));
        n += (size_t)snprintf(out + n, 400 - n, "%s ",
                              ml_secret_name(ml_answer_at(a, i)));
    }
    ml_answer_free(a);
}

/* Names only; what is not there and must be, keeps the list from looking whole. */
static void test_lists(void **state)
{
    (void)state;
    char names[400], path[128];
    ml_answer *a = NULL;
    ml_err e;
    assert_int_equal(ml_list(r, NULL, NULL, 0, &a, &e), ML_EUNAVAILABLE);
    snprintf(path, sizeof(path), "%s/none.env", dir);
    put(path, "N=1\n");
    snprintf(path, sizeof(path), "%s/gone", dir);
    assert_int_equal(mkdir(path, 0755), 0);
    names_of(NULL, names);
    assert_string_equal(names,
                        "conn/db env/A env/B key/k maybe/N mnt/user none/N one/one "
                        "plain/.dot plain/a plain/l plain/sub/b var/v ");
    assert_int_equal(rmdir(path), 0);
    snprintf(path, sizeof(path), "%s/none.env", dir);
    assert_int_equal(unlink(path), 0);
}

/* A mistake is told with its line, and costs as little as it can. */
static void test_mistakes(void **state)
{
    (void)state;
    char path[128];
    snprintf(path, sizeof(path), "%s/app.env", dir);
    put(path, "A=1\nB=${" CANARY "}\n");
    expect("env/A", 0, "1");
    expect("env/B", ML_EINVALID, "app.env:2: B: ");
    expect("env/Z", ML_EMISSING, "Z");
    put(path, "A=1\n=" CANARY "\n");
    expect("env/A", 0, "1");
    expect("env/Z", ML_EINVALID, "app.env:2: a name"); /* it could be that line's */
    snprintf(path, sizeof(path), "%s/vars.yaml", dir);
    put(path, "v: 1\nw: [" CANARY "\n");
    expect("var/v", ML_EINVALID, "vars.yaml:3: ");
    put(path, "v: 010\nn: ~\n");
    snprintf(path, sizeof(path), "%s/app.env", dir);
    put(path, "A=1\nB='two # " CANARY "'\n");
}

/* A refusal is not an absence.  Root is refused nothing, so it steps down first. */
static void test_permissions(void **state)
{
    (void)state;
    bool is_root = geteuid() == 0;
    char path[128];
    snprintf(path, sizeof(path), "%s/one", dir);
    assert_int_equal(chmod(path, 0), 0);
    snprintf(path, sizeof(path), "%s/mnt", dir);
    assert_int_equal(chmod(path, 0), 0);
    if (is_root) assert_int_equal(seteuid(65534), 0);
    expect("one/x", ML_EFORBIDDEN, "one may not be read");
    expect("mnt/user", ML_EFORBIDDEN, "mnt may not be read");
    expect("mnt/none", ML_EFORBIDDEN, "mnt may not be read");
    if (is_root) assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(path, 0755), 0);
    snprintf(path, sizeof(path), "%s/one", dir);
    assert_int_equal(chmod(path, 0644), 0);
    expect("one/x", 0, "whole");
}

static ml_resolver *mounts; /* mnt alone */
static atomic_bool is_over;
static atomic_int wrong, right;

enum { READERS = 3, SWAPS = 300 };
static atomic_int rounds[READERS]; /* that each has begun */

static void note(bool is_fine, const ml_err *e)
{
    if (is_fine)
        atomic_fetch_add(&right, 1);
    else if (atomic_fetch_add(&wrong, 1) == 0)
        fprintf(stderr, "%d %s\n", e->code, e->text);
}

/* Whatever version is current: user is there, and nothing else ever happens to it. */
static void *read_on(void *arg)
{
    atomic_int *begun = arg;
    ml_err e;
    while (!is_over) {
        atomic_fetch_add(begun, 1);
        ml_secret *s = NULL;
        ml_answer *a = NULL;
        size_t n = 0;
        int code = ml_get(mounts, "user", NULL, 0, &s, &e);
        note(code == 0 && *(const char *)ml_secret_data(s, &n) == 'u' && n > 1, &e);
        if (code == 0) ml_secret_unref(s);
        code = ml_list(mounts, NULL, NULL, 0, &a, &e);
        note(code == 0 && ml_answer_count(a) == 1, &e);
        ml_answer_free(a);
    }
    return NULL;
}

/* One whose only source is this directory. */
static ml_resolver *open_on_directory(const char *name)
{
    ml_resolver *opened = NULL;
    char text[400];
    ml_err e;
    ml_options o = {ML_OPTIONS_INIT, .policy_text = text, .cache_ttl_ms = -1};
    snprintf(text, sizeof(text),
             "local ml = require 'moonlatch.policy'\n"
             "local mnt = ml.directory { path = '%s/%s' }\n"
             "return ml.policy { ml.rule '**' { from = mnt } }\n",
             dir, name);
    if (ml_open(&opened, &o, &e) < 0) fail_msg("%s", e.text);
    return opened;
}

static void swap(int n)
{
    char path[128], value[16], old[128], link[128], data[128];
    snprintf(path, sizeof(path), "%s/mnt/..%d", dir, n);
    assert_int_equal(mkdir(path, 0755), 0);
    snprintf(path, sizeof(path), "%s/mnt/..%d/user", dir, n);
    snprintf(value, sizeof(value), "u%d", n);
    put(path, value);
    snprintf(old, sizeof(old), "..%d", n);
    snprintf(link, sizeof(link), "%s/mnt/..data_tmp", dir);
    snprintf(data, sizeof(data), "%s/mnt/..data", dir);
    assert_int_equal(symlink(old, link), 0);
    assert_int_equal(rename(link, data), 0);
    snprintf(path, sizeof(path), "%s/mnt/..%d/user", dir, n - 1);
    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof(path), "%s/mnt/..%d", dir, n - 1);
    assert_int_equal(rmdir(path), 0);
}

/* So that no call meets eight swaps, however long its thread does not run: then it says
 * that the directory is being replaced. */
static void wait_for_readers(void)
{
    for (int i = 0; i < READERS; i++) {
        int seen = rounds[i];
        while (rounds[i] == seen) sched_yield();
    }
}

/* As kubelet brings new versions, while others read. */
static void test_swaps(void **state)
{
    (void)state;
    pthread_t readers[READERS];
    char last[16];
    mounts = open_on_directory("mnt");
    for (int i = 0; i < READERS; i++)
        pthread_create(&readers[i], NULL, read_on, &rounds[i]);
    for (int n = 2; n <= SWAPS; n++) {
        swap(n);
        if (n % 6 == 0) wait_for_readers();
    }
    snprintf(last, sizeof(last), "u%d", SWAPS);
    expect("mnt/user", 0, last); /* the next get sees it */
    is_over = true;
    for (int i = 0; i < READERS; i++) pthread_join(readers[i], NULL);
    assert_int_equal(wrong, 0);
    assert_true(right > 0);
    ml_close(mounts);
}

/* Directories that come and go below hide nothing of what stays. */
static void *come_and_go(void *arg)
{
    char path[128];
    (void)arg;
    for (int i = 0; !is_over; i++) {
        snprintf(path, sizeof(path), "%s/plain/brief%d", dir, i % 30);
        mkdir(path, 0755);
        snprintf(path, sizeof(path), "%s/plain/brief%d", dir, (i + 1) % 30);
        rmdir(path);
    }
    return NULL;
}

static void test_removed_below(void **state)
{
    (void)state;
    pthread_t mover;
    int short_lists = 0;
    ml_resolver *plain = open_on_directory("plain");
    is_over = false;
    pthread_create(&mover, NULL, come_and_go, NULL);
    for (int i = 0; i < 3000; i++) {
        ml_answer *a = NULL;
        ml_err e;
        int code = ml_list(plain, NULL, NULL, 0, &a, &e);
        if (code != 0 || ml_answer_count(a) != 3) short_lists++;
        ml_answer_free(a);
    }
    is_over = true;
    pthread_join(mover, NULL);
    ml_close(plain);
    assert_int_equal(short_lists, 0);
}

/* Nothing stays open. */
static void test_descriptors(void **state)
{
    int n[2];
    for (int round = 0; round < 2; round++) {
        DIR *d = opendir("/proc/self/fd");
        /* cppcheck-suppress readdirCalled ; nobody else has this stream */
        for (n[round] = 0; readdir(d); n[round]++) continue;
        closedir(d);
        if (round == 0) test_gets(state);
    }
    assert_int_equal(n[0], n[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gets),          cmocka_unit_test(test_lists),
        cmocka_unit_test(test_mistakes),      cmocka_unit_test(test_permissions),
        cmocka_unit_test(test_descriptors),   cmocka_unit_test(test_swaps),
        cmocka_unit_test(test_removed_below),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
