/* sharing.c - a store that is slow or down: what callers of one key share, and what
 * each of them has for itself.
 *
 * The store is the host's own, and answers when the test says so; the clock stands
 * still until it is moved. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hand_clock.h"

static const char policy[] =
    "local ml = require 'moonlatch.policy'\n"
    "local store = ml.host_source { name = 'store' }\n"
    "return ml.policy {\n"
    "  ml.rule 'stale/*' { strip = 'stale/', from = store, ttl = 1,\n"
    "    stale_ttl = 10, on = { unavailable = 'stale' } },\n"
    "  ml.rule '{x}/*' { strip = '{x}/', from = store, ttl = 10 },\n"
    "}\n";
enum { MAX_HELD = 8 };

/* ---- the store ------------------------------------------------------------------- */

typedef struct host {
    ml_resolver *r;
    const char *value;
    bool keeps; /* what it is asked, unanswered */
    bool fails;
    ml_fetch *held[MAX_HELD];
    int n_held, gets;
} host;

static void end(const host *h, ml_fetch *f)
{
    ml_fetched got = {ML_FETCHED_INIT, .value = h->value,
                      .value_len = strlen(h->value)};
    if (h->fails) got = (ml_fetched){ML_FETCHED_INIT, .code = ML_EUNAVAILABLE};
    ml_fetch_done(f, &got);
}

static void get(ml_fetch *f, const char *key, const char *version, void *arg)
{
    host *h = arg;
    (void)key;
    (void)version;
    h->gets++;
    if (!h->keeps)
        end(h, f);
    else if (h->n_held < MAX_HELD)
        h->held[h->n_held++] = f;
    else
        abort();
}

static void end_held(host *h)
{
    while (h->n_held > 0) end(h, h->held[--h->n_held]);
}

static void open_host(host *h, ml_options o)
{
    *h = (host){.value = "old"};
    ml_err e;
    o.size = sizeof(o);
    o.policy_text = policy;
    o.clock = &hand_clock;
    if (ml_open(&h->r, &o, &e) < 0) fail_msg("%s", e.text);
    ml_source_ops ops = {ML_SOURCE_OPS_INIT, .get = get};
    assert_int_equal(ml_add_source(h->r, "store", &ops, h, &e), 0);
}

static void close_host(host *h)
{
    end_held(h);
    ml_close(h->r);
}

static const char *value_of(const host *h, const char *name)
{
    static char value[64];
    ml_secret *s = NULL;
    size_t n;
    ml_err e;
    if (ml_get(h->r, name, NULL, 0, &s, &e) < 0) {
        snprintf(value, sizeof(value), "%s: %.50s", ml_outcome(e.code), e.text);
        return value;
    }
    const void *p = ml_secret_data(s, &n);
    snprintf(value, sizeof(value), "%.*s", (int)n, (const char *)p);
    ml_secret_unref(s);
    return value;
}

/* ---- what must hold -------------------------------------------------------------- */

/* A host that only blocks turns the loop for its own calls.  A refresh ahead that it
 * left alone for longer than its time can only fail: nobody waits for that one. */
static void test_a_lost_refresh(void **state)
{
    (void)state;
    host h;
    open_host(&h, (ml_options){.deadline_ms = 900});
    assert_string_equal(value_of(&h, "a/key"), "old");
    now_ms += 8000;
    h.keeps = true;
    for (int hits = 0; hits < 20 && h.n_held == 0; hits++) {
        assert_string_equal(value_of(&h, "a/key"), "old");
        now_ms += 2;
    }
    assert_int_equal(h.n_held, 1);
    now_ms += 5000;
    h.keeps = false;
    h.value = "new";
    assert_string_equal(value_of(&h, "a/key"), "new");
    assert_int_equal(h.gets, 3);
    h.value = "too late";
    end_held(&h);
    assert_true(ml_step(h.r, 0) >= 0);
    assert_string_equal(value_of(&h, "a/key"), "new");
    close_host(&h);
}

typedef struct ending {
    int n, code;
    char value[16];
} ending;

static void note_end(ml_request *q, const ml_answer *a, const ml_err *e, void *arg)
{
    (void)q;
    ending *to = arg;
    size_t n = 0;
    to->n++;
    to->code = e->code;
    if (e->code) return;
    const char *p = ml_secret_data(ml_answer_at(a, 0), &n);
    snprintf(to->value, sizeof(to->value), "%.*s", (int)n, p);
}

static void start(const host *h, ending *end, int deadline_ms)
{
    ml_call call = {ML_CALL_INIT, .verb = ML_GET, .name = "a/key",
                    .deadline_ms = deadline_ms};
    *end = (ending){0};
    assert_non_null(ml_start(h->r, &call, note_end, end, NULL));
    for (int i = 0; i < 3; i++) assert_true(ml_step(h->r, 0) >= 0);
}

