/* bind_secret.c - secrets as Lua sees them: opaque handles that never show their bytes.
 */
#include "script/bind_secret.h"

#include <lauxlib.h>

#include "script/bind_error.h"
#include "script/task.h"

static const char CLASS[] = "moonlatch.secret";

struct ml_secret_handle {
    ml_secret *secret; /* NULL: closed */
    ml_alloc *alloc;   /* what its bytes count against; NULL: nothing */
    ml_secret_handle **list;
    ml_secret_handle *prev, *next;
};

static void close_handle(ml_secret_handle *h)
{
    if (h->list) {
        if (h->prev)
            h->prev->next = h->next;
        else
            *h->list = h->next;
        if (h->next) h->next->prev = h->prev;
    }
    if (h->alloc) ml_alloc_discharge(h->alloc, ml_secret_size(h->secret));
    ml_secret_unref(h->secret);
    *h = (ml_secret_handle){0};
}

void ml_script_close_secrets(ml_secret_handle **list)
{
    while (*list) close_handle(*list);
}

ml_secret_handle *ml_script_push_handle(lua_State *L)
{
    ml_secret_handle *h = lua_newuserdatauv(L, sizeof(*h), 0);
    *h = (ml_secret_handle){0};
    luaL_setmetatable(L, CLASS);
    return h;
}

void ml_script_open_handle(ml_secret_handle *h, ml_secret *s, ml_secret_handle **list)
{
    *h = (ml_secret_handle){.secret = s, .list = list, .next = list ? *list : NULL};
    if (!list) return;
    if (*list) (*list)->prev = h;
    *list = h;
}

void ml_script_push_secret(lua_State *L, ml_secret *s, ml_secret_handle **list)
{
    ml_secret_handle *h = ml_script_push_handle(L); /* may raise: no reference yet */
    ml_script_open_handle(h, ml_secret_ref(s), list);
}

void ml_script_charge(lua_State *L, size_t n)
{
    ml_alloc *alloc = &ml_vm_of(L)->alloc;
    if (ml_alloc_charge(alloc, n)) return;
    lua_gc(L, LUA_GCCOLLECT); /* Lua does not see how much hangs on its handles */
    if (!ml_alloc_charge(alloc, n)) luaL_error(L, "not enough memory");
}

/* What the policy makes counts as its memory. */
static void push_new(lua_State *L, ml_secret_handle *h, ml_secret *s,
                     ml_secret_handle **list)
{
    if (!s) {
        ml_script_nomem(L);
        return; /* never */
    }
    ml_script_open_handle(h, s, list);
    ml_script_charge(L, ml_secret_size(s)); /* a handle that raises is collected */
    h->alloc = &ml_vm_of(L)->alloc;
}

void ml_script_push_bytes(lua_State *L, ml_str bytes, ml_secret_handle **list)
{
    ml_secret_handle *h = ml_script_push_handle(L);
    push_new(L, h, ml_secret_of_bytes(bytes), list);
}

void ml_script_push_fields(lua_State *L, const ml_secret_fields *f,
                           ml_secret_handle **list)
{
    ml_secret_handle *h = ml_script_push_handle(L);
    push_new(L, h, ml_secret_new(f), list);
}

ml_secret *ml_script_to_secret(lua_State *L, int index)
{
    ml_secret_handle *h = ml_script_instance(L, index, ml_vm_of(L)->secret_class);
    return h ? h->secret : NULL;
}

ml_secret *ml_script_check_secret(lua_State *L, int index)
{
    ml_secret_handle *h = ml_script_instance(L, index, ml_vm_of(L)->secret_class);
    if (!h) h = luaL_checkudata(L, index, CLASS); /* raises */
    luaL_argcheck(L, h->secret, index, "the secret is closed: its call has ended");
    return h->secret;
}

int ml_script_with_name(lua_State *L)
{
    ml_secret *s = ml_script_check_secret(L, 1);
    size_t n;
    const char *name = luaL_checklstring(L, 2, &n);
    if (ml_str_eq(ml_str_of(ml_secret_name(s)), (ml_str){name, n})) {
        lua_settop(L, 1);
        return 1;
    }
    ml_secret_handle *h = ml_script_push_handle(L);
    ml_secret *named = ml_secret_with_name(s, (ml_str){name, n});
    if (!named) return ml_script_nomem(L);
    ml_script_open_handle(h, named, ml_task_secrets(L));
    return 1;
}

