/* test_flight.c - asking a source through what is kept: one request for all, and what
 * cancels, deadlines, changes and failures do to it.  The clock is moved by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"
#include "source/flight.h"

/* ---- a source that answers after 50 ms, as it is told ---------------------------- */

typedef struct told {
    int started, canceled, freed;
    int code; /* of the next answers */
    int retry_after_ms;
    ml_verb verb;
} told;
static told source_told;

typedef struct fake_op {
    ml_op op;
    ml_timer timer;
    char value[40];
    ml_verb verb;
    int code; /* what is true when it was asked */
    int64_t deadline_ms;
} fake_op;

static int64_t now_ms;
static int version; /* of every secret of the source */

static int64_t fake_now(void *arg)
{
    (void)arg;
    return now_ms;
}
static const ml_clock fake_clock = {fake_now, fake_now, NULL};
static ml_loop *loop;

static void on_time(ml_timer *t, void *arg)
{
    (void)t;
    fake_op *o = arg;
    int code = now_ms >= o->deadline_ms ? ML_EUNAVAILABLE : o->code;
    if (code) {
        o->op.err.retry_after_ms = source_told.retry_after_ms;
        ml_op_fail(&o->op, code, "as told");
        return;
    }
    o->op.secret = ml_secret_of_bytes(ml_str_of(o->value));
    ml_op_finish(&o->op);
}

static void fake_cancel(ml_op *op)
{
    source_told.canceled++;
    ml_timer_stop(op->loop, &((fake_op *)op)->timer);
    ml_op_fail(op, ML_ECANCELED, "canceled");
}

static void fake_destroy(ml_op *op)
{
    ml_op_fini(op);
    free(op);
}

static ml_op *fake_start(ml_source *s, const ml_source_call *c, ml_op_done *done,
                         void *arg)
{
    (void)s;
    fake_op *o = calloc(1, sizeof(*o));
    ml_op_init(&o->op, loop, fake_cancel, fake_destroy);
    o->op.done = done;
    o->op.arg = arg;
    o->verb = source_told.verb = c->verb;
    o->code = source_told.code;
    o->deadline_ms = c->deadline_ms;
    source_told.started++;
    if (c->verb != ML_GET && c->verb != ML_LIST) version++;
    snprintf(o->value, sizeof(o->value), "%.*s %d", (int)c->key.n, c->key.p, version);
    int64_t at_ms = now_ms + 50 < c->deadline_ms ? now_ms + 50 : c->deadline_ms;
    ml_trace_add(c->trace, "fake", "asked");
    ml_timer_start(loop, &o->timer, at_ms, on_time, o);
    return &o->op;
}

static int fake_check(const ml_source *s, ml_str key, ml_secret *value, ml_err *e)
{
    (void)s, (void)key, (void)value, (void)e;
    return 0;
}

static void fake_free(ml_source *s)
{
    (void)s;
    source_told.freed++;
}

static const ml_source_kind kind = {"fake", true, fake_check, fake_start, fake_free};

/* ---- a caller -----------------------------------------------------------------------
 */

typedef struct caller {
    ml_op *op;
    int done;
    int code;
    char text[400], value[40], name[40];
    const ml_secret *secret; /* to compare, not to use */
    int64_t fresh_until_ms;
} caller;

static ml_source source;
static ml_kept *kept;
static ml_keep keep;

static void on_done(ml_op *op, void *arg)
{
    caller *c = arg;
    c->op = NULL;
    c->done++;
    c->code = op->err.code;
    c->secret = op->secret;
    c->fresh_until_ms = op->fresh_until_ms;
    snprintf(c->text, sizeof(c->text), "%s", op->err.text);
    if (!op->secret) return;
    ml_str v = ml_secret_value(op->secret);
    snprintf(c->value, sizeof(c->value), "%.*s", (int)v.n, v.p);
    snprintf(c->name, sizeof(c->name), "%s", ml_secret_name(op->secret));
}

