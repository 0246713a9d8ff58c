/* test_budget_file.c - files of shared budgets: how they come about, and which are
 * refused or replaced. */
#include "budget_fixture.h"

#include <sys/file.h>

static const char whose[] = "https://acme.example reads";

static ml_budget_found found;
static ml_err err;

static ml_budget_file *map_it(void)
{
    memset(&err, 0, sizeof(err));
    return ml_budget_file_map(dir, whose, 100, 100, &found, &err);
}

static ml_budget_file *map_well(void)
{
    ml_budget_file *f = map_it();
    if (f) return f;
    fail_msg("%s", err.text);
    abort();
}

static void assert_refused(const char *why)
{
    assert_null(map_it());
    assert_int_equal(err.code, ML_EUSAGE);
    if (!strstr(err.text, why)) fail_msg("%s", err.text);
}

static void test_one_file_for_all(void **state)
{
    (void)state;
    mode_t before = umask(0777); /* the strangest one */
    ml_budget_file *a = map_well(), *b = map_well();
    umask(before);
    assert_true(ml_budget_file_is_named(dir, whose, &found));
    assert_true(a != b);
    assert_int_equal(found.news, ML_BUDGET_AS_IT_WAS);
    a->n_seats = 7;
    assert_int_equal(b->n_seats, 7);
    assert_int_equal(b->limiter[0].limit, 100);
    assert_true(ml_limiter_is_sane(&b->limiter[0], 0));
    struct stat st;
    assert_int_equal(stat(file_path(whose), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_size, sizeof(ml_budget_file));
    ml_budget_file_unmap(a);
    ml_budget_file_unmap(b);
    b = map_well(); /* it stays when all have gone */
    assert_int_equal(b->n_seats, 7);
    ml_budget_file_unmap(b);
    assert_true(ml_budget_file_is_named(dir, whose, &found));
    assert_int_equal(unlink(file_path(whose)), 0);
    assert_false(ml_budget_file_is_named(dir, whose, &found));
    ml_budget_file_unmap(NULL);
}

static void test_names(void **state)
{
    (void)state;
    char one[100], other[100];
    assert_true(ml_budget_file_name(whose, one, sizeof(one)));
    assert_true(
        ml_budget_file_name("https://acme.example writes", other, sizeof(other)));
    assert_string_not_equal(one, other);
    assert_null(strstr(one, "acme"));
    assert_null(strchr(one, '/'));
}

/* Bytes of a file are changed; it is replaced, and who had it mapped is told. */
static void change(off_t at, const void *bytes, size_t n)
{
    int fd = open(file_path(whose), O_WRONLY);
    assert_true(fd >= 0 && pwrite(fd, bytes, n, at) == (ssize_t)n);
    close(fd);
}

static void assert_replaced(ml_budget_news wanted)
{
    ml_budget_file *f = map_it();
    assert_non_null(f);
    assert_int_equal(found.news, wanted);
    assert_int_equal(f->n_seats, 0);
    assert_true(ml_budget_file_is_good(f, whose));
    f->n_seats = 7;
    ml_budget_file_unmap(f);
    f = map_well();
    assert_int_equal(found.news, ML_BUDGET_AS_IT_WAS);
    assert_int_equal(f->n_seats, 7);
    ml_budget_file_unmap(f);
}

static void test_damaged(void **state)
{
    (void)state;
    static const struct {
        off_t at;
        const char *bytes;
    } changes[] = {{offsetof(ml_budget_head, magic), "MOONLBUD"},
                   {offsetof(ml_budget_head, version), "\177"},
                   {offsetof(ml_budget_head, size), "\1\1"},
                   {offsetof(ml_budget_head, whose), "https://evil"}};
    for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
        ml_budget_file *before = map_well();
        change(changes[i].at, changes[i].bytes, strlen(changes[i].bytes));
        assert_false(ml_budget_file_is_good(before, whose));
        assert_replaced(ML_BUDGET_DAMAGED);
        assert_int_equal(before->is_retired, 1);
        ml_budget_file_unmap(before);
    }
}

static void test_of_a_former_run(void **state)
{
    (void)state;
    ml_budget_file *before = map_it();
    change(offsetof(ml_budget_head, boot_id), "0", 1);
    change(offsetof(ml_budget_head, boot_id) + 1, "zz", 2);
    assert_replaced(ML_BUDGET_OLD);
    ml_budget_file_unmap(before);
}

