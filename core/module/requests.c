/* requests.c - calls that do not wait: start, what an event loop needs, and delivery.
 *
 *     start -> in flight -> note_end (inside the library, no Lua) -> ended list
 *                                step, or close, calls the function <--+
 *
 * The function runs when the library has been left again.  So it may do everything, and
 * what it raises or yields crosses no frame of the library. */
#include <lauxlib.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "module/module.h"

/* Anchored in the user value of its resolver until its function is called; its own user
 * value is that function. */
struct ml_lua_request {
    ml_lua_resolver *self;
    ml_request *q; /* NULL once it has ended */
    bool is_get;   /* its answer is the secret itself */
    ml_err err;
    ml_secret **secrets;
    size_t n_secrets;
    char *text;
    ml_lua_request *next;
};

/* ---- how it ended ---------------------------------------------------------------- */

static void forget_answer(ml_lua_request *p)
{
    for (size_t i = 0; i < p->n_secrets; i++) ml_secret_unref(p->secrets[i]);
    free(p->secrets);
    free(p->text);
    p->secrets = NULL;
    p->text = NULL;
    p->n_secrets = 0;
}

static bool keep_answer(ml_lua_request *p, const ml_answer *a)
{
    size_t n = ml_answer_count(a), text_size = strlen(ml_answer_text(a)) + 1;
    p->text = malloc(text_size);
    p->secrets = calloc(n + 1, sizeof(ml_secret *));
    if (!p->text || !p->secrets) return false;
    memcpy(p->text, ml_answer_text(a), text_size);
    for (; p->n_secrets < n; p->n_secrets++) {
        p->secrets[p->n_secrets] = ml_secret_ref(ml_answer_at(a, p->n_secrets));
    }
    return true;
}

static void fail(ml_lua_request *p, int code, const char *text)
{
    p->err = (ml_err){.code = code};
    strncpy(p->err.text, text, sizeof(p->err.text) - 1);
}

static void note_end(ml_request *q, const ml_answer *answer, const ml_err *e, void *arg)
{
    ml_lua_request *p = arg;
    ml_lua_resolver *self = p->self;
    (void)q;
    p->q = NULL;
    p->err = *e;
    if (e->code == 0 && !keep_answer(p, answer)) fail(p, ML_ENOMEM, "out of memory");
    if (p->err.code == 0 && p->is_get && p->n_secrets == 0)
        fail(p, ML_EINVALID, "the answer holds no secret");
    p->next = NULL;
    if (self->ended_last)
        self->ended_last->next = p;
    else
        self->ended_first = p;
    self->ended_last = p;
}

/* ---- delivery ----------------------------------------------------------------------
 */

void ml_lua_remind(const ml_lua_resolver *self)
{
    if (self->r && self->ended_first) ml_wake(self->r);
}

/* Takes p out of the resolver at index 1; raises nothing. */
static void release(lua_State *L, const ml_lua_request *p)
{
    lua_getiuservalue(L, 1, 1);
    lua_pushnil(L);
    lua_rawsetp(L, -2, p);
    lua_pop(L, 1);
}

