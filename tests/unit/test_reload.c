/* test_reload.c - ml_reload: the new policy is taken whole or not at all, calls end
 * with the one that they began with, and nothing of the old one stays. */
#include "policy_dir.h"

#include <arpa/inet.h>
#include <malloc.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "resolver.h"
#include "script/state.h"

#define X_IS(key)                                                                      \
    HEAD "return ml.policy { ml.rule { names = { x = '" key "' }, "                    \
         "from = ml.environment {} } }\n"

typedef struct lines {
    int n;
    char last[600];
} lines;

static void note_line(void *arg, ml_log_level level, const char *area, const char *text)
{
    lines *l = arg;
    if (level != ML_LOG_ERROR || strcmp(area, "policy") != 0) return;
    l->n++;
    snprintf(l->last, sizeof(l->last), "%s", text);
}

typedef struct seen {
    int calls, code;
    char value[32];
    ml_resolver *r;
    int reload_code;
} seen;

static void note(ml_request *q, const ml_answer *a, const ml_err *e, void *arg)
{
    (void)q;
    seen *s = arg;
    s->calls++;
    s->code = e->code;
    if (s->r) s->reload_code = ml_reload(s->r, NULL);
    size_t n = 0;
    const char *p = a ? ml_secret_data(ml_answer_at(a, 0), &n) : NULL;
    snprintf(s->value, sizeof(s->value), "%.*s", (int)n, p ? p : "");
}

static const ml_call get_x = {ML_CALL_INIT, .verb = ML_GET, .name = "x"};

/* Kept answers are of the old policy: they are forgotten. */
static void test_takes_the_new_one(void **state)
{
    (void)state;
    write_file("policy.lua", X_IS("ONE"));
    ml_resolver *r = must_open(at("policy.lua"));
    must_get(r, "x", "first");
    write_file("policy.lua", X_IS("TWO"));
    must_get(r, "x", "first");
    assert_int_equal(r->policy_generation, 0);
    assert_int_equal(ml_reload(r, NULL), 0);
    assert_int_equal(r->policy_generation, 1);
    must_get(r, "x", "second");
    ml_close(r);
}

/* Of any file: of the directory, or a team's. */
static void test_reads_all_files(void **state)
{
    (void)state;
    write_file("a.lua", HEAD "return ml.policy { ml.team 'a' { confine = 'a/**', "
                             "file = 'teams/a.lua', allow = 'environment' } }\n");
    assert_int_equal(mkdir(at("teams"), 0700), 0);
    write_file("teams/a.lua",
               HEAD "return ml.policy { ml.rule { names = { ['a/y'] = 'ONE' }, "
                    "from = ml.environment {} } }\n");
    ml_resolver *r = must_open(policy_dir);
    must_get(r, "a/y", "first");
    write_file("teams/a.lua",
               HEAD "return ml.policy { ml.rule { names = { ['a/y'] = 'TWO' }, "
                    "from = ml.environment {} } }\n");
    write_file("b.lua", X_IS("ONE"));
    assert_int_equal(ml_reload(r, NULL), 0);
    must_get(r, "a/y", "second");
    must_get(r, "x", "first");
    ml_err e;
    write_file("teams/a.lua", "x = = 1");
    assert_int_equal(ml_reload(r, &e), ML_EPOLICY);
    assert_non_null(strstr(e.text, "team \"a\""));
    must_get(r, "a/y", "second");
    ml_close(r);
}

