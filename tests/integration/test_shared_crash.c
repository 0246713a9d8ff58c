/* test_shared_crash.c - processes that do nothing but use one shared limiter are killed
 * at any instant, also while they hold its lock: the others go on, nothing is damaged,
 * the quota holds, and what was in flight comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/shared.h"

#include "../support/budget_home.h"

enum { CHILDREN = 4, KILLS = 200, LIMIT = 2000, NS_IN_MS = 1000000 };

/* What all of them count; outlives the dead. */
typedef struct counts {
    atomic_int entered, sent, alone, damaged;
} counts;

static counts *all;
static unsigned seed;

static void on_log(void *arg, ml_log_level level, const char *area, const char *text)
{
    (void)arg;
    (void)level;
    (void)area;
    if (strstr(text, "damaged")) all->damaged++;
}

static const ml_log counting = {on_log, NULL, ML_LOG_WARN};

static int set_up(void **state)
{
    (void)state;
    const char *wanted = getenv("TEST_SEED");
    seed = wanted ? (unsigned)strtoul(wanted, NULL, 10) : (unsigned)time(NULL);
    print_message("    TEST_SEED=%u\n", seed);
    const int how = PROT_READ | PROT_WRITE, what = MAP_SHARED | MAP_ANONYMOUS;
    /* cppcheck-suppress invalidFunctionArg ; an anonymous mapping has no file */
    all = mmap(NULL, sizeof(*all), how, what, -1, 0);
    return all == MAP_FAILED ? -1 : make_home();
}

static int tear_down(void **state)
{
    (void)state;
    munmap(all, sizeof(*all));
    return remove_home();
}

static unsigned dice(void)
{
    seed = seed * 1103515245 + 12345;
    return seed >> 16;
}

static ml_shared *join(ml_limiter *l)
{
    ml_limiter_init(l, LIMIT);
    ml_shared *s =
        ml_shared_new(dir, "https://acme.example", "reads", LIMIT, NULL, &counting);
    if (!s) _exit(2);
    return s;
}

/* Asks and tells without end; some requests it keeps.  Now and then it dies inside. */
static void use_it(unsigned own_seed)
{
    ml_limiter l;
    ml_shared *s = join(&l);
    seed = own_seed;
    for (int kept = 0;;) {
        uint32_t epoch;
        int64_t until_ms;
        ml_shared_enter(s, &l);
        int64_t now_ms = ml_mono_ms(&ml_system_clock);
        bool goes = ml_limiter_ask(&l, now_ms, &epoch, &until_ms) == ML_LIMITER_GO;
        if (dice() % 2000 == 0) kill(getpid(), SIGKILL);
        ml_shared_leave(s, &l, 0, 0);
        all->entered++;
        if (ml_shared_is_alone(s)) all->alone++;
        if (goes) all->sent++;
        if (goes && kept < 10) {
            kept++;
        } else if (goes) {
            ml_shared_enter(s, &l);
            ml_limiter_tell(&l, epoch, ML_HEARD_NOTHING, 0, now_ms, 0);
            ml_shared_leave(s, &l, 0, 0);
        }
    }
}

static pid_t start(void)
{
    unsigned own_seed = dice();
    pid_t pid = fork();
    if (pid != 0) return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    use_it(own_seed);
    _exit(0);
}

static void test_killed_at_any_instant(void **state)
{
    (void)state;
    pid_t children[CHILDREN];
    int64_t began_ms = ml_mono_ms(&ml_system_clock);
    for (int i = 0; i < CHILDREN; i++) children[i] = start();
    for (int i = 0; i < KILLS; i++) {
        nanosleep(&(struct timespec){.tv_nsec = (long)(dice() % 10) * NS_IN_MS}, NULL);
        pid_t *one = &children[dice() % CHILDREN];
        kill(*one, SIGKILL);
        waitpid(*one, NULL, 0);
        *one = start();
    }
    for (int i = 0; i < CHILDREN; i++) {
        kill(children[i], SIGKILL);
        waitpid(children[i], NULL, 0);
    }
    print_message("    %d times inside, %d sent\n", all->entered, all->sent);
    assert_true(all->entered > KILLS);
    assert_int_equal(all->damaged, 0);
    /* A busy machine may keep a holder from going on; who is alone counts alone. */
    assert_true(all->alone < all->entered / 100);
    int64_t windows = 1 + (ml_mono_ms(&ml_system_clock) - began_ms) / 10000;
    assert_in_range(all->sent, 1, LIMIT * windows + all->alone);

    ml_limiter l;
    ml_shared *s = join(&l);
    ml_shared_enter(s, &l);
    assert_false(ml_shared_is_alone(s));
    /* Who died between the two counts has sent nothing. */
    if (windows == 1) assert_true(l.n_spent + all->alone >= all->sent);
    ml_shared_leave(s, &l, 0, 0);
    nanosleep(&(struct timespec){.tv_sec = 3, .tv_nsec = 200 * NS_IN_MS}, NULL);
    ml_shared_enter(s, &l);
    assert_int_equal(l.in_flight, 0);
    ml_shared_leave(s, &l, 0, 0);
    ml_shared_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_killed_at_any_instant, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