/* The deadline of who asked first is not that of the others. */
static void test_deadlines_are_each_ones_own(void **state)
{
    (void)state;
    host h;
    ending hasty, patient;
    open_host(&h, (ml_options){0});
    h.keeps = true;
    start(&h, &hasty, 100);
    start(&h, &patient, 900);
    assert_int_equal(h.gets, 1);
    now_ms += 100;
    for (int i = 0; i < 3; i++) assert_true(ml_step(h.r, 0) >= 0);
    assert_int_equal(hasty.code, ML_EUNAVAILABLE);
    assert_int_equal(patient.n, 0);
    assert_int_equal(h.gets, 2);
    now_ms += 300;
    end_held(&h);
    for (int i = 0; i < 3; i++) assert_true(ml_step(h.r, 0) >= 0);
    assert_int_equal(patient.n, 1);
    assert_string_equal(patient.value, "old");
    close_host(&h);
}

/* Who comes when that deadline is over does not wait for what is about to fail. */
static void test_no_wait_for_who_is_late(void **state)
{
    (void)state;
    host h;
    ending late;
    open_host(&h, (ml_options){.deadline_ms = 900});
    h.keeps = true;
    start(&h, &late, 100);
    now_ms += 200;
    h.keeps = false;
    h.value = "new";
    assert_string_equal(value_of(&h, "a/key"), "new");
    assert_true(ml_step(h.r, 0) >= 0);
    assert_int_equal(late.code, ML_EUNAVAILABLE);
    assert_int_equal(h.gets, 2);
    assert_string_equal(value_of(&h, "a/key"), "new");
    close_host(&h);
}

/* The store rests after a failure, but no value answers longer than stale_ttl. */
static void test_a_stale_answer_ends_in_time(void **state)
{
    (void)state;
    host h;
    open_host(&h, (ml_options){0});
    assert_string_equal(value_of(&h, "stale/key"), "old");
    h.fails = true;
    now_ms += 5000;
    assert_string_equal(value_of(&h, "stale/key"), "old");
    assert_string_equal(value_of(&h, "stale/key"), "old");
    assert_int_equal(h.gets, 2);
    now_ms += 4990; /* the rest is a second at least */
    assert_string_equal(value_of(&h, "stale/key"), "old");
    now_ms += 10;
    assert_string_equal(value_of(&h, "stale/key"), "old");
    now_ms += 1;
    assert_memory_equal(value_of(&h, "stale/key"), "unavailable", 11);
    close_host(&h);
}

/* Hits, until the store has been asked n times. */
static void hit_until(const host *h, int n)
{
    for (int hits = 0; hits < 20 && h->gets < n; hits++) {
        assert_string_equal(value_of(h, "a/key"), "old");
        now_ms += 2;
    }
    assert_int_equal(h->gets, n);
}

/* What a refresh ahead brings is not kept when something was forgotten meanwhile; the
 * next one is begun a little later. */
static void test_forgetting_while_an_answer_is_made_anew(void **state)
{
    (void)state;
    host h;
    open_host(&h, (ml_options){0});
    assert_string_equal(value_of(&h, "a/key"), "old");
    now_ms += 7500;
    h.keeps = true;
    hit_until(&h, 2);
    assert_int_equal(ml_forget(h.r, "another", NULL), 0);
    h.value = "new";
    end_held(&h);
    for (int i = 0; i < 5; i++) assert_true(ml_step(h.r, 0) >= 0);
    assert_string_equal(value_of(&h, "a/key"), "old");
    now_ms += 2000; /* within the time of the first answer */
    for (int hits = 0; hits < 5; hits++, now_ms += 2) (void)value_of(&h, "a/key");
    assert_string_equal(value_of(&h, "a/key"), "new");
    close_host(&h);
}

/* Never is never, also after a failure that left the answer as it is. */
static void test_no_refresh_ahead(void **state)
{
    (void)state;
    host h;
    ml_answer *a = NULL;
    ml_err e;
    ml_call call = {ML_CALL_INIT, .verb = ML_GET, .name = "a/key", .flags = ML_REFRESH};
    open_host(&h, (ml_options){.refresh_percent = -1});
    assert_string_equal(value_of(&h, "a/key"), "old");
    h.fails = true;
    assert_int_equal(ml_run(h.r, &call, &a, &e), ML_EUNAVAILABLE);
    h.fails = false;
    for (int i = 0; i < 99; i++, now_ms += 100)
        assert_string_equal(value_of(&h, "a/key"), "old");
    ml_numbers n = {ML_NUMBERS_INIT};
    assert_int_equal(ml_stats(h.r, &n, &e), 0);
    assert_int_equal(n.calls, 2);
    assert_int_equal(h.gets, 2);
    close_host(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_lost_refresh),
        cmocka_unit_test(test_deadlines_are_each_ones_own),
        cmocka_unit_test(test_no_wait_for_who_is_late),
        cmocka_unit_test(test_a_stale_answer_ends_in_time),
        cmocka_unit_test(test_forgetting_while_an_answer_is_made_anew),
        cmocka_unit_test(test_no_refresh_ahead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
