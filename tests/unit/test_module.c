/* test_module.c - the Lua module over a library that is acted by this file. */
#include <lauxlib.h>
#include <lualib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/secret.h"
#include "module/module.h"

/* ---- the acted library ------------------------------------------------------------
 */

struct ml_resolver {
    ml_log_fn *log;
    void *log_arg;
    int n_reloads;
};

struct ml_answer {
    ml_secret *secret;
};

static int answers_alive, resolvers_alive;

static bool has_pair(const ml_pair *pairs, size_t n, const char *name,
                     const char *value)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(pairs[i].name, name) == 0) return strcmp(pairs[i].value, value) == 0;
    }
    return false;
}

static int end_started(bool is_canceled);

int ml_open(ml_resolver **out, const ml_options *opt, ml_err *e)
{
    if (!opt->policy_text) return ml_fail(e, ML_EPOLICY, "p.lua:1: no policy");
    if (opt->budget_dir && strcmp(opt->budget_dir, "/b") != 0) return ML_EUSAGE;
    if (opt->n_env && !has_pair(opt->env, opt->n_env, "A", "1")) return ML_EUSAGE;
    *out = calloc(1, sizeof(**out));
    (*out)->log = opt->log;
    (*out)->log_arg = opt->log_arg;
    resolvers_alive++;
    return 0;
}

void ml_close(ml_resolver *r)
{
    if (!r) return;
    end_started(true);
    if (r->log) r->log(r->log_arg, ML_LOG_INFO, "resolver", "closing");
    resolvers_alive--;
    free(r);
}

/* Answers a secret that shows what the call was. */
static ml_secret *echo(const ml_call *call)
{
    ml_tag tags[] = {{ML_LIT("verb"), ML_LIT("?")}};
    const char *digits = "0123456789abc";
    tags[0].value = (ml_str){digits + call->verb, 1};
    return ml_secret_new(&(ml_secret_fields){
        .has_value = call->verb != ML_LIST,
        .value = call->value ? (ml_str){call->value, call->value_len} : ML_LIT("a\0b"),
        .name = ml_str_of(call->name),
        .source = ML_LIT("kv"),
        .version = ml_str_of(call->version),
        .tags = tags,
        .n_tags = 1,
        .content_type = ml_str_of(call->content_type),
        .attributes = {.enabled = call->enabled >= 0, .created_s = call->expires_s}});
}

int ml_run(ml_resolver *r, const ml_call *call, ml_answer **out, ml_err *e)
{
    if (r->log) r->log(r->log_arg, ML_LOG_DEBUG, "http", "GET kv");
    if (call->name && strcmp(call->name, "gone") == 0) {
        ml_err failure = {.code = ML_EMISSING,
                          .http_status = 404,
                          .source = "kv",
                          .key = "gone",
                          .text = "not there"};
        *e = failure;
        return ML_EMISSING;
    }
    if (call->n_context && !has_pair(call->context, call->n_context, "team", "a")) {
        return ml_fail(e, ML_EUSAGE, "wrong context");
    }
    *out = calloc(1, sizeof(**out));
    (*out)->secret = echo(call);
    answers_alive++;
    return 0;
}

/* Works the first time only. */
int ml_reload(ml_resolver *r, ml_err *e)
{
    if (r->n_reloads++ == 0) return 0;
    return ml_fail(e, ML_EPOLICY, "p.lua:2: no policy");
}

size_t ml_answer_count(const ml_answer *a)
{
    return a ? 1 : 0;
}

ml_secret *ml_answer_at(const ml_answer *a, size_t i)
{
    (void)i;
    return a->secret;
}

const char *ml_answer_text(const ml_answer *a)
{
    (void)a;
    return "text";
}

void ml_answer_free(ml_answer *a)
{
    if (!a) return;
    ml_secret_unref(a->secret);
    answers_alive--;
    free(a);
}

/* A request ends in the next step, as ml_run would have, or when it is closed. */
struct ml_request {
    ml_resolver *r;
    ml_call call;
    ml_done *done;
    void *arg;
    bool is_canceled;
    int deadline_ms;
};

enum { MAX_STARTED = 8 };
static ml_request *started[MAX_STARTED];
static int n_started, n_wakes;

ml_request *ml_start(ml_resolver *r, const ml_call *call, ml_done *done, void *arg,
                     ml_err *e)
{
    if (!call->name || n_started == MAX_STARTED) {
        ml_fail(e, ML_EUSAGE, "no name");
        return NULL;
    }
    ml_request *q = calloc(1, sizeof(*q));
    *q = (ml_request){.r = r, .done = done, .arg = arg, .call = *call};
    q->call.name = strcmp(call->name, "gone") == 0 ? "gone" : "n";
    q->call.value = NULL; /* borrowed until the start has returned */
    started[n_started++] = q;
    return q;
}

static void end_request(ml_request *q, bool is_canceled)
{
    ml_answer *a = NULL;
    ml_err e = {0};
    if (is_canceled)
        ml_fail(&e, ML_ECANCELED, "canceled");
    else if (q->deadline_ms)
        ml_fail(&e, ML_EUNAVAILABLE, "late after %d", q->deadline_ms);
    else if (ml_run(q->r, &q->call, &a, &e) == 0)
        e.code = 0;
    q->done(q, a, &e, q->arg);
    ml_answer_free(a);
    free(q);
}

