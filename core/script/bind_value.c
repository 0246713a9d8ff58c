/* bind_value.c - what a rule asks of a secret's bytes: checks, and changed copies. */
#include "script/bind_value.h"

#include <lauxlib.h>
#include <string.h>

#include "io/json_pointer.h"
#include "script/bind_error.h"
#include "script/bind_secret.h"
#include "script/decode.h"
#include "script/task.h"

enum { MAX_TRANSFORM_BYTES = 1024 * 1024 };

static int refuse(lua_State *L, const char *why)
{
    lua_pushnil(L);
    lua_pushstring(L, why);
    return 2;
}

/* One change of a value: reads in, writes out.  NULL, or what is wrong (static text).
 */
typedef const char *change_fn(ml_str in, ml_buf *out, const void *arg);

/* A copy of the secret at index 1, changed.  Nothing raises while the buffer is alive.
 */
static int push_changed(lua_State *L, change_fn *change, const void *arg)
{
    const ml_secret *s = ml_script_check_secret(L, 1);
    ml_str value = ml_secret_value(s);
    ml_budget_spend(&ml_vm_of(L)->budget, L, 1 + (int64_t)value.n / 16);
    ml_secret_handle *h = ml_script_push_handle(L);
    ml_buf out;
    ml_buf_init(&out, value.n + 1); /* no change makes it longer */
    const char *why = change(value, &out, arg);
    bool has_memory = ml_buf_ok(&out);
    ml_secret *made =
        !why && has_memory ? ml_secret_with_value(s, ml_buf_str(&out)) : NULL;
    ml_buf_fini(&out);
    if (!has_memory || (!why && !made)) return ml_script_nomem(L);
    if (why) return refuse(L, why);
    ml_script_open_handle(h, made, ml_task_secrets(L));
    return 1;
}

static const char *take_field(ml_str in, ml_buf *out, const void *arg)
{
    ml_json_place place;
    switch (ml_json_point(in, *(const ml_str *)arg, &place)) {
    case ML_JSON_POINTED: break;
    case ML_JSON_MALFORMED: return "the secret is not JSON";
    case ML_JSON_BAD_POINTER: return "it is not a JSON pointer";
    case ML_JSON_NO_MEMORY: out->failed = true; return NULL;
    default: return "there is no such field in the secret";
    }
    if (place.kind == ML_JSON_NULL) return "the field is null";
    if (place.kind != ML_JSON_STRING) {
        ml_buf_add_str(out, place.raw);
    } else if (!ml_json_unescape(place.raw, out) && ml_buf_ok(out)) {
        return "the field has an escape that stands for no character";
    }
    return NULL;
}

int ml_script_field(lua_State *L)
{
    ml_str pointer;
    pointer.p = luaL_checklstring(L, 2, &pointer.n);
    return push_changed(L, take_field, &pointer);
}

static const char *decode(ml_str in, ml_buf *out, const void *arg)
{
    if (ml_decode(*(const ml_encoding *)arg, in, out) || !ml_buf_ok(out)) return NULL;
    switch (*(const ml_encoding *)arg) {
    case ML_BASE64: return "the secret is not base64";
    case ML_BASE64URL: return "the secret is not base64url";
    default: return "the secret is not hex";
    }
}

int ml_script_decode(lua_State *L)
{
    static const char *const names[] = {"base64", "base64url", "hex", NULL};
    ml_encoding encoding = (ml_encoding)luaL_checkoption(L, 2, NULL, names);
    return push_changed(L, decode, &encoding);
}

int ml_script_is_pointer(lua_State *L)
{
    ml_str pointer;
    pointer.p = luaL_checklstring(L, 1, &pointer.n);
    lua_pushboolean(L, ml_json_pointer_is_valid(pointer) && ml_utf8_valid(pointer));
    return 1;
}

/* ---- checks -------------------------------------------------------------------- */

/* The number in a field of the table at index 2, or other. */
static lua_Integer number_in(lua_State *L, const char *name, lua_Integer other)
{
    lua_getfield(L, 2, name);
    lua_Integer n = luaL_optinteger(L, -1, other);
    lua_pop(L, 1);
    return n;
}

static bool is_set(lua_State *L, const char *name)
{
    lua_getfield(L, 2, name);
    bool set = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return set;
}

/* Does the value look like one of the list `like`?  True without a list. */
static bool looks_right(lua_State *L, ml_str value)
{
    lua_getfield(L, 2, "like");
    bool right = lua_isnil(L, -1);
    for (lua_Integer i = 1; !right && lua_geti(L, -1, i) == LUA_TSTRING; i++) {
        ml_str pattern;
        pattern.p = lua_tolstring(L, -1, &pattern.n);
        ml_budget_spend(&ml_vm_of(L)->budget, L,
                        (int64_t)(pattern.n + 1) * (int64_t)value.n / 64);
        right = ml_is_like(value, pattern);
        lua_pop(L, 1);
    }
    return right;
}

static bool is_json(ml_str value)
{
    ml_json_place whole;
    return ml_json_point(value, ML_LIT(""), &whole) == ML_JSON_POINTED;
}

static const char *value_problem(lua_State *L, ml_str value)
{
    lua_Integer n = (lua_Integer)value.n;
    if (n < number_in(L, "min_bytes", 0)) return "the secret is shorter than min_bytes";
    if (n > number_in(L, "max_bytes", n)) return "the secret is longer than max_bytes";
    if (is_set(L, "utf8") && !ml_utf8_valid(value)) return "the secret is not UTF-8";
    if (is_set(L, "json") && !is_json(value)) return "the secret is not JSON";
    if (!looks_right(L, value)) return "the secret does not look as 'like' says";
    return NULL;
}

int ml_script_value_problem(lua_State *L)
{
    ml_str value = ml_secret_value(ml_script_check_secret(L, 1));
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    lua_pushstring(L, value_problem(L, value));
    return 1;
}

/* ---- where Lua sees the bytes ---------------------------------------------------- */

int ml_script_transform(lua_State *L)
{
    const ml_secret *s = ml_script_check_secret(L, 1);
    ml_str value = ml_secret_value(s), changed;
    if (value.n > MAX_TRANSFORM_BYTES)
        return refuse(L, "the secret is longer than 1 MiB, the most a transform gets");
    lua_settop(L, 2);
    ml_secret_handle *h = ml_script_push_handle(L);
    lua_pushvalue(L, 2);
    lua_pushlstring(L, value.p, value.n);
    lua_call(L, 1, 1);
    if (lua_type(L, -1) != LUA_TSTRING) return refuse(L, "transform gave no text");
    changed.p = lua_tolstring(L, -1, &changed.n);
    if (changed.n > MAX_TRANSFORM_BYTES)
        return refuse(L, "transform gave more than 1 MiB");
    ml_secret *made = ml_secret_with_value(s, changed);
    if (!made) return ml_script_nomem(L);
    ml_script_open_handle(h, made, ml_task_secrets(L));
    lua_settop(L, 3);
    return 1;
}
