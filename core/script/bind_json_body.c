/* bind_json_body.c - JSON that may be secret: parts of it, and writing it.
 *
 * Read with io/json_pointer.h where it lies; a part goes through one scrubbing buffer
 * into its handle. */
#include "script/bind_json_body.h"

#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "io/json_pointer.h"
#include "script/bind_error.h"
#include "script/bytes.h"

enum {
    MAX_TEXT = 4096,
    MAX_TEXTS = 10000,
    MAX_JSON = 1024 * 1024,
    MAX_DEPTH = 32,
    MAX_MEMBERS = 10000
};

/* ---- parts --------------------------------------------------------------------- */

/* False when nothing is there, or null. */
static bool find(lua_State *L, ml_bytes body, ml_json_place *place)
{
    ml_str pointer;
    pointer.p = luaL_checklstring(L, 2, &pointer.n);
    ml_script_spend_bytes(L, body.str.n);
    switch (ml_json_point(body.str, pointer, place)) {
    case ML_JSON_POINTED: return place->kind != ML_JSON_NULL;
    case ML_JSON_ABSENT: return false;
    case ML_JSON_BAD_POINTER:
        luaL_error(L, "'%s' is no JSON pointer: it begins with '/', and '~' is '~0'",
                   pointer.p);
        break;
    case ML_JSON_NO_MEMORY: ml_script_nomem(L); break;
    default: luaL_error(L, "the text is not JSON"); /* no absence: raised */
    }
    return false;
}

static void decode(lua_State *L, const ml_json_place *place, ml_buf *out)
{
    if (place->kind != ML_JSON_STRING) {
        ml_buf_add_str(out, place->raw);
    } else if (!ml_json_unescape(place->raw, out) && ml_buf_ok(out)) {
        luaL_error(L, "the string has no UTF-8 form: a lone surrogate");
    }
}

int ml_script_json_field(lua_State *L)
{
    ml_json_place place;
    ml_bytes body = ml_script_check_bytes(L, 1);
    if (!find(L, body, &place)) {
        lua_pushnil(L);
        return 1;
    }
    ml_buf *b = ml_script_push_buf(L, place.raw.n + 1);
    decode(L, &place, b);
    ml_script_push_bytes_of(L, b, true);
    ml_buf_fini(b);
    return 1;
}

int ml_script_json_text(lua_State *L)
{
    ml_json_place place;
    ml_bytes body = ml_script_check_bytes(L, 1);
    if (!find(L, body, &place)) {
        lua_pushnil(L);
        return 1;
    }
    ml_buf *b = ml_script_push_buf(L, MAX_TEXT);
    decode(L, &place, b);
    ml_script_need_memory(L, b);
    if (!ml_buf_ok(b)) {
        return luaL_error(L,
                          "what is at the pointer is longer than %d bytes: "
                          "json.field has no such limit",
                          MAX_TEXT);
    }
    ml_script_push_bytes_of(L, b, false);
    ml_buf_fini(b);
    return 1;
}

int ml_script_json_texts(lua_State *L)
{
    ml_json_place place;
    ml_json j;
    ml_bytes body = ml_script_check_bytes(L, 1);
    if (!find(L, body, &place)) {
        lua_pushnil(L);
        return 1;
    }
    ml_buf *b = ml_script_push_buf(L, MAX_TEXT);
    lua_createtable(L, 0, 0);
    ml_json_init(&j, place.raw);
    if (place.kind != ML_JSON_ARRAY || !ml_json_enter_array(&j)) {
        return luaL_error(L, "there is no array at the pointer");
    }
    for (lua_Integer n = 1; ml_json_next_item(&j); n++) {
        if (n > MAX_TEXTS) return luaL_error(L, "more than %d elements", MAX_TEXTS);
        if (!ml_json_read_string(&j, b)) {
            ml_script_need_memory(L, b);
            return luaL_error(L,
                              "element %d of the array is no string of at most %d "
                              "bytes",
                              (int)n, MAX_TEXT);
        }
        lua_pushlstring(L, ml_buf_str(b).p, b->len);
        lua_rawseti(L, -2, n);
    }
    ml_buf_fini(b);
    return 1;
}

/* ---- writing ------------------------------------------------------------------- */

typedef struct writer {
    lua_State *L;
    ml_buf *out;
    bool is_secret;
    int depth;
} writer;

static void write_value(writer *w);

static void write_bytes(writer *w)
{
    ml_bytes b = ml_script_bytes_of(w->L, -1, "json.encode");
    w->is_secret = w->is_secret || b.is_secret;
    if (!ml_json_write_string(w->out, b.str) && ml_buf_ok(w->out)) {
        luaL_error(w->L, "json.encode: a text is not UTF-8: encode it with base64");
    }
}

