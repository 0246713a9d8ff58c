/* test_read_file.c - which files are read, and which are refused, without blocking. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "source/read_file.h"

static char dir[64];

static void put(const char *name, const char *bytes, size_t n)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), n);
    close(fd);
}

static int make_tree(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/ml-read-file-XXXXXX");
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chdir(dir), 0);
    assert_int_equal(mkdir("in", 0700) | mkdir("in/sub", 0700) | mkdir("inner", 0700),
                     0);
    put("out", "outside", 7);
    put("inner/out", "outside", 7);
    put("in/a", "a\0b\n", 4);
    put("in/sub/b", "below", 5);
    assert_int_equal(symlink("a", "in/link"), 0);
    assert_int_equal(symlink("sub/../a", "in/round"), 0);
    assert_int_equal(symlink("../out", "in/up"), 0);
    assert_int_equal(symlink("../inner", "in/inner"), 0);
    assert_int_equal(symlink("/etc/passwd", "in/absolute"), 0);
    assert_int_equal(symlink("loop", "in/loop"), 0);
    assert_int_equal(symlink("/proc/self/fd", "in/magic"), 0);
    assert_int_equal(mkfifo("in/fifo", 0600), 0);
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

static int remove_tree(void **state)
{
    (void)state;
    return chdir("/") | nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int code_of(int fd, const char *wanted)
{
    ml_buf b = {0};
    ml_err e = {0};
    int code = ml_read_file(fd, "shown", &b, &e);
    if (code == 0) {
        assert_string_equal(ml_buf_str(&b).p, wanted);
        ml_buf_fini(&b);
    } else {
        assert_non_null(strstr(e.text, "shown"));
    }
    return code;
}

static void test_plain(void **state)
{
    (void)state;
    ml_buf b;
    ml_err e = {0};
    assert_int_equal(ml_read_file(ml_open_file("in/a"), "x", &b, &e), 0);
    assert_int_equal(b.len, 4);
    assert_memory_equal(b.data, "a\0b\n", 4);
    ml_buf_fini(&b);
    assert_int_equal(code_of(ml_open_file("in/nope"), ""), ML_EMISSING);
    assert_int_equal(code_of(ml_open_file("in/a/x"), ""), ML_EMISSING);
    assert_int_equal(code_of(ml_open_file("in/fifo"), ""), ML_EINVALID);
    assert_int_equal(code_of(ml_open_file("in"), ""), ML_EINVALID);
    assert_int_equal(code_of(ml_open_file("/dev/zero"), ""), ML_EINVALID);
    assert_int_equal(code_of(ml_open_file("in/loop"), ""), ML_EINVALID);
    struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = "in/socket"};
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(code_of(ml_open_file("in/socket"), ""), ML_EINVALID);
    close(s);
}

static void test_size(void **state)
{
    (void)state;
    char *big = calloc(1, ML_FILE_MAX_BYTES + 1);
    put("big", big, ML_FILE_MAX_BYTES);
    assert_int_equal(code_of(ml_open_file("big"), ""), 0);
    put("big", big, ML_FILE_MAX_BYTES + 1);
    assert_int_equal(code_of(ml_open_file("big"), ""), ML_EINVALID);
    free(big);
}

/* A file that root reads all the same is looked at by its errno. */
static void test_errnos(void **state)
{
    (void)state;
    ml_err e = {0};
    assert_int_equal(ml_file_fail(&e, EACCES, "x"), ML_EFORBIDDEN);
    assert_int_equal(ml_file_fail(&e, EIO, "x"), ML_EUNAVAILABLE);
    assert_int_equal(ml_file_fail(&e, EMFILE, "x"), ML_EUNAVAILABLE);
    assert_int_equal(ml_file_fail(&e, EXDEV, "x"), ML_EFORBIDDEN);
}

static const struct {
    const char *name;
    int code;
    const char *value;
} below[] = {
    {"a", 0, "a"},
    {"sub/b", 0, "below"},
    {"link", 0, "a"},
    {"round", 0, "a"},
    {"nope", ML_EMISSING, ""},
    {"sub", ML_EINVALID, ""},
    {"fifo", ML_EINVALID, ""},
    {"loop", ML_EINVALID, ""},
    {"up", ML_EFORBIDDEN, ""},
    {"../out", ML_EFORBIDDEN, ""},
    {"absolute", ML_EFORBIDDEN, ""},
    {"inner/out", ML_EFORBIDDEN, ""},
    {"/etc/passwd", ML_EFORBIDDEN, ""},
};

/* Links may lead anywhere below the directory, and nowhere else, both ways. */
static void test_beneath(void **state)
{
    (void)state;
    int root = open("in", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; i < sizeof(below) / sizeof(*below); i++) {
        const char *value = below[i].value;
        int one = code_of(ml_open_beneath(root, below[i].name), value);
        int two = code_of(ml_open_and_check(root, below[i].name), value);
        if (one == below[i].code && two == one) continue;
        fail_msg("%s: %d and %d, not %d", below[i].name, one, two, below[i].code);
    }
    assert_true(ml_open_beneath(root, "magic/0") < 0);
    close(root);
}

static void test_newline(void **state)
{
    (void)state;
    assert_int_equal(ml_trim_newline(ML_LIT("a\n")).n, 1);
    assert_int_equal(ml_trim_newline(ML_LIT("a\r\n")).n, 1);
    assert_int_equal(ml_trim_newline(ML_LIT("a\n\n")).n, 2);
    assert_int_equal(ml_trim_newline(ML_LIT("a\r")).n, 2);
    assert_int_equal(ml_trim_newline(ML_LIT("\n")).n, 0);
    assert_int_equal(ml_trim_newline(ML_LIT("")).n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),   cmocka_unit_test(test_size),
        cmocka_unit_test(test_errnos),  cmocka_unit_test(test_beneath),
        cmocka_unit_test(test_newline),
    };
    return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