static void push_secrets(lua_State *L, const ml_lua_request *p)
{
    lua_createtable(L, (int)p->n_secrets, 0);
    for (size_t i = 0; i < p->n_secrets; i++) {
        ml_lua_push_secret(L, p->secrets[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

/* Pushes answer and nil, or nil and an error. */
static void push_end(lua_State *L, const ml_lua_request *p)
{
    if (p->err.code) {
        ml_lua_push_failure(L, &p->err);
        return;
    }
    if (p->is_get) {
        ml_lua_push_secret(L, p->secrets[0]);
    } else {
        lua_createtable(L, 0, 2);
        push_secrets(L, p);
        lua_setfield(L, -2, "secrets");
        lua_pushstring(L, p->text);
        lua_setfield(L, -2, "text");
    }
    lua_pushnil(L);
}

/* Of the first that has ended: pushes its function, answer and error.  Only then it is
 * taken out, so that one that memory was too short for has its turn later. */
static void push_first(lua_State *L, ml_lua_resolver *self)
{
    ml_lua_request *p = self->ended_first;
    luaL_checkstack(L, 12, NULL);
    lua_getiuservalue(L, 1, 1);
    lua_rawgetp(L, -1, p);
    lua_remove(L, -2);
    lua_getiuservalue(L, -1, 1);
    push_end(L, p);
    self->ended_first = p->next;
    if (!p->next) self->ended_last = NULL;
    release(L, p);
    forget_answer(p);
    lua_remove(L, -4); /* the request */
}

/* The function may yield, so this is its own continuation.  Those that are left when it
 * raises are the next step's. */
static int deliver(lua_State *L, int status, lua_KContext n)
{
    ml_lua_resolver *self = luaL_checkudata(L, 1, ML_LUA_RESOLVER);
    (void)status;
    while (self->ended_first) {
        lua_settop(L, 1);
        push_first(L, self);
        ml_lua_remind(self);
        lua_callk(L, 2, 0, n, deliver);
    }
    lua_pushinteger(L, n);
    return 1;
}

/* All of them, whatever one raises; the first error is raised when all were called. */
void ml_lua_deliver_last(lua_State *L)
{
    ml_lua_resolver *self = luaL_checkudata(L, 1, ML_LUA_RESOLVER);
    bool has_error = false;
    lua_settop(L, 1);
    while (self->ended_first) {
        push_first(L, self);
        if (lua_pcall(L, 2, 0, 0) == LUA_OK) continue;
        if (has_error) lua_pop(L, 1);
        has_error = true;
    }
    if (has_error) lua_error(L);
}

/* ---- methods -----------------------------------------------------------------------
 */

int ml_lua_begin(lua_State *L, const ml_lua_verb *verb, int fn)
{
    ml_lua_resolver *self = ml_lua_check_resolver(L);
    ml_lua_check_not_logging(L, self);
    luaL_checkstack(L, 10, NULL);
    ml_call call = ml_lua_read_call(L, verb, 3);
    ml_lua_request *p = lua_newuserdatauv(L, sizeof(*p), 1);
    *p = (ml_lua_request){.self = self, .is_get = verb->verb == ML_GET};
    luaL_setmetatable(L, ML_LUA_REQUEST);
    lua_pushvalue(L, fn);
    lua_setiuservalue(L, -2, 1);
    lua_getiuservalue(L, 1, 1); /* before the start: nothing may raise after it */
    lua_pushvalue(L, -2);
    lua_rawsetp(L, -2, p);
    lua_pop(L, 1);
    ml_err e = {0};
    lua_State *outer = self->L;
    self->L = L;
    p->q = ml_start(self->r, &call, note_end, p, &e);
    self->L = outer;
    if (p->q) return 1;
    release(L, p);
    return ml_lua_push_failure(L, &e);
}

/* r:start(verb, name, [bytes,] opts, fn) -> request | nil, err */
static int resolver_start(lua_State *L)
{
    const ml_lua_verb *verb = ml_lua_check_verb(L, 2);
    int fn = verb->takes_value ? 6 : 5;
    luaL_checktype(L, fn, LUA_TFUNCTION);
    lua_settop(L, fn);
    return ml_lua_begin(L, verb, fn);
}

/* r:step([max_wait_ms]) -> how many ended | nil, err */
static int resolver_step(lua_State *L)
{
    ml_lua_resolver *self = ml_lua_check_resolver(L);
    lua_Integer max_wait_ms = luaL_optinteger(L, 2, 0);
    luaL_argcheck(L, max_wait_ms >= -1 && max_wait_ms <= INT_MAX, 2, "out of range");
    ml_lua_check_not_logging(L, self);
    lua_State *outer = self->L;
    self->L = L;
    int n = ml_step(self->r, self->ended_first ? 0 : (int)max_wait_ms);
    self->L = outer;
    if (n < 0) return ml_lua_push_failure(L, &(ml_err){.code = n});
    return deliver(L, LUA_OK, n);
}

static int resolver_fd(lua_State *L)
{
    lua_pushinteger(L, ml_fd(ml_lua_check_resolver(L)->r));
    return 1;
}

static int resolver_events(lua_State *L)
{
    lua_pushliteral(L, "r");
    return 1;
}

static int resolver_timeout_ms(lua_State *L)
{
    ml_lua_resolver *self = ml_lua_check_resolver(L);
    ml_lua_check_not_logging(L, self);
    lua_pushinteger(L, self->ended_first ? 0 : ml_timeout_ms(self->r));
    return 1;
}

/* One that has ended is left alone. */
static int request_cancel(lua_State *L)
{
    ml_lua_request *p = luaL_checkudata(L, 1, ML_LUA_REQUEST);
    if (!p->q) return 0;
    ml_lua_check_not_logging(L, p->self);
    ml_cancel(p->q);
    return 0;
}

static int request_deadline(lua_State *L)
{
    ml_lua_request *p = luaL_checkudata(L, 1, ML_LUA_REQUEST);
    lua_Integer ms = luaL_checkinteger(L, 2);
    luaL_argcheck(L, ms >= 0 && ms <= INT_MAX, 2, "out of range");
    if (!p->q) return 0;
    ml_lua_check_not_logging(L, p->self);
    ml_request_deadline(p->q, (int)ms);
    return 0;
}

/* Not before its end, for the resolver holds it until then. */
static int request_gc(lua_State *L)
{
    forget_answer(luaL_checkudata(L, 1, ML_LUA_REQUEST));
    return 0;
}

void ml_lua_requests_add_methods(lua_State *L)
{
    const luaL_Reg methods[] = {
        {"start", resolver_start}, {"step", resolver_step},
        {"fd", resolver_fd},       {"timeout_ms", resolver_timeout_ms},
        {"pollfd", resolver_fd},   {"events", resolver_events},
        {"await", ml_lua_await},   {NULL, NULL}};
    luaL_setfuncs(L, methods, 0);
}

void ml_lua_requests_register(lua_State *L)
{
    const luaL_Reg methods[] = {
        {"cancel", request_cancel}, {"deadline", request_deadline}, {NULL, NULL}};
    luaL_newmetatable(L, ML_LUA_REQUEST);
    lua_pushcfunction(L, request_gc);
    lua_setfield(L, -2, "__gc");
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}
