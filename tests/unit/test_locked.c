/* test_locked.c - what protects the memory of secrets: guards, no dump, locks and their
 * limit; and the pool of the process, with threads and forks.
 *
 * What the kernel thinks of a page is read from /proc/self/smaps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/locked.h"
#include "base/pool.h"

enum { KIB = 1024, LARGEST = 64 * KIB, NOBODY = 65534 };

/* ---- what the kernel says ------------------------------------------------------- */

typedef struct area {
    uintptr_t from, to;
    char rights[8], flags[128];
} area;

/* The mapping of an address; a test that cannot read it fails. */
static area area_of(const void *p)
{
    area a = {0};
    char line[512];
    FILE *f = fopen("/proc/self/smaps", "re");
    assert_non_null(f);
    while (!a.flags[0] && fgets(line, sizeof(line), f)) {
        char *at;
        uintptr_t from = strtoul(line, &at, 16);
        if (*at == '-') {
            uintptr_t to = strtoul(at + 1, &at, 16);
            bool is_it = (uintptr_t)p >= from && (uintptr_t)p < to;
            a.from = is_it ? from : 0;
            a.to = is_it ? to : 0;
            snprintf(a.rights, sizeof(a.rights), "%.4s", at + 1);
        } else if (a.to && strncmp(line, "VmFlags:", 8) == 0) {
            snprintf(a.flags, sizeof(a.flags), "%.100s", line + 8);
        }
    }
    fclose(f);
    assert_true(a.to > 0);
    return a;
}

static bool has_flag(const void *p, const char *flag)
{
    char wanted[8];
    snprintf(wanted, sizeof(wanted), " %s", flag);
    return strstr(area_of(p).flags, wanted) != NULL;
}

/* Not by _exit: the thread sanitizer would look for the parent's threads there. */
static _Noreturn void end_child(int code)
{
    for (;;) syscall(SYS_exit_group, code);
}

/* Runs it in a child; -> its exit code, or minus its signal. */
static int in_child(void (*run)(const void *arg), const void *arg)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        run(arg);
        end_child(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* In a child: what does not hold is its exit code, the line. */
#define DEMAND(what)                                                                   \
    do {                                                                               \
        if (!(what)) end_child(__LINE__ % 250 + 1);                                    \
    } while (0)

/* Without the right to lock what it likes, and with this limit. */
static void limit_locks(rlim_t bytes)
{
    DEMAND(setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){bytes, bytes}) == 0);
    DEMAND(geteuid() != 0 || setresuid(NOBODY, NOBODY, NOBODY) == 0);
}

/* ---- what protects it ----------------------------------------------------------- */

static void read_it(const void *arg)
{
    signal(SIGSEGV, SIG_DFL); /* sanitizers catch it */
    (void)*(const volatile char *)arg;
}

static void write_it(const void *arg)
{
    signal(SIGSEGV, SIG_DFL);
    *(volatile char *)(uintptr_t)arg = 'x';
}

/* From the pages around a block outwards the first that is not readable is a guard, and
 * touching it is the end; so is touching the one between pages and head. */
static void assert_guarded(const void *block)
{
    area pages = area_of(block);
    assert_string_equal(pages.rights, "rw-p");
    const char *before = (const char *)pages.from - 1, *behind = (const char *)pages.to;
    assert_int_equal(in_child(read_it, block), 0);
    assert_int_equal(in_child(read_it, before), -SIGSEGV);
    assert_int_equal(in_child(write_it, before), -SIGSEGV);
    assert_int_equal(in_child(read_it, behind), -SIGSEGV);
    assert_int_equal(in_child(write_it, behind), -SIGSEGV);
    assert_string_equal(area_of(before).rights, "---p");
    assert_string_equal(area_of(behind).rights, "---p");
}

static void test_guards_fault(void **state)
{
    (void)state;
    const size_t sizes[] = {1, 64, 3000, LARGEST, 100000, 1000000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        ml_pool p = {0};
        char *block = ml_pool_alloc(&p, sizes[i]);
        assert_non_null(block);
        assert_guarded(block);
        ml_pool_free(&p, block, sizes[i]);
        ml_pool_fini(&p);
    }
}

static void test_is_not_dumped(void **state)
{
    (void)state;
    const size_t sizes[] = {1, 300, LARGEST, 1000000};
    int plain = 0;
    assert_false(has_flag(&plain, "dd")); /* the search works */
    for (int locks = 0; locks <= 1; locks++) {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            ml_pool p = {.locks = locks};
            void *block = ml_pool_alloc(&p, sizes[i]);
            assert_true(has_flag(block, "dd"));
            ml_pool_free(&p, block, sizes[i]);
            ml_pool_fini(&p);
        }
    }
}

