/* main.c - the program: harden, make a Lua state, hand over to lua/commands. */
#include <lauxlib.h>
#include <lua-cjson.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "module/module.h"
#include "script/alloc.h"

enum { STACK_BYTES = 128 * 1024 };

static void preload(lua_State *L, const char *name, lua_CFunction open)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(L, open);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

static void require_field(lua_State *L, const char *module, const char *field)
{
    lua_getglobal(L, "require");
    lua_pushstring(L, module);
    lua_call(L, 1, 1);
    if (field) {
        lua_getfield(L, -1, field);
        lua_remove(L, -2);
    }
}

static void global_field(lua_State *L, const char *table, const char *field)
{
    lua_getglobal(L, table);
    lua_getfield(L, -1, field);
    lua_remove(L, -2);
}

/* What the commands may use; tests give them another. */
static void push_app(lua_State *L)
{
    lua_newtable(L);
    global_field(L, "io", "stderr");
    lua_setfield(L, -2, "err");
    global_field(L, "os", "getenv");
    lua_setfield(L, -2, "getenv");
    require_field(L, "moonlatch.system", NULL);
    lua_setfield(L, -2, "system");
    require_field(L, "moonlatch", NULL);
    lua_setfield(L, -2, "moonlatch");
}

static void push_words(lua_State *L, int argc, char **argv)
{
    lua_createtable(L, argc, 0);
    for (int i = 1; i < argc; i++) {
        lua_pushstring(L, argv[i]);
        lua_rawseti(L, -2, i);
    }
}

static int run(lua_State *L)
{
    int argc = (int)lua_tointeger(L, 1);
    char **argv = lua_touserdata(L, 2);
    luaL_openlibs(L);
    preload(L, "moonlatch", luaopen_moonlatch);
    preload(L, "moonlatch.system", ml_cli_open_system);
    preload(L, "cjson", luaopen_cjson);
    ml_cli_close_searchers(L);
    require_field(L, "moonlatch.commands.shared.main", "main");
    push_words(L, argc, argv);
    push_app(L);
    lua_call(L, 2, 1);
    return 1;
}

/* The commands report their own errors; this is for what they could not. */
static int finish(lua_State *L, int status)
{
    if (status == LUA_OK) return (int)lua_tointeger(L, -1);
    const char *text = lua_tostring(L, -1);
    fprintf(stderr, "moonlatch: internal error: %s\n", text ? text : "no text");
    return EXIT_FAILURE;
}

/* Lua and libcurl put short-lived buffers on the stack, and leave there what was in
 * them: below us, as deep as calls went. */
__attribute__((noinline)) static void scrub_stack(void)
{
    char below[STACK_BYTES];
    ml_scrub(below, sizeof(below));
}

/* The Lua state is scrubbed and the connections are closed: what exit would still take
 * apart, mostly tables of OpenSSL, goes faster with the process.  LeakSanitizer looks
 * for leaks in exit.  Through a pointer, because the first call of a function through
 * the linker's table saves the vector registers on the stack, and the last copy of
 * bytes may still be in them. */
static _Noreturn void leave(int code)
{
#ifdef __SANITIZE_ADDRESS__
    void (*const volatile end)(int) = exit;
#else
    void (*const volatile end)(int) = _exit;
#endif
    fflush(NULL);
    scrub_stack();
    end(code);
    abort(); /* never reached; end is not known to be the end */
}

int main(int argc, char **argv)
{
    if (ml_cli_harden() != 0) {
        fputs("moonlatch: warning: this system does not let the process protect its "
              "memory from core dumps\n",
              stderr);
    }
    ml_alloc alloc = {.max_bytes = (size_t)256 * 1024 * 1024};
    lua_State *L = lua_newstate(ml_alloc_lua, &alloc);
    if (!L) {
        fputs("moonlatch: out of memory\n", stderr);
        return EXIT_FAILURE;
    }
    lua_pushcfunction(L, run);
    lua_pushinteger(L, argc);
    lua_pushlightuserdata(L, argv);
    int code = finish(L, lua_pcall(L, 2, 1, 0));
    lua_close(L);
    leave(code);
}