static void test_cut_off(void **state)
{
    (void)state;
    const off_t sizes[] = {1, 40, sizeof(ml_budget_file) - 1,
                           sizeof(ml_budget_file) + 1};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        ml_budget_file_unmap(map_it());
        assert_int_equal(truncate(file_path(whose), sizes[i]), 0);
        assert_replaced(ML_BUDGET_DAMAGED);
    }
    ml_budget_file_unmap(map_it());
    assert_int_equal(truncate(file_path(whose), 0), 0); /* as one just made */
    assert_replaced(ML_BUDGET_AS_IT_WAS);
}

/* Who made it was killed before it was done: the size is there, the magic is not. */
static void test_half_made(void **state)
{
    (void)state;
    int fd = open(file_path(whose), O_RDWR | O_CREAT, 0600);
    assert_int_equal(ftruncate(fd, sizeof(ml_budget_file)), 0);
    close(fd);
    assert_replaced(ML_BUDGET_DAMAGED);
}

static void test_noise(void **state)
{
    (void)state;
    uint32_t seed = 20;
    for (int i = 0; i < 20; i++) {
        int fd = open(file_path(whose), O_WRONLY | O_CREAT, 0600);
        for (size_t n = 0; n < sizeof(ml_budget_file); n += 4) {
            seed = seed * 1664525 + 1013904223;
            assert_int_equal(write(fd, &seed, 4), 4);
        }
        assert_int_equal(ftruncate(fd, sizeof(ml_budget_file)), 0);
        close(fd);
        assert_replaced(ML_BUDGET_DAMAGED);
    }
}

/* Somebody was stopped while it made or replaced the file. */
static void test_locked(void **state)
{
    (void)state;
    ml_budget_file_unmap(map_it());
    int fd = open(file_path(whose), O_RDWR);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_refused("it is locked");
    close(fd);
    ml_budget_file_unmap(map_it());
    assert_int_equal(err.code, 0);
}

static void test_refused_files(void **state)
{
    (void)state;
    char path[200], other[220];
    snprintf(path, sizeof(path), "%s", file_path(whose));
    snprintf(other, sizeof(other), "%s.other", path);

    int fd = open(other, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, "precious", 8), 8);
    close(fd);
    assert_int_equal(symlink(other, path), 0);
    assert_refused("symbolic link");
    unlink(path);
    assert_int_equal(link(other, path), 0);
    assert_refused("second name");
    unlink(path);
    struct stat st;
    assert_int_equal(stat(other, &st), 0);
    assert_int_equal(st.st_size, 8); /* nobody wrote to it */

    assert_int_equal(mkdir(path, 0700), 0);
    assert_refused("directory");
    rmdir(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_refused("not a regular file");
    unlink(path);

    ml_budget_file_unmap(map_it());
    chmod(path, 0620);
    assert_refused("others may use it; try chmod 600");
    chmod(path, 0604);
    assert_refused("others may use it");
    chmod(path, 0600);
    if (geteuid() == 0) { /* only root can give files away */
        assert_int_equal(chown(path, 12345, (gid_t)-1), 0);
        assert_refused("another user");
        unlink(path);
    }
    ml_budget_file *f = map_it();
    assert_non_null(f);
    ml_budget_file_unmap(f);
}

static void assert_dir_refused(const char *path, const char *why)
{
    ml_budget_dir *d = NULL;
    ml_err e = {0};
    assert_int_equal(ml_budget_dir_open(&d, path, &e), ML_EUSAGE);
    assert_null(d);
    assert_non_null(strstr(e.text, path));
    if (!strstr(e.text, why)) fail_msg("%s", e.text);
}

static void test_refused_directories(void **state)
{
    (void)state;
    char path[200];
    ml_budget_dir *d = NULL;
    ml_err e;
    snprintf(path, sizeof(path), "%s/inner", dir_path);
    assert_dir_refused(path, "does not exist; try mkdir -m 700");
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    close(fd);
    assert_dir_refused(path, "must be a directory");
    unlink(path);
    assert_int_equal(symlink("/tmp", path), 0);
    assert_dir_refused(path, "no symbolic link");
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    chmod(path, 0777);
    assert_dir_refused(path, "everybody may replace files");
    chmod(path, 01777);
    assert_int_equal(ml_budget_dir_open(&d, path, &e), 0);
    ml_budget_dir_close(d);
    if (geteuid() == 0) {
        assert_int_equal(chown(path, 12345, (gid_t)-1), 0);
        assert_dir_refused(path, "belongs to user 12345");
    }
    rmdir(path);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, make_dir, remove_dir)
    const struct CMUnitTest tests[] = {
        TEST(test_one_file_for_all),
        TEST(test_names),
        TEST(test_damaged),
        TEST(test_of_a_former_run),
        TEST(test_cut_off),
        TEST(test_half_made),
        TEST(test_noise),
        TEST(test_locked),
        TEST(test_refused_files),
        TEST(test_refused_directories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