static void write_number(writer *w)
{
    if (lua_isinteger(w->L, -1)) {
        ml_buf_addf(w->out, "%lld", (long long)lua_tointeger(w->L, -1));
        return;
    }
    double d = lua_tonumber(w->L, -1);
    if (!isfinite(d)) luaL_error(w->L, "json.encode: JSON has no infinity and no NaN");
    char text[40];
    lua_Number back = 0;
    for (int digits = 15; digits <= 17;
         digits++) { /* the shortest that reads the same */
        snprintf(text, sizeof(text), "%.*g", digits, d);
        back = strtod(text, NULL);
        if (back == d) break;
    }
    for (char *p = text; *p; p++)
        if (*p == ',') *p = '.'; /* the host's locale */
    ml_buf_add_text(w->out, text);
}

static void write_array(writer *w)
{
    ml_buf_add_char(w->out, '[');
    for (lua_Integer i = 1; lua_rawgeti(w->L, -1, i) != LUA_TNIL; i++) {
        if (i > MAX_MEMBERS) luaL_error(w->L, "json.encode: too many elements");
        if (i > 1) ml_buf_add_char(w->out, ',');
        write_value(w);
        lua_pop(w->L, 1);
    }
    lua_pop(w->L, 1);
    ml_buf_add_char(w->out, ']');
}

static int by_bytes(const void *a, const void *b)
{
    const ml_str *x = a, *y = b;
    size_t n = x->n < y->n ? x->n : y->n;
    int order = n ? memcmp(x->p, y->p, n) : 0;
    return order ? order : (x->n > y->n) - (x->n < y->n);
}

/* The member names of the table on top, sorted, in a userdata that is left above it. */
static ml_str *push_names(writer *w, size_t *n)
{
    lua_State *L = w->L;
    int table = lua_gettop(L);
    *n = 0;
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING) {
            luaL_error(L, "json.encode: a table is either a list or has names only");
        }
        if (++*n > MAX_MEMBERS) luaL_error(L, "json.encode: too many members");
    }
    ml_str *names = lua_newuserdatauv(L, (*n + 1) * sizeof(*names), 0);
    size_t i = 0;
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1), i++)
        names[i].p = lua_tolstring(L, -2, &names[i].n);
    qsort(names, *n, sizeof(*names), by_bytes);
    return names;
}

static void write_object(writer *w)
{
    size_t n;
    int table = lua_gettop(w->L);
    const ml_str *names = push_names(w, &n);
    ml_buf_add_char(w->out, '{');
    for (size_t i = 0; i < n; i++) {
        if (i > 0) ml_buf_add_char(w->out, ',');
        lua_pushlstring(w->L, names[i].p, names[i].n);
        if (!ml_json_write_string(w->out, names[i]) && ml_buf_ok(w->out))
            luaL_error(w->L, "json.encode: a member name is not UTF-8");
        ml_buf_add_char(w->out, ':');
        lua_rawget(w->L, table);
        write_value(w);
        lua_pop(w->L, 1);
    }
    lua_pop(w->L, 1);
    ml_buf_add_char(w->out, '}');
}

static void write_table(writer *w)
{
    if (++w->depth > MAX_DEPTH) luaL_error(w->L, "json.encode: nested too deeply");
    bool is_list = lua_rawgeti(w->L, -1, 1) != LUA_TNIL;
    lua_pop(w->L, 1);
    if (is_list)
        write_array(w);
    else
        write_object(w);
    w->depth--;
}

/* The value on top, which stays there. */
static void write_value(writer *w)
{
    luaL_checkstack(w->L, 8, NULL);
    ml_script_need_memory(w->L, w->out);
    if (!ml_buf_ok(w->out))
        luaL_error(w->L, "json.encode: longer than %d bytes", MAX_JSON);
    switch (lua_type(w->L, -1)) {
    case LUA_TBOOLEAN:
        ml_buf_add_text(w->out, lua_toboolean(w->L, -1) ? "true" : "false");
        return;
    case LUA_TNUMBER: write_number(w); return;
    case LUA_TTABLE: write_table(w); return;
    case LUA_TLIGHTUSERDATA: ml_buf_add_text(w->out, "null"); return; /* core.null */
    default: write_bytes(w);
    }
}

int ml_script_json_encode(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_settop(L, 1);
    writer w = {.L = L, .out = ml_script_push_buf(L, MAX_JSON)};
    lua_pushvalue(L, 1);
    write_value(&w);
    ml_script_spend_bytes(L, w.out->len);
    ml_script_push_bytes_of(L, w.out, w.is_secret);
    ml_buf_fini(w.out);
    return 1;
}
