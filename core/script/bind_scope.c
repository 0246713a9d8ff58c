/* bind_scope.c - what a source that is written in Lua gets to know, and may do. */
#include "script/bind_scope.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "script/bytes.h"
#include "script/options.h"
#include "script/task.h"

enum { MAX_TAGS = 64, MAX_FORMAT = 64 };

int ml_script_rights(lua_State *L)
{
    unsigned *rights = ml_task_rights(L);
    lua_Integer wanted = luaL_checkinteger(L, 1);
    if (!rights) return luaL_error(L, "no call is running");
    lua_pushinteger(L, *rights);
    *rights = (unsigned)wanted & (ML_MAY_FETCH | ML_MAY_EXEC);
    return 1;
}

int ml_script_left_ms(lua_State *L)
{
    int64_t left_ms =
        ml_task_deadline_ms(ml_task_self(L)) - ml_mono_ms(ml_vm_of(L)->host->clock);
    lua_pushinteger(L, left_ms > 0 ? left_ms : 0);
    return 1;
}

int ml_script_now(lua_State *L)
{
    const unsigned *rights = ml_task_rights(L);
    if (!rights || !(*rights & ML_MAY_FETCH))
        return luaL_error(L, "ml.now works inside the functions of ml.source only");
    lua_pushinteger(L, ml_wall_s(ml_vm_of(L)->host->clock));
    return 1;
}

/* Digits only, so that the host's locale has no say. */
static void add_part(lua_State *L, luaL_Buffer *b, char what, const struct tm *tm)
{
    char text[16];
    switch (what) {
    case 'Y': snprintf(text, sizeof(text), "%04d", tm->tm_year + 1900); break;
    case 'm': snprintf(text, sizeof(text), "%02d", tm->tm_mon + 1); break;
    case 'd': snprintf(text, sizeof(text), "%02d", tm->tm_mday); break;
    case 'H': snprintf(text, sizeof(text), "%02d", tm->tm_hour); break;
    case 'M': snprintf(text, sizeof(text), "%02d", tm->tm_min); break;
    case 'S': snprintf(text, sizeof(text), "%02d", tm->tm_sec); break;
    case '%': snprintf(text, sizeof(text), "%%"); break;
    default: luaL_argerror(L, 2, "only %Y %m %d %H %M %S and %% are known");
    }
    luaL_addstring(b, text);
}

int ml_script_utc(lua_State *L)
{
    time_t seconds = (time_t)luaL_checkinteger(L, 1);
    const char *format = luaL_checkstring(L, 2);
    struct tm tm;
    luaL_argcheck(L, strlen(format) <= MAX_FORMAT, 2, "the format is too long");
    luaL_argcheck(L, seconds >= 0 && seconds <= 253402300799, 1,
                  "seconds since 1970, before the year 10000");
    if (!gmtime_r(&seconds, &tm)) return luaL_argerror(L, 1, "not a time");
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (const char *p = format; *p; p++) {
        if (*p != '%')
            luaL_addchar(&b, *p);
        else
            add_part(L, &b, *++p, &tm);
    }
    luaL_pushresult(&b);
    return 1;
}

int ml_script_exec_allowed(lua_State *L)
{
    lua_pushboolean(L, ml_vm_of(L)->host->allow_exec);
    return 1;
}

/* The tags of the table at -1, in a userdata that stays on the stack. */
static void read_tags(lua_State *L, ml_secret_fields *f)
{
    int table = lua_gettop(L);
    ml_tag *tags = lua_newuserdatauv(L, MAX_TAGS * sizeof(*tags), 0);
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING ||
            f->n_tags == MAX_TAGS) {
            luaL_error(L, "tags are at most %d strings, by name", MAX_TAGS);
        }
        ml_tag *tag = &tags[f->n_tags++];
        tag->name.p = lua_tolstring(L, -2, &tag->name.n);
        tag->value.p = lua_tolstring(L, -1, &tag->value.n);
    }
    f->tags = tags;
}

int ml_script_describe(lua_State *L)
{
    ml_secret_fields f = {.attributes.enabled = true};
    luaL_checktype(L, 2, LUA_TTABLE);
    if (!lua_isnil(L, 1)) {
        f.value = ml_script_check_bytes(L, 1).str;
        f.has_value = true;
    }
    f.source = ml_script_opt_str(L, 2, "source");
    f.key = ml_script_opt_str(L, 2, "key");
    f.version = ml_script_opt_str(L, 2, "version");
    f.content_type = ml_script_opt_str(L, 2, "content_type");
    if (ml_script_opt_table(L, 2, "tags")) read_tags(L, &f);
    ml_script_push_fields(L, &f, ml_task_secrets(L));
    return 1;
}

int ml_script_module_text(lua_State *L)
{
    const ml_embedded *m = ml_vm_of(L)->find(luaL_checkstring(L, 1));
    if (!m) {
        lua_pushnil(L);
        return 1;
    }
    if (m->text) {
        lua_pushlstring(L, m->text, m->len);
        return 1;
    }
    FILE *f = fopen(m->path, "rbe"); /* only while lua/ is read from the source tree */
    if (!f) return luaL_error(L, "%s cannot be read", m->path);
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    size_t n;
    do {
        n = fread(luaL_prepbuffer(&b), 1, LUAL_BUFFERSIZE, f);
        luaL_addsize(&b, n);
    } while (n > 0);
    fclose(f);
    luaL_pushresult(&b);
    return 1;
}
