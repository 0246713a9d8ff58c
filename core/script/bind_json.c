/* bind_json.c - JSON from environment variables, some of its strings as secrets.
 *
 * Read by io/json.h straight from the variable; a string that is to be a secret goes
 * through one scrubbing buffer into its handle and never becomes a Lua string. */
#include "script/bind_json.h"

#include <lauxlib.h>
#include <string.h>

#include "io/json.h"
#include "script/bind_error.h"
#include "script/bind_secret.h"
#include "script/state.h"

static const char CLASS[] = "moonlatch.json_reader";

/* In a userdata, so that its buffer is scrubbed whatever is raised. */
typedef struct reader {
    ml_json json;
    ml_buf text;
    int secret_keys; /* stack index of {name = true}, 0: none */
} reader;

static void read_value(lua_State *L, reader *r, bool is_secret);

static int reader_close(lua_State *L)
{
    reader *r = luaL_checkudata(L, 1, CLASS);
    ml_buf_fini(&r->text);
    return 0;
}

static reader *push_reader(lua_State *L, ml_str text)
{
    reader *r = lua_newuserdatauv(L, sizeof(*r), 0);
    *r = (reader){0};
    ml_json_init(&r->json, text);
    ml_buf_init(&r->text, text.n + 1);
    luaL_setmetatable(L, CLASS);
    return r;
}

/* What cannot be read is left as nil; the scanner remembers where it failed. */
static void read_string(lua_State *L, reader *r, bool is_secret)
{
    if (!ml_json_read_string(&r->json, &r->text))
        lua_pushnil(L);
    else if (is_secret)
        ml_script_push_bytes(L, ml_buf_str(&r->text), NULL);
    else
        lua_pushlstring(L, r->text.data ? r->text.data : "", r->text.len);
    ml_buf_clear(&r->text);
}

static void read_number(lua_State *L, reader *r)
{
    ml_str raw;
    if (!ml_json_read_number(&r->json, &raw)) {
        lua_pushnil(L);
        return;
    }
    ml_buf_clear(&r->text);
    ml_buf_add_str(&r->text, raw);
    if (!ml_buf_ok(&r->text)) ml_script_nomem(L);
    if (lua_stringtonumber(L, r->text.data) == 0) lua_pushnil(L);
}

/* Is the member name in r->text one of the secret keys? */
static bool is_secret_key(lua_State *L, const reader *r)
{
    if (r->secret_keys == 0 || r->json.depth != 1) return false;
    lua_pushlstring(L, r->text.data ? r->text.data : "", r->text.len);
    bool is_listed = lua_rawget(L, r->secret_keys) != LUA_TNIL;
    lua_pop(L, 1);
    return is_listed;
}

static void read_object(lua_State *L, reader *r)
{
    ml_str raw;
    lua_createtable(L, 0, 0);
    if (!ml_json_enter_object(&r->json)) return;
    while (ml_json_next_key(&r->json, &raw)) {
        ml_buf_clear(&r->text);
        if (!ml_json_unescape(raw, &r->text)) {
            r->json.failed = true; /* a lone surrogate: has no UTF-8 form */
            r->json.why = "a member name that cannot be decoded";
            return;
        }
        bool is_secret = is_secret_key(L, r);
        lua_pushlstring(L, r->text.data ? r->text.data : "", r->text.len);
        read_value(L, r, is_secret);
        lua_rawset(L, -3);
    }
}

static void read_array(lua_State *L, reader *r)
{
    lua_Integer n = 0;
    lua_createtable(L, 0, 0);
    if (!ml_json_enter_array(&r->json)) return;
    while (ml_json_next_item(&r->json)) {
        read_value(L, r, false);
        lua_rawseti(L, -2, ++n);
    }
}

/* Pushes exactly one value.  The depth of recursion is the scanner's limit. */
static void read_value(lua_State *L, reader *r, bool is_secret)
{
    bool b = false;
    luaL_checkstack(L, 6, NULL);
    switch (ml_json_peek(&r->json)) {
    case ML_JSON_STRING: read_string(L, r, is_secret); return;
    case ML_JSON_NUMBER: read_number(L, r); return;
    case ML_JSON_OBJECT: read_object(L, r); return;
    case ML_JSON_ARRAY: read_array(L, r); return;
    case ML_JSON_BOOL:
        ml_json_read_bool(&r->json, &b);
        lua_pushboolean(L, b);
        return;
    case ML_JSON_NULL:
        ml_json_read_null(&r->json);
        lua_pushlightuserdata(L, NULL); /* core.null */
        return;
    default:
        ml_json_skip(&r->json); /* fails, and says why */
        lua_pushnil(L);
    }
}

/* Lines and characters are counted from 1. */
static int raise_malformed(lua_State *L, const reader *r, const char *name)
{
    const char *why;
    size_t at = ml_json_error_at(&r->json, &why);
    int line = 1;
    int column = 1;
    for (size_t i = 0; i < at && i < r->json.text.n; i++) {
        unsigned char c = (unsigned char)r->json.text.p[i];
        if (c == '\n') {
            line++;
            column = 1;
        } else if ((c & 0xc0) != 0x80) { /* not inside a UTF-8 sequence */
            column++;
        }
    }
    return ml_script_raisef(L, ML_EUSAGE, "%.100s is not JSON: line %d, column %d: %s",
                            name, line, column, why);
}

/* Array of names at index 2 -> {name = true}; its stack index, 0 when there is none. */
static int read_secret_keys(lua_State *L)
{
    if (lua_isnoneornil(L, 2)) return 0;
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_createtable(L, 0, 4);
    for (lua_Integer i = 1; lua_rawgeti(L, 2, i) == LUA_TSTRING; i++) {
        lua_pushboolean(L, 1);
        lua_rawset(L, -3);
    }
    luaL_argcheck(L, lua_isnil(L, -1), 2, "an array of names is expected");
    lua_pop(L, 1);
    return lua_gettop(L);
}

int ml_script_env_json(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    const char *text = ml_env_get(ml_vm_of(L)->host->env, name);
    if (!text) {
        lua_pushnil(L);
        return 1;
    }
    lua_settop(L, 2);
    int secret_keys = read_secret_keys(L);
    reader *r = push_reader(L, ml_str_of(text));
    r->secret_keys = secret_keys;
    read_value(L, r, false);
    if (!ml_json_end(&r->json)) return raise_malformed(L, r, name);
    ml_buf_fini(&r->text);
    return 1;
}

void ml_script_open_json(lua_State *L)
{
    luaL_newmetatable(L, CLASS);
    lua_pushcfunction(L, reader_close);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
}