static void start(caller *c, ml_verb verb, const char *key, int time_ms,
                  ml_freshness freshness)
{
    *c = (caller){0};
    ml_source_call call = {
        .verb = verb, .key = ml_str_of(key), .deadline_ms = now_ms + time_ms};
    ml_keep_call how = {.keep = keep, .freshness = freshness, .name = ML_LIT("name")};
    c->op = ml_kept_start(kept, loop, &source, &call, &how, on_done, c);
    assert_non_null(c->op);
}

static void get(caller *c, const char *key)
{
    start(c, ML_GET, key, 30000, ML_FRESH_ENOUGH);
}

static void pass(int ms)
{
    ml_loop_turn(loop);
    while (ms > 0) {
        now_ms += 10;
        ms -= 10;
        ml_loop_turn(loop);
    }
}

static void get_value(const char *key, const char *value, int n_started)
{
    caller c;
    get(&c, key);
    pass(60);
    assert_int_equal(c.done, 1);
    assert_int_equal(c.code, 0);
    assert_string_equal(c.value, value);
    assert_int_equal(source_told.started, n_started);
}

static int set_up(void **state)
{
    (void)state;
    ml_err e;
    now_ms = 100000;
    version = 1;
    source_told = (told){0};
    keep = (ml_keep){.ttl_ms = 10000, .negative_ttl_ms = -1, .stale_ttl_ms = 60000};
    loop = ml_loop_new(&fake_clock, NULL, &e);
    kept = ml_kept_new(&(ml_kept_limits){.max_bytes = 1000000,
                                         .max_entries = 1000,
                                         .keep = keep,
                                         .refresh_percent = 75});
    source =
        (ml_source){.kind = &kind, .refs = 1, .alias = "src", .ignores_case = true};
    return !loop || !kept;
}

static int tear_down(void **state)
{
    (void)state;
    ml_loop_free(loop);
    ml_source_unref(&source);
    assert_int_equal(source_told.freed, 1);
    assert_int_equal(ml_kept_count(kept, NULL), 0); /* gone with their source */
    ml_kept_free(kept);
    return 0;
}

/* ---- what must hold
 * ------------------------------------------------------------------- */

static void test_one_request_for_all(void **state)
{
    (void)state;
    enum { N = 1000 };
    static caller all[N];
    for (int i = 0; i < N; i++) get(&all[i], i % 2 ? "key" : "KEY");
    pass(60);
    for (int i = 0; i < N; i++) {
        assert_int_equal(all[i].done, 1);
        assert_string_equal(all[i].value, "KEY 1");
        assert_string_equal(all[i].name, "name");
        assert_ptr_equal(all[i].secret, all[0].secret); /* no copies */
    }
    assert_int_equal(source_told.started, 1);
    caller again;
    get(&again, "key");
    assert_int_equal(again.done, 0); /* never from inside */
    pass(0);
    assert_ptr_equal(again.secret, all[0].secret);
    assert_int_equal(again.fresh_until_ms, now_ms - 10 + 10000);
    assert_int_equal(source_told.started, 1);
}

static void test_a_failure_for_all(void **state)
{
    (void)state;
    caller a, b;
    source_told.code = ML_EMISSING;
    get(&a, "key");
    get(&b, "key");
    pass(60);
    assert_int_equal(a.code, ML_EMISSING);
    assert_int_equal(b.code, ML_EMISSING);
    assert_int_equal(source_told.started, 1);
    get(&a, "key"); /* without a negative_ttl the next one asks */
    pass(60);
    assert_int_equal(source_told.started, 2);
    keep.negative_ttl_ms = 1000;
    get(&a, "key");
    pass(60);
    get(&b, "key");
    pass(0);
    assert_int_equal(b.code, ML_EMISSING);
    assert_int_equal(source_told.started, 3);
    assert_in_range(b.fresh_until_ms, now_ms, now_ms + 1000);
}

/* One who takes it back does not take it from the others; the last one does. */
static void test_cancel(void **state)
{
    (void)state;
    caller a, b;
    get(&a, "key");
    get(&b, "key");
    ml_op_cancel(a.op);
    pass(0);
    assert_int_equal(a.code, ML_ECANCELED);
    assert_int_equal(source_told.canceled, 0);
    pass(60);
    assert_string_equal(b.value, "key 1");
    get(&a, "other");
    get(&b, "other");
    ml_op_cancel(b.op);
    ml_op_cancel(a.op);
    assert_int_equal(source_told.canceled, 1);
    caller c;
    get(&c, "other"); /* does not join what is being canceled */
    pass(60);
    assert_string_equal(c.value, "other 1");
    assert_int_equal(a.done + b.done, 2);
    assert_int_equal(source_told.started, 3);
}