static int end_started(bool is_canceled)
{
    int n = n_started;
    n_started = 0;
    for (int i = 0; i < n; i++) {
        end_request(started[i], is_canceled || started[i]->is_canceled);
    }
    return n;
}

int ml_step(ml_resolver *r, int max_wait_ms)
{
    (void)r;
    return max_wait_ms == 77 ? ML_EFORKED : end_started(false);
}

void ml_cancel(ml_request *q)
{
    q->is_canceled = true;
}

void ml_request_deadline(ml_request *q, int ms)
{
    q->deadline_ms = ms;
}

int ml_fd(const ml_resolver *r)
{
    (void)r;
    return 42;
}

int ml_timeout_ms(ml_resolver *r)
{
    (void)r;
    return n_started ? 10 : -1;
}

void ml_wake(ml_resolver *r)
{
    (void)r;
    n_wakes++;
}

static char forgotten[32];

int ml_forget(ml_resolver *r, const char *pattern, ml_err *e)
{
    (void)r;
    if (pattern && !*pattern) return ml_fail(e, ML_EUSAGE, "it is empty");
    snprintf(forgotten, sizeof(forgotten), "%s", pattern ? pattern : "all");
    return 0;
}

/* ---- what must hold ---------------------------------------------------------------
 */

static void run_lua(const char *chunk)
{
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    luaL_requiref(L, "moonlatch", luaopen_moonlatch, 0);
    lua_settop(L, 0);
    if (luaL_dostring(L, chunk)) {
        print_error("%s\n", lua_tostring(L, -1));
        lua_close(L);
        fail();
    }
    lua_close(L);
    assert_int_equal(answers_alive, 0);
    assert_int_equal(resolvers_alive, 0);
}

#define OPEN                                                                           \
    "local m = require 'moonlatch'\nlocal r = assert(m.open{policy_text='p'})\n"

static void values_cross_byte_for_byte(void **state)
{
    (void)state;
    run_lua(OPEN
            "local s = assert(r:get('n'))\n"
            "assert(s:bytes() == 'a\\0b' and s:name() == 'n' and s:source() == 'kv')\n"
            "assert(tostring(s) == 'secret (hidden)' and s:tags().verb == '0')\n"
            "assert(getmetatable(s) == false and s:attributes().enabled)\n"
            "local a = assert(r:put('n', '\\0\\255'))\n"
            "assert(a.secrets[1]:bytes() == '\\0\\255' and a.text == 'text')\n"
            "assert(r:list().secrets[1]:bytes() == nil)\n");
}

static void options_reach_the_call(void **state)
{
    (void)state;
    run_lua(
        OPEN
        "local s = assert(r:get('n', {context={team='a'}, version='7', enabled=false,\n"
        "    expires_s=12, content_type='t', timeout_ms=5, refresh=true}))\n"
        "assert(s:version() == '7' and s:content_type() == 't')\n"
        "assert(s:attributes().enabled == false and s:attributes().created_s == 12)\n"
        "local _, e = r:get('n', {context={team='b'}})\n"
        "assert(e.code == 'usage' and e.outcome == 'invalid' and e.exit == 2)\n"
        "assert(r:run('purge', 'n').secrets[1]:tags().verb == 'a')\n"
        "assert(r:run('restore', 'n', 'blob').secrets[1]:bytes() == 'blob')\n");
}

static void failures_are_tables(void **state)
{
    (void)state;
    run_lua(OPEN
            "local s, e = r:get('gone')\n"
            "assert(s == nil and e.code == 'missing' and e.exit == 3)\n"
            "assert(e.http_status == 404 and e.key == 'gone' and e.request_id == nil)\n"
            "assert(tostring(e) == 'not there')\n"
            "local none, p = m.open{}\n"
            "assert(none == nil and p.exit == 7 and p.text:find('p.lua:1'))\n");
}

static void forgetting(void **state)
{
    (void)state;
    run_lua(OPEN "assert(r:forget())\n");
    assert_string_equal(forgotten, "all");
    run_lua("local m = require 'moonlatch'\n"
            "local r <close> = m.open{policy_text='p', negative_ttl_ms=1,\n"
            "    stale_ttl_ms=-1, refresh_percent=50, cache_max_bytes=1000,\n"
            "    cache_max_entries=2, vault_reads_in_10_s=-1,\n"
            "    vault_writes_in_10_s=30, budget_dir='/b'}\n"
            "assert(r:forget('a/**'))\n"
            "local none, e = r:forget('')\n"
            "assert(none == nil and e.code == 'usage')\n"
            "assert(not m.open{policy_text='p', budget_dir='/other'})\n"
            "assert(not pcall(m.open, {policy_text='p', cache_max_bytes=-1}))\n");
    assert_string_equal(forgotten, "a/**");
}

