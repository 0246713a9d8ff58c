/* test_shared_turns.c - who of several processes goes first, and gates that share; the
 * clock is the test's. */
#include "shared_fixture.h"

#include "io/gate.h"

enum { MANY = 200 };

/* ---- who goes first ---------------------------------------------------------------
 */

/* Who has all of the width leaves those who wait their part. */
static void test_parts_of_the_width(void **state)
{
    (void)state;
    quit(&a);
    quit(&b);
    join(&a, 0);
    join(&b, 0);
    assert_int_equal(go_many(&a, 100), 64);
    give_up(&a);
    b.more = 100;
    assert_int_equal(ask(&b), ML_LIMITER_WAIT);
    for (int i = 0; i < 10; i++) {
        tell(&a, ML_HEARD_NOTHING, 0);
        assert_int_equal(ask(&a), ML_LIMITER_WAIT);
    }
    assert_int_equal(go_many(&b, 100), 10);
    for (int i = 0; i < 50; i++) { /* 32 each, in the end */
        tell(&a, ML_HEARD_NOTHING, 0);
        if (ask(&a) == ML_LIMITER_WAIT) go_many(&b, 1);
    }
    assert_int_equal(ml_shared_in_flight(a.shared), 32);
    assert_int_equal(ml_shared_in_flight(b.shared), 32);
}

/* Who has waited much longer goes first; who does not come is not waited for. */
static void test_patience(void **state)
{
    (void)state;
    assert_int_equal(go_many(&a, 64), 64);
    quit(&a);
    assert_int_equal(ask(&b), ML_LIMITER_WAIT); /* since now */
    now_ms += 200;
    look(&b);
    join(&c, 100);
    now_ms += 2850; /* the dead one's seat is free; b has not come for too long */
    assert_int_equal(ask(&c), ML_LIMITER_GO);
    tell(&c, ML_HEARD_GOOD, 0);
    look(&b); /* here it is */
    assert_int_equal(ask(&c), ML_LIMITER_WAIT);
    assert_int_equal(ask(&b), ML_LIMITER_GO);
    assert_int_equal(ask(&c), ML_LIMITER_GO);
    quit(&c);
}

/* Who may not go, for a limit of its own that the others have used up, holds up nobody;
 * when the tokens come back it has its turn. */
static void test_used_up_holds_up_nobody(void **state)
{
    (void)state;
    join(&c, 10);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(ask(&c), ML_LIMITER_GO);
        tell(&c, ML_HEARD_GOOD, 0);
    }
    c.more = 100;
    assert_int_equal(ask(&c), ML_LIMITER_WAIT); /* since now */
    now_ms += 200;
    look(&c);
    for (int i = 0; i < 64; i++) assert_int_equal(ask(&a), ML_LIMITER_GO);
    for (int i = 0; i < 64; i++) tell(&a, ML_HEARD_GOOD, 0);
    now_ms += 10500;
    look(&c);
    c.more = 0;
    assert_int_equal(ask(&a), ML_LIMITER_GO); /* sees that they are back */
    tell(&a, ML_HEARD_GOOD, 0);
    assert_int_equal(ask(&a), ML_LIMITER_WAIT);
    assert_int_equal(ask(&c), ML_LIMITER_GO);
    assert_int_equal(ask(&a), ML_LIMITER_GO);
    quit(&c);
}

/* Also without a limit of ours, and when a 429 has halved what is allowed. */
static void test_used_up_after_a_429(void **state)
{
    (void)state;
    quit(&b);
    join(&b, 0);
    join(&c, 10);
    assert_int_equal(ask(&a), ML_LIMITER_GO);
    tell(&a, ML_HEARD_THROTTLED, 1000);
    now_ms += 1000; /* 50 of 100 and 5 of 10, and a little more */
    for (int i = 0; i < 5; i++) {
        assert_int_equal(ask(&a), ML_LIMITER_GO);
        tell(&a, ML_HEARD_GOOD, 0);
    }
    assert_int_equal(ask(&c), ML_LIMITER_WAIT);
    now_ms += 200;
    look(&c);
    assert_int_equal(ask(&b), ML_LIMITER_GO);
    tell(&b, ML_HEARD_GOOD, 0);
    quit(&c);
}

/* ---- gates ------------------------------------------------------------------------
 */

typedef struct caller {
    ml_turn turn;
    int n_told;
    ml_turn_word word;
} caller;

static ml_loop *loop;
static ml_gate *gates[2];
static caller callers[MANY];

static void on_turn(ml_turn *t, ml_turn_word word)
{
    caller *one = (caller *)t;
    one->n_told++;
    one->word = word;
}

/* A host's clock that is not the system's. */
static int64_t loop_ms(void *arg)
{
    (void)arg;
    return now_ms - 999000;
}

static const ml_clock loop_clock = {loop_ms, wall_s, NULL};

