/* test_shared_file.c - one limiter for several handles: what is made of a file that is
 * damaged, removed, replaced or refused; the clock is the test's. */
#include "shared_fixture.h"

static const char whose[] = "https://acme.example reads";

static ml_budget_file *map_it(void)
{
    ml_err e;
    ml_budget_found found;
    ml_budget_file *f = ml_budget_file_map(dir, whose, 100, 100, &found, &e);
    assert_non_null(f);
    return f;
}

/* Any bytes in state and seats: no crash, and it works again at once. */
static void test_noise_in_the_state(void **state)
{
    (void)state;
    uint32_t seed = 7;
    ml_budget_file *f = map_it();
    for (int i = 0; i < 2000; i++) {
        unsigned char *byte = (unsigned char *)&f->which;
        size_t n = sizeof(*f) - offsetof(ml_budget_file, which);
        size_t from = i % 2 ? 0 : offsetof(ml_budget_file, seats) + 100;
        for (int k = 0; k < 50; k++) {
            seed = seed * 1664525 + 1013904223;
            byte[i % 2 ? (seed >> 8) % 600 : (seed >> 8) % (n - from)] =
                (unsigned char)seed;
        }
        ask(&a);
        tell(&b, ML_HEARD_NOTHING, 0);
        assert_true(ml_limiter_is_sane(&a.l, now_ms));
    }
    for (int i = 0; i < 4; i++) { /* the ends of the numbers */
        f->n_seats = 3;
        f->seats[2] = (ml_budget_seat){.owner = 5,
                                       .seen_ms = i & 1 ? INT64_MIN : INT64_MAX,
                                       .since_ms = i & 2 ? INT64_MIN : INT64_MAX,
                                       .waiting = INT32_MAX,
                                       .in_flight = INT32_MIN};
        ask(&a);
        f->seats[2].owner = 5;
        f->seats[2].seen_ms = now_ms;
        ask(&a);
    }
    memset(&f->limiter, 0xff, sizeof(f->limiter));
    memset(f->seats, 0, sizeof(f->seats));
    look(&a);
    assert_non_null(strstr(logged, "was damaged: it begins anew"));
    assert_true(a.l.is_probing); /* carefully */
    ml_budget_file_unmap(f);
}

/* A host's log may take its time: nobody else waits for it. */
static void log_and_try_the_lock(void *arg, ml_log_level level, const char *area,
                                 const char *text)
{
    ml_budget_file *f = arg;
    on_log(NULL, level, area, text);
    assert_int_equal(pthread_mutex_trylock(&f->lock), 0);
    pthread_mutex_unlock(&f->lock);
}

static void test_logs_without_the_lock(void **state)
{
    (void)state;
    ml_budget_file *f = map_it();
    const ml_log log = {log_and_try_the_lock, f, ML_LOG_DEBUG};
    c = (member){.shared = ml_shared_new(dir, "https://acme.example", "reads", 100,
                                         &fake_clock, &log)};
    assert_non_null(c.shared);
    memset(&f->limiter, 0xff, sizeof(f->limiter));
    look(&c);
    assert_non_null(strstr(logged, "was damaged: it begins anew"));
    logged[0] = '\0';
    look(&c);
    assert_string_equal(logged, ""); /* once */
    quit(&c);
    chmod(file_path(whose), 0666);
    c.shared =
        ml_shared_new(dir, "https://acme.example", "reads", 100, &fake_clock, &log);
    assert_non_null(c.shared);
    chmod(file_path(whose), 0600);
    now_ms += 2100;
    look(&c);
    assert_non_null(strstr(logged, "shared with other processes again"));
    quit(&c);
    ml_budget_file_unmap(f);
}

static void test_replaced_while_in_use(void **state)
{
    (void)state;
    assert_int_equal(go_many(&a, 10), 10);
    assert_int_equal(unlink(file_path(whose)), 0); /* somebody tidies up */
    look(&b);
    assert_int_equal(b.l.in_flight, 10); /* both still have the same one */
    ml_budget_file *f = map_it();        /* others would have this one */
    memset(f->head.magic, 'x', 8);
    ml_budget_file_unmap(f);
    join(&c, 100);
    assert_non_null(strstr(logged, "was damaged"));
    assert_int_equal(ask(&c), ML_LIMITER_GO);
    quit(&c);
}