/* ---- methods ------------------------------------------------------------------- */

static int secret_name(lua_State *L)
{
    lua_pushstring(L, ml_secret_name(ml_script_check_secret(L, 1)));
    return 1;
}

static int secret_source(lua_State *L)
{
    lua_pushstring(L, ml_secret_source(ml_script_check_secret(L, 1)));
    return 1;
}

static int secret_key(lua_State *L)
{
    lua_pushstring(L, ml_secret_key(ml_script_check_secret(L, 1)));
    return 1;
}

static int secret_version(lua_State *L)
{
    lua_pushstring(L, ml_secret_version(ml_script_check_secret(L, 1)));
    return 1;
}

static int secret_content_type(lua_State *L)
{
    lua_pushstring(L, ml_secret_content_type(ml_script_check_secret(L, 1)));
    return 1;
}

static int secret_has_value(lua_State *L)
{
    size_t n;
    lua_pushboolean(L, ml_secret_data(ml_script_check_secret(L, 1), &n) != NULL);
    return 1;
}

/* Whether there are bytes at all, never how many. */
static int secret_is_empty(lua_State *L)
{
    size_t n = 0;
    const void *p = ml_secret_data(ml_script_check_secret(L, 1), &n);
    lua_pushboolean(L, p && n == 0);
    return 1;
}

static int secret_tags(lua_State *L)
{
    const ml_secret *s = ml_script_check_secret(L, 1);
    size_t n = ml_secret_tag_count(s);
    lua_createtable(L, 0, (int)n);
    for (size_t i = 0; i < n; i++) {
        ml_pair tag = ml_secret_tag_at(s, i);
        lua_pushstring(L, tag.value);
        lua_setfield(L, -2, tag.name);
    }
    return 1;
}

static void set_known(lua_State *L, const char *name, int64_t value)
{
    if (value == 0) return;
    lua_pushinteger(L, value);
    lua_setfield(L, -2, name);
}

static int secret_attributes(lua_State *L)
{
    ml_attributes a = ml_secret_attributes(ml_script_check_secret(L, 1));
    lua_createtable(L, 0, 9);
    lua_pushboolean(L, a.enabled);
    lua_setfield(L, -2, "enabled");
    lua_pushboolean(L, a.managed);
    lua_setfield(L, -2, "managed");
    set_known(L, "created_s", a.created_s);
    set_known(L, "updated_s", a.updated_s);
    set_known(L, "not_before_s", a.not_before_s);
    set_known(L, "expires_s", a.expires_s);
    set_known(L, "deleted_s", a.deleted_s);
    set_known(L, "scheduled_purge_s", a.scheduled_purge_s);
    set_known(L, "recoverable_days", a.recoverable_days);
    return 1;
}

static int secret_tostring(lua_State *L)
{
    lua_pushliteral(L, "secret (hidden)");
    return 1;
}

static int secret_close(lua_State *L)
{
    close_handle(luaL_checkudata(L, 1, CLASS));
    return 0;
}

void ml_script_open_secret(lua_State *L)
{
    static const luaL_Reg meth[] = {{"name", secret_name},
                                    {"source", secret_source},
                                    {"key", secret_key},
                                    {"version", secret_version},
                                    {"content_type", secret_content_type},
                                    {"tags", secret_tags},
                                    {"attributes", secret_attributes},
                                    {"has_value", secret_has_value},
                                    {"is_empty", secret_is_empty},
                                    {NULL, NULL}};
    static const luaL_Reg metameth[] = {{"__gc", secret_close},
                                        {"__close", secret_close},
                                        {"__tostring", secret_tostring},
                                        {NULL, NULL}};
    luaL_newmetatable(L, CLASS);
    ml_vm_of(L)->secret_class = lua_topointer(L, -1);
    luaL_setfuncs(L, metameth, 0);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    luaL_newlib(L, meth);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}
