/* embedded.c - looking up and loading the Lua modules inside the binary. */
#include "script/embedded.h"

#include <lauxlib.h>
#include <string.h>

const ml_embedded *ml_embedded_in(const ml_embedded *table, size_t n, const char *name)
{
    size_t from = 0;
    while (from < n) {
        size_t middle = from + (n - from) / 2;
        int order = strcmp(name, table[middle].name);
        if (order == 0) return &table[middle];
        if (order < 0)
            n = middle;
        else
            from = middle + 1;
    }
    return NULL;
}

int ml_embedded_load(lua_State *L, const ml_embedded *m)
{
    if (!m->text) return luaL_loadfilex(L, m->path, "t");
    if (m->code_len > 0) return luaL_loadbufferx(L, m->code, m->code_len, m->name, "b");
    const char *chunkname = lua_pushfstring(L, "=%s", m->name);
    int status = luaL_loadbufferx(L, m->text, m->len, chunkname, "t");
    lua_remove(L, -2);
    return status;
}