static int open_gates(void **state)
{
    ml_err e;
    if (make_dir(state) != 0) return -1;
    memset(callers, 0, sizeof(callers));
    loop = ml_loop_new(&loop_clock, &fake_log, &e);
    for (int i = 0; i < 2; i++) {
        gates[i] = ml_gate_new(loop, "https://acme.example", "reads", 0);
        if (!ml_gate_share(gates[i], dir, &fake_clock)) return -1;
    }
    return 0;
}

static int close_gates(void **state)
{
    ml_loop_free(loop);
    for (int i = 0; i < 2; i++) ml_gate_free(gates[i]);
    return remove_dir(state);
}

static ml_turn_word enter(int gate, int i, int for_ms)
{
    return ml_gate_enter(gates[gate], &callers[i].turn, loop_ms(NULL) + for_ms,
                         on_turn);
}

static void move(int64_t ms)
{
    for (; ms > 0; ms -= 10) {
        now_ms += 10;
        ml_loop_turn(loop);
    }
}

static void test_a_gate_looks_again(void **state)
{
    (void)state;
    for (int i = 0; i < 64; i++) assert_int_equal(enter(0, i, 90000), ML_TURN_GO);
    assert_int_equal(enter(1, 64, 90000), ML_TURN_WAIT);
    assert_int_equal(enter(1, 65, 1000), ML_TURN_WAIT);
    move(500);
    assert_int_equal(callers[64].n_told, 0);
    ml_gate_leave(gates[0], &callers[0].turn, ML_HEARD_NOTHING, 0);
    move(60);
    assert_int_equal(callers[64].n_told, 1);
    assert_int_equal(callers[64].word, ML_TURN_GO);
    move(500);
    assert_int_equal(callers[65].word, ML_TURN_LATE);
    move(20000); /* who has something in flight shows that it lives */
    ml_gate_state state_of = ml_gate_look(gates[1]);
    assert_int_equal(state_of.in_flight, 1);
    assert_true(state_of.is_shared);
    assert_int_equal(ml_gate_limiter(gates[1])->in_flight, 64);
    for (int i = 1; i < 65; i++)
        ml_gate_leave(gates[i == 64], &callers[i].turn, ML_HEARD_GOOD, 0);
    assert_int_equal(ml_loop_next_ms(loop), -1); /* and nothing goes on */
}

/* A look tells what was seen last when the lock is taken, and waits for nobody. */
static void test_a_look_does_not_wait(void **state)
{
    (void)state;
    ml_err e;
    ml_budget_found found;
    ml_budget_file *f =
        ml_budget_file_map(dir, "https://acme.example reads", 0, 0, &found, &e);
    assert_non_null(f);
    assert_int_equal(enter(0, 0, 90000), ML_TURN_GO);
    assert_int_equal(enter(1, 1, 90000), ML_TURN_GO);
    ml_gate_leave(gates[0], &callers[0].turn, ML_HEARD_THROTTLED, 20000);
    assert_int_equal(pthread_mutex_lock(&f->lock), 0);
    logged[0] = '\0';
    ml_gate_state state_of = ml_gate_look(gates[1]);
    assert_string_equal(logged, "");
    assert_true(state_of.is_shared);
    assert_false(state_of.is_paused);
    assert_int_equal(state_of.in_flight, 1);
    pthread_mutex_unlock(&f->lock);
    assert_true(ml_gate_look(gates[1]).is_paused);
    ml_gate_drop(gates[1], &callers[1].turn);
    ml_budget_file_unmap(f);
}

/* A pause that another process began: those who cannot live through it are told. */
static void test_a_pause_by_another(void **state)
{
    (void)state;
    for (int i = 0; i < 64; i++) enter(0, i, 90000);
    enter(1, 64, 5000);
    enter(1, 65, 90000);
    ml_gate_leave(gates[0], &callers[0].turn, ML_HEARD_THROTTLED, 20000);
    move(60);
    assert_int_equal(callers[64].n_told, 1);
    assert_int_equal(callers[64].word, ML_TURN_REFUSED);
    assert_int_equal(callers[65].n_told, 0);
    assert_int_equal(enter(1, 66, 5000), ML_TURN_REFUSED);
    ml_err e = {0};
    ml_gate_explain(gates[1], &e);
    assert_int_equal(e.code, ML_ETHROTTLED);
    assert_in_range(e.retry_after_ms, 19000, 22500);
    move(22500);
    assert_int_equal(callers[65].word, ML_TURN_GO);
    for (int i = 1; i < 64; i++) ml_gate_drop(gates[0], &callers[i].turn);
    ml_gate_drop(gates[1], &callers[65].turn);
}

int main(void)
{
#define TEST(fn)  cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
#define GATES(fn) cmocka_unit_test_setup_teardown(fn, open_gates, close_gates)
    const struct CMUnitTest tests[] = {
        TEST(test_parts_of_the_width),      TEST(test_patience),
        TEST(test_used_up_holds_up_nobody), TEST(test_used_up_after_a_429),
        GATES(test_a_gate_looks_again),     GATES(test_a_look_does_not_wait),
        GATES(test_a_pause_by_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