/* Each problem is said once, and each reload answers what it is. */
static void test_a_bad_edit_keeps_the_last_good_one(void **state)
{
    (void)state;
    lines l = {0};
    ml_err e;
    write_file("policy.lua", X_IS("ONE"));
    ml_resolver *r = open_policy(at("policy.lua"), NULL, note_line, &l, &e);
    assert_non_null(r);
    for (int i = 0; i < 3; i++) {
        write_file("policy.lua", "\nx = = 1");
        assert_int_equal(ml_reload(r, &e), ML_EPOLICY);
        assert_non_null(strstr(e.text, "policy.lua:2:"));
        assert_int_equal(l.n, 1);
        assert_non_null(strstr(l.last, "policy.lua:2:"));
        must_get(r, "x", "first");
    }
    write_file("policy.lua", "while true do end");
    assert_int_equal(ml_reload(r, &e), ML_EPOLICY);
    assert_int_equal(l.n, 2);
    unlink(at("policy.lua"));
    assert_int_equal(ml_reload(r, &e), ML_EPOLICY);
    assert_int_equal(l.n, 3);
    must_get(r, "x", "first");
    assert_int_equal(r->policy_generation, 0);
    write_file("policy.lua", X_IS("TWO"));
    assert_int_equal(ml_reload(r, &e), 0);
    write_file("policy.lua", "\nx = = 1");
    assert_int_equal(ml_reload(r, &e), ML_EPOLICY); /* again, after a good one */
    assert_int_equal(l.n, 4);
    must_get(r, "x", "second");
    ml_close(r);
}

/* A text is read again, too: what it takes from the environment may be another. */
static void test_of_a_text(void **state)
{
    (void)state;
    ml_err e;
    static const char text[] = HEAD
        "return ml.policy { ml.rule { names = { x = ml.env 'MOONLATCH_TEST_NAME' }, "
        "from = ml.environment {} } }\n";
    setenv("MOONLATCH_TEST_NAME", "ONE", 1);
    ml_resolver *r = open_policy(NULL, text, NULL, NULL, &e);
    assert_non_null(r);
    must_get(r, "x", "first");
    setenv("MOONLATCH_TEST_NAME", "TWO", 1);
    assert_int_equal(ml_reload(r, &e), 0);
    must_get(r, "x", "second");
    unsetenv("MOONLATCH_TEST_NAME");
    ml_close(r);
}

static void step_until(ml_resolver *r, const seen *s)
{
    for (int i = 0; i < 1000 && s->calls == 0; i++) ml_step(r, 100);
    assert_int_equal(s->calls, 1);
}

/* One that had begun ends as it would have, and is not kept for later ones. */
static void test_calls_end_with_their_own_policy(void **state)
{
    (void)state;
    write_file("policy.lua", X_IS("ONE"));
    ml_resolver *r = must_open(at("policy.lua"));
    seen old = {0};
    assert_non_null(ml_start(r, &get_x, note, &old, NULL));
    write_file("policy.lua", X_IS("TWO"));
    assert_int_equal(ml_reload(r, NULL), 0);
    seen new = {0};
    assert_non_null(ml_start(r, &get_x, note, &new, NULL));
    step_until(r, &old);
    step_until(r, &new);
    assert_string_equal(old.value, "first");
    assert_string_equal(new.value, "second");
    must_get(r, "x", "second");
    ml_close(r);
}

/* A coroutine waits for a server that never answers, while policies come and go. */
static void test_sources_live_as_long_as_their_calls(void **state)
{
    (void)state;
    struct sockaddr_in where = {.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(where);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&where, n), 0);
    assert_int_equal(listen(fd, 5), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&where, &n), 0);
    char text[400];
    snprintf(text, sizeof(text),
             HEAD "return ml.policy { ml.rule '**' { from = ml.azure_key_vault { "
                  "vault_url = 'https://127.0.0.1:%d' } } }\n",
             ntohs(where.sin_port));
    write_file("policy.lua", text);
    ml_resolver *r = must_open(at("policy.lua"));
    seen taken_back = {0}, late = {0};
    ml_request *q = ml_start(r, &get_x, note, &taken_back, NULL);
    ml_call brief = get_x;
    brief.deadline_ms = 300;
    assert_non_null(ml_start(r, &brief, note, &late, NULL));
    for (int i = 0; i < 5; i++) ml_step(r, 10);
    write_file("policy.lua", X_IS("TWO"));
    for (int i = 0; i < 10; i++) {
        assert_int_equal(ml_reload(r, NULL), 0);
        must_get(r, "x", "second");
    }
    write_file("policy.lua", "while true do end"); /* its budget is its own */
    assert_int_equal(ml_reload(r, NULL), ML_EPOLICY);
    assert_int_equal(taken_back.calls, 0);
    ml_cancel(q);
    step_until(r, &taken_back);
    assert_int_equal(taken_back.code, ML_ECANCELED);
    step_until(r, &late);
    assert_int_equal(late.code, ML_EUNAVAILABLE);
    ml_close(r);
    close(fd);
}