static void test_deadlines_are_each_ones_own(void **state)
{
    (void)state;
    caller patient, hasty;
    get(&patient, "key");
    start(&hasty, ML_GET, "key", 20, ML_FRESH_ENOUGH);
    pass(30);
    assert_int_equal(hasty.code, ML_EUNAVAILABLE);
    assert_non_null(strstr(hasty.text, "no answer from src in time"));
    assert_int_equal(patient.done, 0);
    pass(30);
    assert_int_equal(patient.code, 0);
    assert_int_equal(source_told.started, 1);
    /* The first one's time ends the request; the other's is asked again. */
    start(&hasty, ML_GET, "other", 20, ML_FRESH_ENOUGH);
    get(&patient, "other");
    pass(30);
    assert_int_equal(hasty.code, ML_EUNAVAILABLE);
    assert_string_equal(hasty.text, "as told"); /* the source's own words */
    assert_int_equal(patient.done, 0);
    pass(60);
    assert_string_equal(patient.value, "other 1");
    assert_int_equal(source_told.started, 3);
    /* With next to no time left, the failure is taken. */
    start(&hasty, ML_GET, "third", 20, ML_FRESH_ENOUGH);
    start(&patient, ML_GET, "third", 30, ML_FRESH_ENOUGH);
    pass(20);
    assert_int_equal(patient.code, ML_EUNAVAILABLE);
    assert_int_equal(source_told.started, 4);
}

/* A hit late in its time answers at once, and begins one request that nobody waits for.
 */
static void test_refresh_ahead(void **state)
{
    (void)state;
    get_value("key", "key 1", 1);
    pass(7600);
    version = 2;
    caller a, b;
    get(&a, "key");
    get(&b, "key");
    pass(0);
    assert_string_equal(a.value, "key 1");
    assert_int_equal(source_told.started, 2);
    pass(60);
    get_value("key", "key 2", 2);
    pass(7600);
    source_told.code = ML_EUNAVAILABLE; /* then it rests, and the value serves on */
    get_value("key", "key 2", 3);
    get_value("key", "key 2", 3);
    source_told.code = 0;
    pass(2000);
    get_value("key", "key 2", 4);
    version = 3;
    get(&a, "young");
    pass(7600);
    start(&a, ML_GET, "young", 30000, ML_FRESH_EARLY); /* waits for it */
    pass(60);
    assert_int_equal(source_told.started, 6);
}

static void test_anew(void **state)
{
    (void)state;
    get_value("key", "key 1", 1);
    version = 2;
    caller a, b;
    start(&a, ML_GET, "key", 30000, ML_FRESH_ANEW);
    pass(60);
    assert_string_equal(a.value, "key 2");
    get_value("key", "key 2", 2);
    get(&a, "other"); /* one that began before is not good enough */
    version = 3;
    start(&b, ML_GET, "other", 30000, ML_FRESH_ANEW);
    pass(60);
    assert_string_equal(a.value, "other 2");
    assert_string_equal(b.value, "other 3");
    get_value("other", "other 3", 4);
}

/* A change forgets its key, and so does its end; an answer that was asked for before it
 * is given to who waits, and not kept. */
static void test_changes(void **state)
{
    (void)state;
    static const ml_verb changes[] = {ML_PUT,     ML_UPDATE, ML_DELETE,
                                      ML_RECOVER, ML_PURGE,  ML_RESTORE};
    for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
        caller before, change, during;
        char value[40];
        get(&before, "key");
        pass(10);
        start(&change, changes[i], "KEY", 30000, ML_FRESH_ENOUGH);
        get(&during, "key");
        pass(100);
        assert_int_equal(before.done + change.done + during.done, 3);
        int n = source_told.started;
        snprintf(value, sizeof(value), "key %d", version);
        get_value("key", value, n + 1);
        get_value("key", value, n + 1);
        get_value("key 2", "key 2 2", n + 2);
        version++;
        start(&change, changes[i], "other", 30000, ML_FRESH_ENOUGH);
        pass(60);
        bool is_restore = changes[i] == ML_RESTORE; /* of any key: all are forgotten */
        get_value("key", is_restore ? "key 4" : "key 2", is_restore ? n + 4 : n + 3);
        ml_kept_forget(kept, (ml_str){0});
        version = 1;
    }
}

