/* counting.c - an allocator for tests: it counts, checks, and fails when told to. */
#include "counting.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "moonlatch.h"

/* In front of each block; its end is the memory checkers' part. */
typedef union head {
    struct {
        uint64_t mark;
        size_t n;
    } is;
    max_align_t align;
} head;

#define MARK 0x6d6f6f6e6c617463u

counting counted;
static atomic_long to_fail; /* counts down; the allocation that finds 1 fails */
static atomic_bool goes_on, has_failed;

static bool is_failing(void)
{
    if (atomic_load(&has_failed) && atomic_load(&goes_on)) return true;
    if (atomic_load(&to_fail) <= 0 || atomic_fetch_sub(&to_fail, 1) != 1) return false;
    atomic_store(&has_failed, true);
    return true;
}

static void *count_alloc(void *arg, size_t n)
{
    assert_ptr_equal(arg, &counted);
    assert_true(n > 0);
    counted.calls++;
    head *h = is_failing() ? NULL : malloc(sizeof(*h) + n);
    if (!h) return NULL;
    h->is.mark = MARK;
    h->is.n = n;
    memset(h + 1, 0xa5, n); /* nobody may count on zeros */
    counted.live++;
    counted.live_bytes += (long)n;
    return h + 1;
}

static void count_release(void *arg, void *block)
{
    assert_ptr_equal(arg, &counted);
    assert_non_null(block);
    head *h = (head *)block - 1;
    assert_int_equal(h->is.mark, MARK); /* ours, and given back once */
    h->is.mark = 0;
    counted.live--;
    counted.live_bytes -= (long)h->is.n;
    if (counted.marker &&
        memmem(block, h->is.n, counted.marker, strlen(counted.marker)))
        counted.n_markers++;
    free(h);
}

void counting_use(void)
{
    ml_err e;
    ml_allocator a = {ML_ALLOCATOR_INIT, .alloc = count_alloc, .release = count_release,
                      .arg = &counted};
    if (ml_use_allocator(&a, &e) < 0) abort();
}

void counting_fail(long nth, bool and_after)
{
    has_failed = false;
    goes_on = and_after;
    to_fail = nth;
}

bool counting_stop(void)
{
    bool failed = has_failed;
    to_fail = 0;
    has_failed = false;
    return failed;
}
