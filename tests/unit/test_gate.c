/* test_gate.c - those who wait for a budget: their order, their deadlines, and what
 * they are told; over a loop whose clock the test moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "io/gate.h"

enum { MANY = 200 };

static int64_t now_ms;
static char logged[300];

static int64_t mono_ms(void *arg)
{
    (void)arg;
    return now_ms;
}

static int64_t wall_s(void *arg)
{
    (void)arg;
    return 1700000000 + now_ms / 1000; /* 2023-11-14 22:13:20 */
}

static void on_log(void *arg, ml_log_level level, const char *area, const char *text)
{
    (void)arg;
    (void)level;
    (void)area;
    snprintf(logged, sizeof(logged), "%s", text);
}

static const ml_clock fake_clock = {mono_ms, wall_s, NULL};
static const ml_log fake_log = {on_log, NULL, ML_LOG_DEBUG};

typedef struct caller {
    ml_turn turn;
    int n_told;
    ml_turn_word word;
    int place; /* the n-th that was told */
} caller;

static ml_loop *loop;
static ml_gate *gate;
static caller callers[MANY];
static int n_told;

static void on_turn(ml_turn *t, ml_turn_word word)
{
    caller *c = (caller *)t;
    c->word = word;
    c->n_told++;
    c->place = ++n_told;
}

static int set_up(void **state)
{
    (void)state;
    ml_err e;
    now_ms = 1000;
    n_told = 0;
    logged[0] = '\0';
    memset(callers, 0, sizeof(callers));
    loop = ml_loop_new(&fake_clock, &fake_log, &e);
    gate = ml_gate_new(loop, "https://acme.example", "reads", 0);
    return loop && gate ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    ml_loop_free(loop);
    ml_gate_free(gate);
    return 0;
}

static ml_turn_word enter(int i, int64_t deadline_ms)
{
    callers[i].word = ML_TURN_WAIT;
    callers[i].n_told = 0;
    return ml_gate_enter(gate, &callers[i].turn, deadline_ms, on_turn);
}

static void leave(int i, ml_heard heard, int server_ms)
{
    ml_gate_leave(gate, &callers[i].turn, heard, server_ms);
}

static void move_to(int64_t ms)
{
    now_ms = ms;
    ml_loop_turn(loop);
}

static void assert_told(int i, ml_turn_word word)
{
    assert_int_equal(callers[i].n_told, 1);
    assert_int_equal(callers[i].word, word);
}

/* As many as are wide go at once, the others in the order in which they came. */
static void test_order(void **state)
{
    (void)state;
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(enter(i, 100000),
                         i < ML_LIMITER_FIRST_WIDTH ? ML_TURN_GO : ML_TURN_WAIT);
    }
    assert_int_equal(ml_gate_look(gate).waiting, MANY - ML_LIMITER_FIRST_WIDTH);
    for (int i = 0; i < MANY; i++) leave(i, ML_HEARD_GOOD, 0);
    for (int i = ML_LIMITER_FIRST_WIDTH; i < MANY; i++) {
        assert_told(i, ML_TURN_GO);
        assert_int_equal(callers[i].place, i - ML_LIMITER_FIRST_WIDTH + 1);
    }
    assert_int_equal(ml_gate_look(gate).waiting, 0);
    assert_int_equal(ml_gate_limiter(gate)->in_flight, 0);
}

/* Who was refused by the service stands before who came later. */
static void test_tries_again_in_its_old_place(void **state)
{
    (void)state;
    for (int i = 0; i < 70; i++) enter(i, 100000);
    for (int i = 63; i >= 0; i--) {
        leave(i, ML_HEARD_THROTTLED, 2000);
        assert_int_equal(enter(i, 100000), ML_TURN_WAIT);
    }
    assert_int_equal(ml_gate_look(gate).waiting, 70);
    move_to(2999);
    assert_int_equal(n_told, 0);
    move_to(3300);
    assert_int_equal(n_told, 1); /* one, to see */
    for (int i = 0; i < 70; i++) {
        assert_told(i, ML_TURN_GO);
        assert_int_equal(callers[i].place, i + 1);
        leave(i, ML_HEARD_GOOD, 0);
    }
}

static void test_deadline(void **state)
{
    (void)state;
    for (int i = 0; i < 64; i++) enter(i, 100000);
    assert_int_equal(enter(64, 5000), ML_TURN_WAIT);
    assert_int_equal(enter(65, 9000), ML_TURN_WAIT);
    move_to(4999);
    assert_int_equal(n_told, 0);
    move_to(5000);
    assert_told(64, ML_TURN_LATE);
    ml_err e = {0};
    ml_gate_explain(gate, &e);
    assert_int_equal(e.code, ML_EUNAVAILABLE);
    leave(0, ML_HEARD_GOOD, 0);
    assert_told(65, ML_TURN_GO);
    move_to(20000);
    assert_int_equal(n_told, 2);
}