/* Who has the one that is gone comes along to the new one, soon. */
static void test_removed_while_in_use(void **state)
{
    (void)state;
    assert_int_equal(go_many(&a, 10), 10);
    assert_int_equal(unlink(file_path(whose)), 0);
    join(&c, 100);
    assert_int_equal(go_many(&c, 5), 5);
    now_ms += 2000;
    logged[0] = '\0';
    look(&a);
    assert_non_null(strstr(logged, "was removed: the one that is there now is used"));
    assert_false(ml_shared_is_alone(a.shared));
    assert_int_equal(a.l.in_flight, 15);
    look(&c);
    assert_int_equal(c.l.in_flight, 15);
    assert_int_equal(unlink(file_path(whose)), 0); /* nobody makes one meanwhile */
    now_ms += 2000;
    look(&b);
    look(&a);
    look(&c);
    tell(&a, ML_HEARD_THROTTLED, 60000);
    assert_int_equal(ask(&b), ML_LIMITER_WAIT);
    assert_int_equal(ask(&c), ML_LIMITER_WAIT);
    assert_int_equal(c.l.pause_ms, a.l.pause_ms);
    logged[0] = '\0';
    now_ms += 2000;
    look(&c); /* and it stays so */
    assert_string_equal(logged, "");
    quit(&c);
}

/* What it knows of a pause it brings along; a longer one there stays. */
static void test_pause_comes_along(void **state)
{
    (void)state;
    assert_int_equal(ask(&a), ML_LIMITER_GO);
    assert_int_equal(ask(&b), ML_LIMITER_GO);
    tell(&a, ML_HEARD_THROTTLED, 60000);
    look(&b);
    int64_t pause_ms = a.l.pause_ms;
    assert_int_equal(unlink(file_path(whose)), 0);
    join(&c, 100);
    assert_int_equal(ask(&c), ML_LIMITER_GO); /* knows nothing of it */
    now_ms += 2000;
    look(&a);
    assert_int_equal(a.l.pause_ms, pause_ms);
    assert_int_equal(ask(&c), ML_LIMITER_WAIT);
    assert_int_equal(c.l.pause_ms, pause_ms);
    assert_true(c.l.is_probing);
    tell(&c, ML_HEARD_THROTTLED, 200000); /* from before: no news */
    assert_int_equal(c.l.pause_ms, pause_ms);
    now_ms += 60000;
    assert_int_equal(ask(&c), ML_LIMITER_GO);
    tell(&c, ML_HEARD_THROTTLED, 200000);
    look(&b); /* comes with the shorter one, long over */
    assert_int_equal(b.l.pause_ms, c.l.pause_ms);
    quit(&c);
}

static void damage(void)
{
    int fd = open(file_path(whose), O_WRONLY);
    assert_int_equal(pwrite(fd, "x", 1, 0), 1);
    close(fd);
}

static void test_retired(void **state)
{
    (void)state;
    assert_int_equal(go_many(&a, 10), 10);
    damage();
    look(&b); /* replaces it */
    assert_int_equal(b.l.in_flight, 0);
    look(&a);
    look(&b);
    assert_int_equal(b.l.in_flight, 10); /* and all have come along */
}

static void test_refused(void **state)
{
    (void)state;
    chmod(file_path(whose), 0666);
    join(&c, 100);
    assert_true(ml_shared_is_alone(c.shared));
    assert_non_null(strstr(logged, "others may use it; try chmod 600"));
    assert_int_equal(go_many(&c, 100), 64); /* it works, for itself */
    chmod(file_path(whose), 0600);
    now_ms += 2100;
    look(&c);
    assert_false(ml_shared_is_alone(c.shared));
    look(&a);
    assert_int_equal(a.l.in_flight, 64);
    quit(&c);
}

/* Each time that it is alone, one warning; not for each try. */
static void test_alone_again(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        damage();
        chmod(file_path(whose), 0666);
        look(&a);
        assert_true(ml_shared_is_alone(a.shared));
        assert_non_null(strstr(logged, "not shared with other processes for now"));
        assert_int_equal(logged_level, ML_LOG_WARN);
        now_ms += 2100;
        look(&a);
        assert_non_null(strstr(logged, "not shared with other processes for now"));
        assert_int_equal(logged_level, ML_LOG_DEBUG);
        chmod(file_path(whose), 0600);
        now_ms += 2100;
        look(&a);
        assert_false(ml_shared_is_alone(a.shared));
    }
}

/* More handles than seats: who has none is not counted, and all go on. */
static void test_no_seat(void **state)
{
    (void)state;
    ml_budget_file *f = map_it();
    for (int i = 0; i < ML_BUDGET_SEATS; i++) {
        f->seats[i].seen_ms = now_ms;
        f->seats[i].owner = 77 + (uint64_t)i;
    }
    f->n_seats = ML_BUDGET_SEATS;
    assert_int_equal(go_many(&a, 5), 5);
    assert_int_equal(a.l.in_flight, 5);
    look(&b);
    assert_int_equal(b.l.in_flight, 0);
    now_ms += 3100;
    look(&a); /* they have gone */
    assert_int_equal(f->n_seats, 1);
    look(&b);
    assert_int_equal(b.l.in_flight, 5);
    ml_budget_file_unmap(f);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_noise_in_the_state),
        TEST(test_logs_without_the_lock),
        TEST(test_replaced_while_in_use),
        TEST(test_removed_while_in_use),
        TEST(test_pause_comes_along),
        TEST(test_retired),
        TEST(test_refused),
        TEST(test_alone_again),
        TEST(test_no_seat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
