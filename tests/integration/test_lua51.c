/* test_lua51.c - a host with another Lua in its global symbols, as Slurm is, loads the
 * library: every call binds to Lua 5.4, none to the host's.
 *
 * This program is linked with neither; it opens both at run time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "moonlatch.h"

static void *host_lua, *library;

/* The address of a function; a union, since ISO C has no cast for it. */
#define FUNCTION(handle, name, type, out)                                              \
    union {                                                                            \
        void *object;                                                                  \
        type;                                                                          \
    } out = {dlsym(handle, name)}

typedef struct lua_State lua_State; /* NOLINT(readability-identifier-naming): Lua's */

/* The host's Lua works before and after. */
static void assert_host_lua(void)
{
    FUNCTION(host_lua, "luaL_newstate", lua_State * (*call)(void), open);
    FUNCTION(host_lua, "lua_pushnumber", void (*call)(lua_State *, double), push);
    FUNCTION(host_lua, "lua_tonumber", double (*call)(lua_State *, int), get);
    FUNCTION(host_lua, "lua_close", void (*call)(lua_State *), end);
    assert_non_null(open.object);
    lua_State *L = open.call();
    assert_non_null(L);
    push.call(L, 51);
    assert_true(get.call(L, -1) == 51);
    end.call(L);
}

static int start(void **state)
{
    (void)state;
    host_lua = dlopen("liblua5.1.so.0", RTLD_NOW | RTLD_GLOBAL);
    if (!host_lua) {
        print_message("liblua5.1.so.0 is not installed (package liblua5.1-0)\n");
        exit(77); /* ctest: skipped */
    }
    library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!library) fail_msg("%s", dlerror());
    return 0;
}

static void run_policy(const char *policy, const char *name, const char *value)
{
    FUNCTION(library, "ml_open",
             int (*call)(ml_resolver **, const ml_options *, ml_err *), open);
    FUNCTION(library, "ml_get",
             int (*call)(ml_resolver *, const char *, const ml_pair *, size_t,
                         ml_secret **, ml_err *),
             get);
    FUNCTION(library, "ml_secret_data",
             const void *(*call)(const ml_secret *, size_t *), data);
    FUNCTION(library, "ml_secret_unref", void (*call)(ml_secret *), unref);
    FUNCTION(library, "ml_close", void (*call)(ml_resolver *), end);
    const ml_pair env[] = {
        {"HELLO", "world"},
        {"AIRFLOW__SECRETS__BACKEND_KWARGS",
         "{\"vault_url\": \"https://demo.vault.azure.net\", \"sep\": \"-\"}"}};
    ml_options o = {ML_OPTIONS_INIT, .policy_text = policy, .env = env, .n_env = 2};
    ml_resolver *r = NULL;
    ml_secret *s = NULL;
    ml_err e;
    if (open.call(&r, &o, &e) < 0) fail_msg("%s", e.text);
    if (name) {
        size_t n;
        if (get.call(r, name, NULL, 0, &s, &e) < 0) fail_msg("%s", e.text);
        assert_memory_equal(data.call(s, &n), value, strlen(value));
        assert_int_equal(n, strlen(value));
        unref.call(s);
    }
    end.call(r);
}

static void test_resolves(void **state)
{
    (void)state;
    assert_host_lua();
    run_policy("local ml = require 'moonlatch.policy'\n"
               "assert(7 // 2 == 3 and _VERSION ~= 'Lua 5.1')\n"
               "local env = ml.environment {}\n"
               "return ml.policy { ml.rule 'my/*' { strip = 'my/', upper = true,\n"
               "  from = { env } } }\n",
               "my/hello", "world");
    assert_host_lua();
}

/* Reads JSON through lua-cjson, whose references to Lua carry no version. */
static void test_json(void **state)
{
    (void)state;
    run_policy(ML_POLICY_AIRFLOW, NULL, NULL);
    assert_host_lua();
}

/* The dynamic linker's own account of where each of our references to Lua went. */
static void test_bindings(void **state)
{
    (void)state;
    char dir[] = "/tmp/moonlatch-lua51-XXXXXX", prefix[64], path[80], line[1024];
    assert_non_null(mkdtemp(dir));
    snprintf(prefix, sizeof(prefix), "%s/bindings", dir);
    pid_t child = fork();
    if (child == 0) {
        setenv("LD_DEBUG", "bindings", 1);
        setenv("LD_DEBUG_OUTPUT", prefix, 1);
        execl("/proc/self/exe", "lua51", "open-only", (char *)NULL);
        _exit(127);
    }
    int status = -1, right = 0, wrong = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    snprintf(path, sizeof(path), "%s.%d", prefix, (int)child);
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f)) {
        const char *from = strstr(line, "binding file "), *to = strstr(line, " to ");
        if (!from || !to || !strstr(from, "libmoonlatch") || !strstr(to, "symbol `lua"))
            continue;
        if (strstr(from, "libmoonlatch") > to) continue;
        if (strstr(to, "liblua5.4"))
            right++;
        else
            wrong++;
    }
    fclose(f);
    remove(path);
    remove(dir);
    assert_int_equal(wrong, 0);
    assert_true(right > 50);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "open-only") == 0) return start(NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resolves),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_bindings),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