static void test_where_it_is_not_allowed(void **state)
{
    (void)state;
    write_file("policy.lua", X_IS("ONE"));
    ml_resolver *r = must_open(at("policy.lua"));
    seen s = {.r = r};
    assert_non_null(ml_start(r, &get_x, note, &s, NULL));
    step_until(r, &s);
    assert_int_equal(s.reload_code, ML_EBUSY);
    pid_t child = fork();
    if (child == 0) _exit(ml_reload(r, NULL) == ML_EFORKED ? 0 : 1);
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(ml_reload(r, NULL), 0);
    ml_close(r);
}

/* Wherever memory ends, the policy before answers as ever. */
static void test_without_memory(void **state)
{
    (void)state;
    write_file("a.lua", X_IS("ONE"));
    ml_resolver *r = must_open(policy_dir);
    write_file("a.lua", X_IS("TWO"));
    ml_alloc *alloc = &r->vm->alloc;
    size_t max = alloc->max_bytes, extra = 0;
    int rc = ML_EPOLICY, n = 0;
    for (; rc != 0; n++, extra += 256) {
        lua_gc(r->vm->L, LUA_GCCOLLECT);
        alloc->max_bytes = alloc->used_bytes + extra;
        ml_err e;
        rc = ml_reload(r, &e);
        alloc->max_bytes = max;
        if (rc != 0 && rc != ML_EPOLICY) fail_msg("%d: %s", e.code, e.text);
        if (rc != 0) assert_non_null(strstr(e.text, "too much memory"));
        ml_request_note_change(r);
        must_get(r, "x", rc == 0 ? "second" : "first");
    }
    assert_true(n > 10);
    ml_close(r);
}

static void many_reloads(ml_resolver *r, int times)
{
    for (int i = 0; i < times; i++) {
        if (i % 10 == 9) {
            write_file("policy.lua", "local t = {} error('no')");
            assert_int_equal(ml_reload(r, NULL), ML_EPOLICY);
            write_file("policy.lua", X_IS("ONE"));
        }
        assert_int_equal(ml_reload(r, NULL), 0);
        must_get(r, "x", "first");
    }
}

/* 1,000 of them leave nothing behind, neither in Lua nor outside of it. */
static void test_the_old_one_goes(void **state)
{
    (void)state;
    write_file("policy.lua", X_IS("ONE"));
    ml_resolver *r = must_open(at("policy.lua"));
    many_reloads(r, 50);
    lua_gc(r->vm->L, LUA_GCCOLLECT);
    size_t lua_before = r->vm->alloc.used_bytes, all_before = mallinfo2().uordblks;
    many_reloads(r, 1000);
    lua_gc(r->vm->L, LUA_GCCOLLECT);
    size_t lua_after = r->vm->alloc.used_bytes, all_after = mallinfo2().uordblks;
    if (lua_after > lua_before + 2048)
        fail_msg("Lua: %zu bytes became %zu", lua_before, lua_after);
    if (all_after > all_before + 16384)
        fail_msg("malloc: %zu bytes became %zu", all_before, all_after);
    ml_close(r);
}

#define WITH_DIR(test)                                                                 \
    cmocka_unit_test_setup_teardown(test, make_policy_dir, remove_policy_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIR(test_takes_the_new_one),
        WITH_DIR(test_reads_all_files),
        WITH_DIR(test_a_bad_edit_keeps_the_last_good_one),
        WITH_DIR(test_of_a_text),
        WITH_DIR(test_calls_end_with_their_own_policy),
        WITH_DIR(test_sources_live_as_long_as_their_calls),
        WITH_DIR(test_where_it_is_not_allowed),
        WITH_DIR(test_without_memory),
        WITH_DIR(test_the_old_one_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