static void test_a_canceled_change_forgets_too(void **state)
{
    (void)state;
    caller change, during;
    start(&change, ML_PUT, "key", 30000, ML_FRESH_ENOUGH);
    get(&during, "key");
    ml_op_cancel(change.op);
    pass(60);
    assert_int_equal(change.code, ML_ECANCELED);
    assert_int_equal(source_told.canceled, 1);
    assert_string_equal(during.value, "key 2");
}

/* After an outage whoever would take the stale value is told without a request. */
static void test_rests(void **state)
{
    (void)state;
    keep.stale_unavailable = true;
    get_value("key", "key 1", 1);
    pass(11000);
    source_told.code = ML_EUNAVAILABLE;
    source_told.retry_after_ms = 3000;
    caller a;
    get(&a, "key");
    pass(60);
    assert_int_equal(a.code, ML_EUNAVAILABLE);
    assert_in_range(a.fresh_until_ms, now_ms + 2900, now_ms + 4000);
    for (int i = 0; i < 10; i++) {
        get(&a, "key");
        pass(0);
        assert_int_equal(a.code, ML_EUNAVAILABLE);
        assert_string_equal(a.text, "as told");
    }
    assert_int_equal(source_told.started, 2);
    ml_keep lenient = keep;
    keep.stale_unavailable = false;
    get(&a, "key"); /* this rule would not take it */
    pass(60);
    assert_int_equal(source_told.started, 3);
    assert_int_equal(a.fresh_until_ms, 1);
    keep = lenient;
    pass(4000);
    source_told.code = 0;
    get_value("key", "key 1", 4);
}

/* Closing with everything under way: each is told once. */
static void test_close(void **state)
{
    (void)state;
    caller a, b, c;
    get_value("late", "late 1", 1);
    pass(7600);
    get(&a, "key");
    get(&b, "key");
    get(&c, "late");
    ml_loop_cancel_all(loop);
    assert_int_equal(a.done + b.done + c.done, 3);
    assert_true(a.code == ML_ECANCELED && b.code == ML_ECANCELED);
}

/* What happened on the way is told to all who want to know, at their own time. */
static void test_traces(void **state)
{
    (void)state;
    ml_trace one, two;
    ml_trace_init(&one, &fake_clock);
    pass(20);
    ml_trace_init(&two, &fake_clock);
    caller c = {0};
    ml_keep_call how = {.keep = keep};
    ml_source_call call = {.verb = ML_GET,
                           .key = ML_LIT("key"),
                           .deadline_ms = now_ms + 1000,
                           .trace = &one};
    ml_op *first = ml_kept_start(kept, loop, &source, &call, &how, on_done, &c);
    call.trace = &two;
    assert_non_null(ml_kept_start(kept, loop, &source, &call, &how, on_done, &c));
    ml_op_cancel(first);
    pass(0);
    ml_trace_fini(&one); /* the flight goes on without it */
    pass(60);
    assert_int_equal(two.n, 2);
    assert_string_equal(two.events[0].text, "waits for a request that is under way");
    assert_string_equal(two.events[1].text, "asked");
    assert_int_equal(two.events[1].at_ms, 0);
    assert_non_null(ml_kept_start(kept, loop, &source, &call, &how, on_done, &c));
    pass(0);
    assert_string_equal(two.events[2].text, "fresh for another 10.0 s");
    ml_trace_fini(&two);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_one_request_for_all),
        TEST(test_a_failure_for_all),
        TEST(test_cancel),
        TEST(test_deadlines_are_each_ones_own),
        TEST(test_refresh_ahead),
        TEST(test_anew),
        TEST(test_changes),
        TEST(test_a_canceled_change_forgets_too),
        TEST(test_rests),
        TEST(test_close),
        TEST(test_traces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