/* Below the head of an arena, too: what is mapped there by chance ends at a guard. */
static void test_a_guard_is_below_the_head(void **state)
{
    (void)state;
    ml_pool p = {0};
    char *block = ml_pool_alloc(&p, 100);
    const char *head = (const char *)area_of((char *)area_of(block).from - 1).from - 1;
    assert_string_equal(area_of(head).rights, "rw-p");
    const char *below = (const char *)area_of(head).from - 1;
    assert_string_equal(area_of(below).rights, "---p");
    assert_int_equal(in_child(write_it, below), -SIGSEGV);
    ml_pool_free(&p, block, 100);
    ml_pool_fini(&p);
}

typedef struct misuse {
    size_t size, off; /* of a block; where it is freed instead */
    bool is_first_freed;
} misuse;

static void free_wrongly(const void *arg)
{
    const misuse *m = arg;
    ml_pool p = {0};
    signal(SIGABRT, SIG_DFL);
    signal(SIGSEGV, SIG_DFL);
    (void)ml_pool_alloc(&p, m->size);
    char *block = ml_pool_alloc(&p, m->size);
    if (m->is_first_freed) ml_pool_free(&p, block, m->size);
    ml_pool_free(&p, block + m->off, 16);
}

static void test_a_block_freed_wrongly_ends_the_process(void **state)
{
    (void)state;
    const misuse all[] = {{100, 0, true},   {3000, 0, true},   {9000, 0, true},
                          {100, 16, false}, {9000, 16, false}, {9000, 4096, false}};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        assert_int_equal(in_child(free_wrongly, &all[i]), -SIGABRT);
    const misuse single = {100000, 0, true}; /* its pages are gone */
    assert_int_equal(in_child(free_wrongly, &single), -SIGSEGV);
}

/* ---- locks ---------------------------------------------------------------------- */

static bool is_locked(const void *p)
{
    return has_flag(p, "lo");
}

static void lock_much(const void *arg)
{
    ml_pool p = {.locks = true};
    (void)arg;
    limit_locks((rlim_t)256 * KIB);
    char *small = ml_pool_alloc(&p, 300), *large = ml_pool_alloc(&p, 100000);
    DEMAND(small && large && is_locked(small) && is_locked(large));
    DEMAND(p.locked_bytes == p.page_bytes && p.page_bytes == 4096 + 102400);
    ml_pool_free(&p, large, 100000);
    DEMAND(p.locked_bytes == 4096 && p.page_bytes == 4096);
    ml_pool_free(&p, small, 300);
    DEMAND(p.locked_bytes == 0);
}

/* The pages taken first are locked; nothing else differs. */
static void lock_little(const void *arg)
{
    ml_pool p = {.locks = true};
    (void)arg;
    limit_locks((rlim_t)8 * KIB);
    char *blocks[4];
    for (int i = 0; i < 4; i++) {
        blocks[i] = ml_pool_alloc(&p, 4000);
        DEMAND(blocks[i]);
        memset(blocks[i], 'x', 4000);
        DEMAND(is_locked(blocks[i]) == (i < 2));
        DEMAND(has_flag(blocks[i], "dd"));
    }
    DEMAND(p.page_bytes == (size_t)16 * KIB && p.locked_bytes == (size_t)8 * KIB);
    ml_pool_free(&p, blocks[0], 4000); /* whoever comes next has its lock */
    char *next = ml_pool_alloc(&p, 100);
    DEMAND(is_locked(next) && p.locked_bytes == (size_t)8 * KIB);
    ml_pool_free(&p, next, 100);
    for (int i = 1; i < 4; i++) ml_pool_free(&p, blocks[i], 4000);
    DEMAND(p.page_bytes == 0 && p.locked_bytes == 0);
}

static void lock_nothing(const void *arg)
{
    ml_pool p = {.locks = true};
    (void)arg;
    limit_locks(0);
    const size_t sizes[] = {1, 300, LARGEST, 1000000};
    for (size_t i = 0; i < 4; i++) {
        char *block = ml_pool_alloc(&p, sizes[i]);
        DEMAND(has_flag(block, "dd") && !is_locked(block));
        write_it(block + sizes[i] - 1);
        DEMAND(strcmp(area_of((char *)area_of(block).from - 1).rights, "---p") == 0);
        DEMAND(p.page_bytes >= sizes[i] && p.locked_bytes == 0);
        ml_pool_free(&p, block, sizes[i]);
    }
}

