/* bind_error.c - ml_err as a Lua table, and back. */
#include "script/bind_error.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "script/state.h"

static const char CLASS[] = "moonlatch.error";

static int error_tostring(lua_State *L)
{
    lua_pushliteral(L, "text");
    if (lua_rawget(L, 1) != LUA_TSTRING) lua_pushliteral(L, "an error without a text");
    return 1;
}

static void push_class(lua_State *L)
{
    if (!luaL_newmetatable(L, CLASS)) return;
    lua_pushcfunction(L, error_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
}

static void set_text(lua_State *L, const char *name, const char *value)
{
    if (value[0] == '\0') return;
    lua_pushstring(L, value);
    lua_setfield(L, -2, name);
}

static void set_number(lua_State *L, const char *name, int value)
{
    if (value == 0) return;
    lua_pushinteger(L, value);
    lua_setfield(L, -2, name);
}

void ml_script_push_err(lua_State *L, const ml_err *e)
{
    luaL_checkstack(L, 4, NULL);
    lua_createtable(L, 0, 8);
    set_text(L, "code", ml_code_name(e->code));
    set_text(L, "text", e->text[0] ? e->text : ml_strerror(e->code));
    set_text(L, "source", e->source);
    set_text(L, "key", e->key);
    set_text(L, "service_code", e->service_code);
    set_text(L, "request_id", e->request_id);
    set_number(L, "http_status", e->http_status);
    set_number(L, "retry_after_ms", e->retry_after_ms);
    push_class(L);
    lua_setmetatable(L, -2);
}

int ml_script_raise(lua_State *L, const ml_err *e)
{
    ml_script_push_err(L, e);
    return lua_error(L);
}

int ml_script_raisef(lua_State *L, int code, const char *fmt, ...)
{
    ml_err e = {.code = code};
    va_list args;
    va_start(args, fmt);
    vsnprintf(e.text, sizeof(e.text), fmt, args);
    va_end(args);
    return ml_script_raise(L, &e);
}

int ml_script_nomem(lua_State *L)
{
    ml_vm_of(L)->alloc.refusal = ML_ALLOC_NO_MEMORY;
    return ml_script_raisef(L, ML_ENOMEM, ML_NO_MEMORY);
}

/* ---- back ---------------------------------------------------------------------- */

typedef struct text_field {
    const char *name;
    char *out;
    size_t size;
} text_field;

static void take_text(lua_State *L, char *out, size_t size)
{
    size_t n;
    const char *p = lua_tolstring(L, -1, &n);
    ml_copy_printable(out, size, p, n);
}

static void take_number(lua_State *L, const char *name, ml_err *e)
{
    int is_int;
    lua_Integer n = lua_tointegerx(L, -1, &is_int);
    if (!is_int || n < 0 || n > INT32_MAX) return;
    if (strcmp(name, "http_status") == 0) e->http_status = (int)n;
    if (strcmp(name, "retry_after_ms") == 0) e->retry_after_ms = (int)n;
}

/* Key at -2, value at -1; both are what they seem, so nothing is converted. */
static void take_field(lua_State *L, ml_err *e)
{
    if (lua_type(L, -2) != LUA_TSTRING) return;
    const char *name = lua_tostring(L, -2);
    if (lua_type(L, -1) == LUA_TNUMBER) take_number(L, name, e);
    if (lua_type(L, -1) != LUA_TSTRING) return;
    if (strcmp(name, "code") == 0) {
        int code = ml_code_of_name(lua_tostring(L, -1));
        if (code != ML_OK) e->code = code;
    }
    const text_field fields[] = {
        {"text", e->text, sizeof(e->text)},
        {"source", e->source, sizeof(e->source)},
        {"key", e->key, sizeof(e->key)},
        {"service_code", e->service_code, sizeof(e->service_code)},
        {"request_id", e->request_id, sizeof(e->request_id)},
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (strcmp(name, fields[i].name) == 0)
            take_text(L, fields[i].out, fields[i].size);
    }
}

/* lua_next instead of look-ups by name: it makes no strings, so it cannot fail. */
void ml_script_take_err(lua_State *L, int index, ml_err *e)
{
    ml_err_clear(e);
    e->code = ML_EPOLICY;
    index = lua_absindex(L, index);
    if (lua_type(L, index) == LUA_TSTRING) {
        lua_pushvalue(L, index);
        take_text(L, e->text, sizeof(e->text));
        lua_pop(L, 1);
    } else if (lua_istable(L, index)) {
        lua_pushnil(L);
        while (lua_next(L, index)) {
            take_field(L, e);
            lua_pop(L, 1);
        }
    }
    if (e->text[0] != '\0') return;
    e->code = ML_EPOLICY; /* whatever it says: it is no fault of ours */
    snprintf(e->text, sizeof(e->text), "the policy failed without saying why (a %s)",
             luaL_typename(L, index));
}