static void a_reload_answers_what_is_wrong(void **state)
{
    (void)state;
    run_lua(OPEN "assert(r:reload() == true)\n"
                 "local done, e = r:reload()\n"
                 "assert(done == nil and e.exit == 7 and e.text:find('p.lua:2'))\n"
                 "r:close() assert(not pcall(r.reload, r))\n");
}

static void misuse_throws(void **state)
{
    (void)state;
    run_lua(
        OPEN
        "local function throws(f, ...) assert(not pcall(f, ...)) end\n"
        "throws(m.open) throws(m.open, {policy_txt='p'}) throws(m.open, {env=3})\n"
        "throws(m.open, {policy_text='p', env={A=1}}) throws(m.open, {log=3})\n"
        "throws(m.open, {policy_text='p\\0'}) throws(m.open, {deadline_ms='x'})\n"
        "throws(m.open, {policy_text='p', log_level='loud'})\n"
        "throws(r.get, r, 'n', {nope=1}) throws(r.get, r, 'a\\0b') throws(r.run, r, "
        "'x')\n"
        "throws(r.put, r, 'n') throws(r.get, {}, 'n') throws(r.get, r, 'n', 3)\n"
        "throws(r.get, r, 'n', {timeout_ms=-1}) throws(r.get, r, 'n', {tags={a=1}})\n"
        "r:close() r:close() throws(r.get, r, 'n')\n"
        "assert(m.open{policy_text='p', env={A='1'}})\n");
}

static void logs_reach_lua_and_its_faults_stay_there(void **state)
{
    (void)state;
    run_lua(
        "local m, seen = require 'moonlatch', {}\n"
        "local r <close> = m.open{policy_text='p', log_level='debug',\n"
        "    log=function(level, area, text) seen[#seen + 1] = level .. area .. text\n"
        "        error 'in the log function' end}\n"
        "assert(r:get('n') and seen[1] == 'debughttpGET kv')\n"
        "assert(coroutine.wrap(function() return r:get('n') end)() and #seen == 2)\n"
        "r:close() assert(seen[3] == 'inforesolverclosing')\n"
        "local q q = m.open{policy_text='p', log=function() q:close() end}\n"
        "assert(q:get('n') and q:get('n'))\n");
}

static void started_calls_end_in_a_step(void **state)
{
    (void)state;
    n_wakes = 0;
    run_lua(
        OPEN
        "local seen = {}\n"
        "local function note(a, e) seen[#seen + 1] = a or e.code end\n"
        "assert(r:timeout_ms() == -1 and r:fd() == 42 and r:pollfd() == 42)\n"
        "assert(r:start('get', 'n', nil, note) and r:start('list', 'n', nil, note))\n"
        "assert(r:start('get', 'gone', {}, note))\n"
        "r:start('get', 'n', nil, note):cancel()\n"
        "r:start('put', 'n', 'v', nil, note):deadline(5)\n"
        "assert(#seen == 0 and r:timeout_ms() == 10 and r:events() == 'r')\n"
        "assert(r:step() == 5 and #seen == 5 and r:step() == 0)\n"
        "assert(seen[1]:bytes() == 'a\\0b' and seen[2].text == 'text')\n"
        "assert(seen[3] == 'missing' and seen[4] == 'canceled')\n"
        "assert(seen[5] == 'unavailable')\n"
        "local none, e = r:start('get', nil, nil, note)\n"
        "assert(none == nil and e.code == 'usage')\n"
        "none, e = r:step(77)\n"
        "assert(none == nil and e.code == 'forked' and #e.text > 0)\n");
    assert_int_equal(n_wakes, 4); /* whenever more were left */
}

static void unwanted_requests_leave_nothing(void **state)
{
    (void)state;
    run_lua(OPEN "r:start('get', 'n', nil, function(_, e) Code = e.code end)\n"
                 "r:close() assert(Code == 'canceled')\n"
                 "do local q = m.open{policy_text='p'}\n"
                 "q:start('list', 'n', nil, function(_, e) Code = e end) end\n"
                 "collectgarbage() assert(Code.code == 'canceled')\n"
                 "Kept = m.open{policy_text='p'}\n"
                 "Kept:start('get', 'n', nil, function() error 'at the end' end)\n");
    assert_int_equal(n_started, 0);
}

static void every_error_has_an_exit_code(void **state)
{
    (void)state;
    const int expected[] = {0, 3, 4, 4, 6, 5, 5, 1, 7, 2, 8, 1, 1, 1, 1, 1};
    for (int code = 0; code > ML_CODE_LAST; code--) {
        assert_int_equal(ml_lua_exit_code(code), expected[-code]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_cross_byte_for_byte),
        cmocka_unit_test(options_reach_the_call),
        cmocka_unit_test(failures_are_tables),
        cmocka_unit_test(forgetting),
        cmocka_unit_test(a_reload_answers_what_is_wrong),
        cmocka_unit_test(misuse_throws),
        cmocka_unit_test(logs_reach_lua_and_its_faults_stay_there),
        cmocka_unit_test(started_calls_end_in_a_step),
        cmocka_unit_test(unwanted_requests_leave_nothing),
        cmocka_unit_test(every_error_has_an_exit_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