/* A pause behind the deadline: those who wait, and those who come, need not wait. */
static void test_a_pause_that_is_too_long(void **state)
{
    (void)state;
    for (int i = 0; i < 64; i++) enter(i, 100000);
    enter(64, 8000);
    enter(65, 90000);
    leave(0, ML_HEARD_THROTTLED, 20000);
    assert_told(64, ML_TURN_REFUSED);
    assert_int_equal(callers[65].n_told, 0);
    assert_int_equal(enter(66, 8000), ML_TURN_REFUSED);
    assert_int_equal(enter(0, 8000), ML_TURN_REFUSED);
    ml_err e = {0};
    ml_gate_explain(gate, &e);
    assert_int_equal(e.code, ML_ETHROTTLED);
    assert_int_equal(e.http_status, 429);
    assert_in_range(e.retry_after_ms, 20000, 22500);
    assert_non_null(
        strstr(e.text, "https://acme.example asked to slow down (HTTP 429)"));
    assert_non_null(strstr(e.text, "before 2023-11-14 22:13:4"));
    assert_non_null(strstr(logged, "all reads pause for 2"));
    move_to(23500);
    assert_told(65, ML_TURN_GO);
}

static void test_dropped(void **state)
{
    (void)state;
    for (int i = 0; i < 64; i++) enter(i, 100000);
    for (int i = 64; i < 68; i++) enter(i, 100000);
    ml_gate_drop(gate, &callers[64].turn); /* the first, one between, the last */
    ml_gate_drop(gate, &callers[66].turn);
    ml_gate_drop(gate, &callers[67].turn);
    ml_gate_drop(gate, &callers[67].turn);
    assert_int_equal(ml_gate_look(gate).waiting, 1);
    ml_gate_drop(gate, &callers[0].turn); /* one that goes: its place is free */
    assert_told(65, ML_TURN_GO);
    move_to(200000);
    assert_int_equal(n_told, 1);
}

/* The queue of a pause empties and fills again before the pause ends. */
static void test_a_queue_that_emptied_fills_again(void **state)
{
    (void)state;
    enter(0, 100000);
    leave(0, ML_HEARD_THROTTLED, 20000);
    assert_int_equal(enter(1, 90000), ML_TURN_WAIT);
    ml_gate_drop(gate, &callers[1].turn);
    assert_int_equal(enter(2, 90000), ML_TURN_WAIT);
    assert_int_equal(enter(3, 90000), ML_TURN_WAIT);
    move_to(23500);
    assert_told(2, ML_TURN_GO);
    leave(2, ML_HEARD_GOOD, 0);
    assert_told(3, ML_TURN_GO);
    move_to(100000);
    assert_int_equal(n_told, 2);
}

static void test_breaks(void **state)
{
    (void)state;
    for (int i = 0; i < 9; i++) {
        assert_int_equal(enter(0, 1000000), ML_TURN_GO);
        leave(0, ML_HEARD_OUTAGE, 0);
        move_to(now_ms + 1000);
    }
    for (int i = 4; i < 8; i++) assert_int_equal(enter(i, 1000000), ML_TURN_GO);
    assert_int_equal(enter(8, 1000000), ML_TURN_WAIT);
    leave(4, ML_HEARD_OUTAGE, 0);
    assert_told(8, ML_TURN_REFUSED); /* at once, though it had time */
    assert_int_equal(enter(9, 1000000), ML_TURN_REFUSED);
    ml_err e = {0};
    ml_gate_explain(gate, &e);
    assert_int_equal(e.code, ML_EUNAVAILABLE);
    assert_non_null(strstr(e.text, "https://acme.example has given no usable answer "
                                   "since 2023-11-14 22:13:21 UTC"));
    assert_non_null(strstr(e.text, "not asked before 2023-11-14 22:13:3"));
    assert_in_range(e.retry_after_ms, 3750, 5000);
    char first[sizeof(e.text)];
    snprintf(first, sizeof(first), "%s", e.text);
    for (int i = 0; i < 4; i++) { /* one outage, one text, wherever a second ends */
        move_to(now_ms + 300);
        ml_gate_explain(gate, &e);
        assert_string_equal(e.text, first);
    }
    assert_non_null(strstr(logged, "reads are refused"));
    for (int i = 5; i < 8; i++) leave(i, ML_HEARD_GOOD, 0); /* from before: no news */
    move_to(now_ms + 3800);
    assert_int_equal(enter(10, 1000000), ML_TURN_GO);
    assert_int_equal(enter(11, 1000000), ML_TURN_REFUSED);
    leave(10, ML_HEARD_GOOD, 0);
    assert_non_null(strstr(logged, "answers again"));
    assert_int_equal(enter(12, 1000000), ML_TURN_GO);
}

static void test_quota(void **state)
{
    (void)state;
    ml_gate *writes = ml_gate_new(loop, "https://acme.example", "writes", 3);
    assert_true(ml_gate_is(writes, "https://acme.example", "writes"));
    assert_false(ml_gate_is(writes, "https://acme.example", "reads"));
    for (int i = 0; i < 5; i++)
        ml_gate_enter(writes, &callers[i].turn, i == 4 ? 5000 : 90000, on_turn);
    move_to(5000);
    assert_told(4, ML_TURN_LATE);
    ml_err e = {0};
    ml_gate_explain(writes, &e);
    assert_int_equal(e.code, ML_ETHROTTLED);
    assert_non_null(strstr(e.text, "the budget of 3 writes in 10 s"));
    assert_int_equal(callers[3].n_told, 0);
    move_to(11500);
    assert_told(3, ML_TURN_GO);
    ml_gate_free(writes);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_order),    TEST(test_tries_again_in_its_old_place),
        TEST(test_deadline), TEST(test_a_pause_that_is_too_long),
        TEST(test_dropped),  TEST(test_a_queue_that_emptied_fills_again),
        TEST(test_breaks),   TEST(test_quota),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
