/* cjson_glue.c - what the packaged lua-cjson archive is linked to instead of libc.
 *
 * The build renames four references of Debian's archive (see CMakeLists.txt): its
 * buffers are scrubbed when they grow or are freed, and its one use of stderr goes
 * through a variable of ours, because the archive is not position-independent there and
 * would otherwise keep us from linking a shared library. */
#include "script/cjson_glue.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

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

/* In front of each block, so that what frees it knows how much to scrub. */
typedef union block_head {
    size_t n;
    max_align_t align;
} block_head;

void *ml_cjson_malloc(size_t n)
{
    if (n > SIZE_MAX - sizeof(block_head)) return NULL;
    block_head *head = ml_malloc(sizeof(*head) + n);
    if (!head) return NULL;
    head->n = n;
    return head + 1;
}

void ml_cjson_free(void *p)
{
    if (!p) return;
    block_head *head = (block_head *)p - 1;
    ml_scrub_free(head, sizeof(*head) + head->n);
}

void *ml_cjson_realloc(void *p, size_t n)
{
    void *fresh = ml_cjson_malloc(n);
    if (!fresh || !p) return fresh;
    size_t old = ((block_head *)p - 1)->n;
    memcpy(fresh, p, old < n ? old : n);
    ml_cjson_free(p);
    return fresh;
}

int ml_open_cjson(lua_State *L)
{
    return luaopen_cjson(L);
}
