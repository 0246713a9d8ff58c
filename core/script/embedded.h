/* embedded.h - Lua modules that embed_tool.c turned into C arrays at build time. */
#pragma once
#include <lua.h>
#include <stddef.h>

typedef struct ml_embedded {
    const char *name; /* "moonlatch.engine" */
    const char *text; /* NULL when it is to be read from path (ML_LUA_FROM_DISK) */
    size_t len;
    const char *path;
    const char *code; /* instead of text: byte code of the Lua of the build, or empty */
    size_t code_len;
} ml_embedded;

typedef const ml_embedded *ml_embedded_find_fn(const char *name);

/* NULL when there is no such module.  Generated, like the finder of the program's own
 * modules; both are one line over ml_embedded_in. */
const ml_embedded *ml_embedded_find(const char *name);

/* Searches a table that is sorted by name. */
const ml_embedded *ml_embedded_in(const ml_embedded *table, size_t n, const char *name);

/* As luaL_loadbuffer: pushes the module's chunk, or an error message, as when the Lua
 * that runs is another one than that of the build.  The byte code is trusted because
 * the build made it. */
int ml_embedded_load(lua_State *L, const ml_embedded *m);
