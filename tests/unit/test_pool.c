/* test_pool.c - blocks of the memory of secrets: against a model, scrubbed, given back,
 * and when there is no more.
 *
 * Linked with --wrap: mmap passes through here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/mman.h>

#include "base/pool.h"

enum { KIB = 1024, LARGEST = 64 * KIB };

/* The next number of a fixed sequence. */
static uint32_t next(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

/* ---- blocks --------------------------------------------------------------------- */

static void test_sizes(void **state)
{
    (void)state;
    ml_pool p = {0};
    for (size_t size = 0; size <= LARGEST + 9000; size += size < 2200 ? 1 : 509) {
        char *block = ml_pool_alloc(&p, size);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % _Alignof(max_align_t), 0);
        size_t room = ml_pool_room(block);
        assert_in_range(room, size, size * 4 / 3 + 4096);
        memset(block, 'x', room);
        ml_pool_free(&p, block, room);
    }
    assert_int_equal(p.n_blocks, 0);
    assert_int_equal(p.page_bytes, 0);
    ml_pool_fini(&p);
    assert_int_equal(p.mapped_bytes, 0);
    assert_null(ml_pool_alloc(&p, SIZE_MAX));
    assert_null(ml_pool_alloc(&p, SIZE_MAX / 2 - KIB));
    assert_int_equal(p.mapped_bytes, 0);
}

typedef struct held {
    unsigned char *block;
    size_t size;
    unsigned char mark;
} held;

static size_t some_size(uint32_t *seed)
{
    static const size_t most[] = {64, 400, 400, 3000, 20000, LARGEST, 200000};
    return next(seed) % most[next(seed) % 7] + 1;
}

/* Each block holds its own mark from end to end as long as it lives. */
static void test_against_a_model(void **state)
{
    (void)state;
    enum { HELD = 600, ROUNDS = 40000 };
    static held model[HELD];
    ml_pool p = {0};
    uint32_t seed = 4711;
    size_t n = 0;
    for (int round = 0; round < ROUNDS; round++) {
        held *h = &model[next(&seed) % HELD];
        if (h->block) {
            for (size_t i = 0; i < h->size; i += i + 97 < h->size ? 97 : 1)
                assert_int_equal(h->block[i], h->mark);
            ml_pool_free(&p, h->block, h->size);
            *h = (held){0};
            n--;
        } else {
            h->size = some_size(&seed);
            h->mark = (unsigned char)next(&seed);
            h->block = ml_pool_alloc(&p, h->size);
            assert_non_null(h->block);
            memset(h->block, h->mark, h->size);
            n++;
        }
        assert_int_equal(p.n_blocks, n);
        assert_true(p.mapped_bytes > p.page_bytes || n == 0);
    }
    for (int i = 0; i < HELD; i++) ml_pool_free(&p, model[i].block, model[i].size);
    assert_int_equal(p.n_blocks, 0);
    assert_int_equal(p.page_bytes, 0);
    ml_pool_fini(&p);
    assert_int_equal(p.mapped_bytes, 0);
}

/* Many small ones cost little more than they hold, and are given back. */
static void test_is_small_and_gives_back(void **state)
{
    (void)state;
    enum { N = 10000, SIZE = 272 };
    static void *blocks[N];
    ml_pool p = {0};
    for (int i = 0; i < N; i++) {
        blocks[i] = ml_pool_alloc(&p, SIZE);
        assert_non_null(blocks[i]);
    }
    assert_in_range(p.page_bytes, (size_t)N * SIZE, (size_t)N * SIZE * 102 / 100);
    for (int i = 0; i < N; i++) ml_pool_free(&p, blocks[i], SIZE);
    assert_int_equal(p.page_bytes, 0);
    assert_int_equal(p.mapped_bytes, 256 * KIB);
    ml_pool_fini(&p);
    assert_int_equal(p.mapped_bytes, 0);
}

/* NOLINTBEGIN(readability-identifier-naming): the linker's --wrap gives these names */
void *__real_mmap(void *at, size_t n, int rights, int kind, int fd, off_t from);
void *__wrap_mmap(void *at, size_t n, int rights, int kind, int fd, off_t from);
static bool has_no_mappings;

void *__wrap_mmap(void *at, size_t n, int rights, int kind, int fd, off_t from)
{
    return has_no_mappings ? MAP_FAILED : __real_mmap(at, n, rights, kind, fd, from);
}
/* NOLINTEND(readability-identifier-naming) */

/* What is there serves on, then comes NULL; nothing is lost. */
static void test_no_more_mappings(void **state)
{
    (void)state;
    void *blocks[64] = {NULL};
    ml_pool p = {0};
    size_t n = 0;
    do {
        blocks[n] = ml_pool_alloc(&p, 4096);
        has_no_mappings = true;
    } while (blocks[n] && ++n < 64);
    assert_in_range(n, 16, 63);
    assert_null(ml_pool_alloc(&p, 10));
    assert_null(ml_pool_alloc(&p, 1000000));
    has_no_mappings = false;
    assert_int_equal(p.n_blocks, n);
    while (n > 0) ml_pool_free(&p, blocks[--n], 4096);
    ml_pool_fini(&p);
    assert_int_equal(p.mapped_bytes, 0);
}

/* All of what is freed, whatever the block's neighbours do. */
static void test_is_scrubbed(void **state)
{
    (void)state;
    const size_t sizes[] = {1, 17, 300, 2048, 5000, LARGEST};
    ml_pool p = {.locks = true};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char *keeps_it_mapped = ml_pool_alloc(&p, sizes[i]);
        volatile char *block = ml_pool_alloc(&p, sizes[i]);
        assert_non_null(keeps_it_mapped);
        memset((char *)(uintptr_t)block, 's', sizes[i]);
        ml_pool_free(&p, (char *)(uintptr_t)block, sizes[i]);
        for (size_t k = 0; k < sizes[i]; k++) assert_int_equal(block[k], 0);
        ml_pool_free(&p, keeps_it_mapped, sizes[i]);
    }
    ml_pool_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_against_a_model),
        cmocka_unit_test(test_is_small_and_gives_back),
        cmocka_unit_test(test_no_more_mappings),
        cmocka_unit_test(test_is_scrubbed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
