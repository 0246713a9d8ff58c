/* bench_reload.c - what a reload costs: a policy file of RULES rules, read again.
 *
 *   bench_reload RULES TIMES
 *
 * Through the public function: reading, compiling, checking, swapping, and collecting
 * the policy before; without limits, so that a busy machine is slow and does not fail.
 * Reference: a bare Lua state compiles the same text. */
#include <lauxlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "bench.h"
#include "resolver.h"
#include "script/state.h"

static void policy_text(ml_buf *b, int rules)
{
    ml_buf_add_text(b, "local ml = require 'moonlatch.policy'\n"
                       "local env = ml.environment {}\n"
                       "return ml.policy {\n");
    for (int i = 0; i < rules; i++) {
        ml_buf_addf(b,
                    "  ml.rule 'team-%04d/**' { strip = 'team-%04d/', prefix = "
                    "'T%04d_', replace = { ['-'] = '_', ['/'] = '_' }, from = env },\n",
                    i, i, i);
    }
    ml_buf_add_text(b, "}\n");
    if (!ml_buf_ok(b)) bench_die("policy", "out of memory");
}

static void write_policy(char path[], const ml_buf *text)
{
    int fd = mkstemp(path);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    if (!f || fwrite(text->data, 1, text->len, f) != text->len || fclose(f) != 0)
        bench_die(path, "cannot be written");
}

static ml_resolver *open_policy(const char *path)
{
    ml_resolver *r = NULL;
    ml_err e;
    ml_options o = {ML_OPTIONS_INIT, .policy_file = path,
                    .lua_max_instructions = INT64_MAX / 2, .lua_deadline_ms = 600000};
    if (ml_open(&r, &o, &e) != 0) bench_die("open", e.text);
    return r;
}

static double time_reload(const char *path, int times)
{
    ml_resolver *r = open_policy(path);
    ml_err e;
    int64_t began = bench_now_ns();
    for (int i = 0; i < times; i++) {
        if (ml_reload(r, &e) != 0) bench_die("reload", e.text);
    }
    double ms = (double)(bench_now_ns() - began) / times / 1e6;
    ml_close(r);
    return ms;
}

static double time_reference(const ml_buf *text, int times)
{
    lua_State *L = luaL_newstate();
    if (!L) bench_die("reference", "out of memory");
    int64_t began = bench_now_ns();
    for (int i = 0; i < times; i++) {
        if (luaL_loadbuffer(L, text->data, text->len, "@bench.lua") != LUA_OK)
            bench_die("reference", lua_tostring(L, -1));
        lua_settop(L, 0);
    }
    double ms = (double)(bench_now_ns() - began) / times / 1e6;
    lua_close(L);
    return ms;
}

int main(int argc, char **argv)
{
    if (argc != 3) bench_die("usage", "bench_reload RULES TIMES");
    int rules = bench_number(argv[1]), times = bench_number(argv[2]);
    char path[] = "/tmp/moonlatch-bench-XXXXXX", name[60];
    ml_buf text;
    ml_buf_init(&text, 0);
    policy_text(&text, rules);
    write_policy(path, &text);
    snprintf(name, sizeof(name), "reload_%d_ms", rules);
    bench_sample(name, time_reload(path, times));
    snprintf(name, sizeof(name), "compile_%d_ms", rules);
    bench_sample(name, time_reference(&text, times));
    unlink(path);
    ml_buf_fini(&text);
    return 0;
}
