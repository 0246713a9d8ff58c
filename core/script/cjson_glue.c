/* cjson_glue.c - what the packaged lua-cjson archive is linked to instead of libc's
 * stderr; for its memory see locked.h.
 *
 * Its one use of stderr goes through a variable of ours (see CMakeLists.txt), because
 * the archive is not position-independent there and would otherwise keep us from
 * linking a shared library. */
#include "script/cjson_glue.h"

#include <stdio.h>

int luaopen_cjson(lua_State *L); /* its own header names no Lua types */
extern FILE *ml_cjson_stderr;

FILE *ml_cjson_stderr;

/* Written once before main, read only when lua-cjson runs out of memory. */
__attribute__((constructor)) static void set_stderr(void)
{
    ml_cjson_stderr = stderr;
}

int ml_open_cjson(lua_State *L)
{
    return luaopen_cjson(L);
}
