/* cjson_glue.c - what the packaged lua-cjson archive is linked to instead of libc.
 *
 * The build renames four references of Debian's archive (see CMakeLists.txt): its
 * buffers live where secrets do and are scrubbed when they grow or are freed; and its
 * one use of stderr goes through a variable of ours, because the archive is not
 * position-independent there and would otherwise keep us from linking a shared library.
 */
#include "script/cjson_glue.h"

#include <stdio.h>
#include <string.h>

#include "base/locked.h"

int luaopen_cjson(lua_State *L); /* its own header names no Lua types */
void *ml_cjson_malloc(size_t n);
void *ml_cjson_realloc(void *p, size_t n);
void ml_cjson_free(void *p);
extern FILE *ml_cjson_stderr;

FILE *ml_cjson_stderr;

/* Written once before main, read only when lua-cjson runs out of memory. */
__attribute__((constructor)) static void set_stderr(void)
{
    ml_cjson_stderr = stderr;
}

void *ml_cjson_malloc(size_t n)
{
    return ml_locked_alloc(n);
}

void ml_cjson_free(void *p)
{
    if (p) ml_locked_free(p, ml_locked_room(p));
}

void *ml_cjson_realloc(void *p, size_t n)
{
    void *fresh = ml_locked_alloc(n);
    if (!fresh || !p) return fresh;
    size_t old = ml_locked_room(p);
    memcpy(fresh, p, old < n ? old : n);
    ml_cjson_free(p);
    return fresh;
}

int ml_open_cjson(lua_State *L)
{
    return luaopen_cjson(L);
}