/* Are there locks at all where this test runs?  If not it is skipped, and counted so.
 */
static void need_locks(void)
{
    enum { MUCH = 512 * KIB };
    void *p =
        /* cppcheck-suppress invalidFunctionArg ; an anonymous mapping has no file */
        mmap(NULL, MUCH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool may_lock = p != MAP_FAILED && mlock2(p, MUCH, 0) == 0;
    if (p != MAP_FAILED) munmap(p, MUCH);
    if (!may_lock) skip();
}

static void test_locks(void **state)
{
    (void)state;
    need_locks();
    assert_int_equal(in_child(lock_much, NULL), 0);
    assert_int_equal(in_child(lock_little, NULL), 0);
}

static void test_no_locks(void **state)
{
    (void)state;
    assert_int_equal(in_child(lock_nothing, NULL), 0);
}

static void test_a_pool_that_does_not_lock(void **state)
{
    (void)state;
    ml_pool p = {0};
    void *block = ml_pool_alloc(&p, 300);
    assert_false(is_locked(block));
    assert_int_equal(p.locked_bytes, 0);
    ml_pool_free(&p, block, 300);
    ml_pool_fini(&p);
}

/* ---- the pool of secrets --------------------------------------------------------- */

typedef struct held {
    unsigned char *block;
    size_t size;
    unsigned char mark;
} held;

static void *churn(void *arg)
{
    enum { HELD = 64, ROUNDS = 20000 };
    unsigned seed = (unsigned)(uintptr_t)arg;
    held mine[HELD] = {0};
    for (int round = 0; round < ROUNDS; round++) {
        held *h = &mine[(uint32_t)rand_r(&seed) % HELD];
        if (h->block) {
            if (h->block[0] != h->mark || h->block[h->size - 1] != h->mark) return NULL;
            ml_locked_free(h->block, h->size);
            h->block = NULL;
            continue;
        }
        *h = (held){.size = (uint32_t)rand_r(&seed) % 900 + 1,
                    .mark = (unsigned char)(uint32_t)rand_r(&seed)};
        h->block = ml_locked_alloc(h->size);
        if (!h->block) return NULL;
        memset(h->block, h->mark, h->size);
    }
    for (int i = 0; i < HELD; i++) ml_locked_free(mine[i].block, mine[i].size);
    return arg;
}

static void count_forked(const void *arg)
{
    ml_locked_bytes now = ml_locked_count();
    DEMAND(now.locked == 0 && now.unlocked > 0);
    DEMAND(strcmp(arg, "held by the parent") == 0);
    char *own = ml_locked_alloc(5000); /* a page that was not there yet */
    DEMAND(own && is_locked(own) && !is_locked(arg) && has_flag(arg, "dd"));
    DEMAND(ml_locked_count().locked > 0);
    ml_locked_free(own, 5000);
    ml_locked_free((void *)(uintptr_t)arg, strlen(arg) + 1);
    DEMAND(ml_locked_count().locked == 0);
}

/* Many threads use it while others fork: no child finds it taken. */
static void test_threads_and_forks(void **state)
{
    (void)state;
    enum { THREADS = 4, FORKS = 40 };
    pthread_t threads[THREADS];
    need_locks();
    char *kept = ml_locked_dup("held by the parent");
    assert_non_null(kept);
    assert_true(ml_locked_count().locked > 0);
    assert_int_equal(ml_locked_count().unlocked, 0);
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn, (void *)(i + 7)), 0);
    for (int i = 0; i < FORKS; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(20); /* it would hang */
            void *p = ml_locked_alloc(33);
            ml_locked_free(p, 33);
            end_child(p ? 0 : 1);
        }
        int status = -1;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    for (uintptr_t i = 0; i < THREADS; i++) {
        void *result = NULL;
        pthread_join(threads[i], &result);
        assert_ptr_equal(result, (void *)(i + 7));
    }
    assert_int_equal(in_child(count_forked, kept), 0);
    ml_locked_free(kept, strlen(kept) + 1);
    ml_locked_bytes now = ml_locked_count();
    assert_int_equal(now.locked + now.unlocked, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guards_fault),
        cmocka_unit_test(test_is_not_dumped),
        cmocka_unit_test(test_a_guard_is_below_the_head),
        cmocka_unit_test(test_a_block_freed_wrongly_ends_the_process),
        cmocka_unit_test(test_locks),
        cmocka_unit_test(test_no_locks),
        cmocka_unit_test(test_a_pool_that_does_not_lock),
        cmocka_unit_test(test_threads_and_forks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
