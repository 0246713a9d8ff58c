/* bytes.c - arguments that are text or a secret, and answers that are secret as soon as
 * one of their parts was. */
#include "script/bytes.h"

#include <lauxlib.h>

#include "script/bind_error.h"
#include "script/bind_secret.h"
#include "script/state.h"
#include "script/task.h"

enum { BYTES_AN_INSTRUCTION = 64, FREE_BYTES = 1024 };

static const char CLASS[] = "moonlatch.buffer";

static int buffer_close(lua_State *L)
{
    ml_buf_fini(luaL_checkudata(L, 1, CLASS));
    return 0;
}

ml_buf *ml_script_push_buf(lua_State *L, size_t max)
{
    ml_buf *b = lua_newuserdatauv(L, sizeof(*b), 0);
    ml_buf_init(b, max);
    luaL_setmetatable(L, CLASS);
    return b;
}

void ml_script_open_bytes(lua_State *L)
{
    luaL_newmetatable(L, CLASS);
    lua_pushcfunction(L, buffer_close);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
}

/* False when it is neither. */
static bool read_bytes(lua_State *L, int index, ml_bytes *b)
{
    *b = (ml_bytes){0};
    if (lua_type(L, index) == LUA_TSTRING) {
        b->str.p = lua_tolstring(L, index, &b->str.n);
        return true;
    }
    ml_secret *s = ml_script_to_secret(L, index);
    size_t n;
    if (!s || !ml_secret_data(s, &n)) return false;
    *b = (ml_bytes){ml_secret_value(s), true};
    return true;
}

ml_bytes ml_script_check_bytes(lua_State *L, int index)
{
    ml_bytes b;
    if (!read_bytes(L, index, &b)) luaL_typeerror(L, index, "string or open secret");
    return b;
}

ml_bytes ml_script_bytes_of(lua_State *L, int index, const char *what)
{
    ml_bytes b;
    if (!read_bytes(L, index, &b)) {
        luaL_error(L, "%s: a string or an open secret is needed, not a %s", what,
                   luaL_typename(L, index));
    }
    return b;
}

bool ml_script_add_bytes(lua_State *L, int index, const char *what, ml_buf *out)
{
    if (!lua_istable(L, index)) {
        ml_bytes b = ml_script_bytes_of(L, index, what);
        ml_buf_add_str(out, b.str);
        return b.is_secret;
    }
    bool is_secret = false;
    index = lua_absindex(L, index);
    luaL_checkstack(L, 3, NULL);
    for (lua_Integer i = 1; lua_rawgeti(L, index, i) != LUA_TNIL; i++) {
        ml_bytes b = ml_script_bytes_of(L, -1, what);
        ml_buf_add_str(out, b.str);
        is_secret = is_secret || b.is_secret;
        lua_pop(L, 1);
        if (!ml_buf_ok(out)) return is_secret;
    }
    lua_pop(L, 1);
    return is_secret;
}

int ml_script_push_either(lua_State *L, ml_str bytes, bool is_secret)
{
    if (is_secret)
        ml_script_push_bytes(L, bytes, ml_task_secrets(L));
    else
        lua_pushlstring(L, bytes.n ? bytes.p : "", bytes.n);
    return 1;
}

void ml_script_need_memory(lua_State *L, const ml_buf *b)
{
    if (!ml_buf_ok(b) && !b->is_full) ml_script_nomem(L);
}

int ml_script_push_bytes_of(lua_State *L, const ml_buf *b, bool is_secret)
{
    ml_script_need_memory(L, b);
    if (!ml_buf_ok(b))
        return luaL_error(L, "the result is longer than %d bytes", (int)b->max);
    return ml_script_push_either(L, ml_buf_str(b), is_secret);
}

int ml_script_push_outcome(lua_State *L, const ml_err *e)
{
    bool is_outcome = e->code <= ML_EMISSING && e->code >= ML_EINVALID;
    int code = e->code == ML_EUSAGE ? ML_EINVALID
               : is_outcome         ? e->code
                                    : ML_EUNAVAILABLE;
    luaL_checkstack(L, 5, NULL);
    lua_pushnil(L);
    lua_pushstring(L, ml_outcome(code));
    lua_pushstring(L, e->text);
    if (e->retry_after_ms > 0)
        lua_pushinteger(L, e->retry_after_ms);
    else
        lua_pushnil(L);
    return 4;
}

int ml_script_push_late(lua_State *L)
{
    static const ml_err late = {.code = ML_EUNAVAILABLE,
                                .text = "the deadline of the call has passed"};
    return ml_script_push_outcome(L, &late);
}

void ml_script_spend_bytes(lua_State *L, size_t n)
{
    if (n < FREE_BYTES) return;
    ml_budget_spend(&ml_vm_of(L)->budget, L, (int64_t)(n / BYTES_AN_INSTRUCTION));
}
