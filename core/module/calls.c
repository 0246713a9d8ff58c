/* calls.c - resolver methods: arguments -> ml_call -> what the answer brought. */
#include <lauxlib.h>
#include <limits.h>
#include <string.h>

#include "module/module.h"

static const ml_lua_verb verbs[] = {
    {"get", ML_GET, false},
    {"explain", ML_EXPLAIN, false},
    {"list", ML_LIST, false},
    {"put", ML_PUT, true},
    {"update", ML_UPDATE, false},
    {"delete", ML_DELETE, false},
    {"versions", ML_VERSIONS, false},
    {"list_deleted", ML_LIST_DELETED, false},
    {"get_deleted", ML_GET_DELETED, false},
    {"recover", ML_RECOVER, false},
    {"purge", ML_PURGE, false},
    {"backup", ML_BACKUP, false},
    {"restore", ML_RESTORE, true},
    {"check", ML_CHECK, true},
    {"test", ML_TEST, true},
};
enum { VERBS = sizeof(verbs) / sizeof(verbs[0]) };

/* An answer on the Lua stack, so that it is freed whatever is raised. */
#define ANSWER "moonlatch.answer"

static int answer_gc(lua_State *L)
{
    ml_answer **box = luaL_checkudata(L, 1, ANSWER);
    ml_answer_free(*box);
    *box = NULL;
    return 0;
}

ml_lua_resolver *ml_lua_check_resolver(lua_State *L)
{
    ml_lua_resolver *self = luaL_checkudata(L, 1, ML_LUA_RESOLVER);
    luaL_argcheck(L, self->r, 1, "the resolver was closed");
    return self;
}

void ml_lua_check_not_logging(lua_State *L, const ml_lua_resolver *self)
{
    if (self->is_logging)
        luaL_error(L, "no calls from a log function: the library waits for it");
}

static bool flag_field(lua_State *L, int idx, const char *name)
{
    lua_getfield(L, idx, name);
    bool set = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return set;
}

static const ml_pair *pairs_field(lua_State *L, int idx, const char *name, size_t *n)
{
    lua_getfield(L, idx, name);
    return ml_lua_pairs(L, lua_gettop(L), name, n);
}

static int enabled_field(lua_State *L, int idx)
{
    int type = lua_getfield(L, idx, "enabled");
    int enabled = type == LUA_TNIL ? 0 : lua_toboolean(L, -1) ? 1 : -1;
    lua_pop(L, 1);
    return enabled;
}

static const char *const known_options[] = {
    "context",   "version",          "timeout_ms", "refresh", "plan_only",
    "json",      "content_type",     "tags",       "enabled", "not_before_s",
    "expires_s", "replace_metadata", NULL};

/* Borrowed texts and pairs stay alive on the stack until the method returns. */
static void read_options(lua_State *L, int idx, ml_call *call)
{
    if (lua_isnoneornil(L, idx)) return;
    luaL_checktype(L, idx, LUA_TTABLE);
    ml_lua_check_keys(L, idx, known_options);
    call->context = pairs_field(L, idx, "context", &call->n_context);
    call->tags = pairs_field(L, idx, "tags", &call->n_tags);
    call->version = ml_lua_text_field(L, idx, "version");
    call->content_type = ml_lua_text_field(L, idx, "content_type");
    call->enabled = enabled_field(L, idx);
    call->not_before_s = ml_lua_int_field(L, idx, "not_before_s");
    call->expires_s = ml_lua_int_field(L, idx, "expires_s");
    lua_Integer timeout = ml_lua_int_field(L, idx, "timeout_ms");
    if (timeout < 0 || timeout > INT_MAX) luaL_error(L, "timeout_ms is out of range");
    call->deadline_ms = (int)timeout;
    if (flag_field(L, idx, "refresh")) call->flags |= ML_REFRESH;
    if (flag_field(L, idx, "plan_only")) call->flags |= ML_PLAN_ONLY;
    if (flag_field(L, idx, "json")) call->flags |= ML_AS_JSON;
    if (flag_field(L, idx, "replace_metadata")) call->flags |= ML_REPLACE_METADATA;
}

static const char *name_arg(lua_State *L, int idx)
{
    size_t len = 0;
    const char *name = luaL_optlstring(L, idx, NULL, &len);
    if (name) luaL_argcheck(L, strlen(name) == len, idx, "a name holds no NUL byte");
    return name;
}

/* Pushes the answer's box, or nil and an error; returns the answer or NULL. */
static ml_answer *run(lua_State *L, ml_lua_resolver *self, const ml_call *call)
{
    luaL_checkstack(L, 10, NULL);
    ml_answer **box = lua_newuserdatauv(L, sizeof(*box), 0);
    *box = NULL;
    luaL_setmetatable(L, ANSWER);
    ml_err e = {0};
    ml_lua_check_not_logging(L, self);
    lua_State *outer = self->L;
    self->L = L;
    int rc = ml_run(self->r, call, box, &e);
    self->L = outer;
    ml_lua_remind(self);
    if (rc == 0) return *box;
    ml_lua_push_failure(L, &e);
    return NULL;
}

static int push_answer(lua_State *L, const ml_answer *a)
{
    lua_createtable(L, 0, 2);
    lua_createtable(L, (int)ml_answer_count(a), 0);
    for (size_t i = 0; i < ml_answer_count(a); i++) {
        ml_lua_push_secret(L, ml_answer_at(a, i));
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "secrets");
    lua_pushstring(L, ml_answer_text(a));
    lua_setfield(L, -2, "text");
    return 1;
}

const ml_lua_verb *ml_lua_check_verb(lua_State *L, int idx)
{
    const char *name = luaL_checkstring(L, idx);
    for (int i = 0; i < VERBS; i++) {
        if (strcmp(verbs[i].name, name) == 0) return &verbs[i];
    }
    luaL_argerror(L, idx, "no such verb");
    return NULL;
}

ml_call ml_lua_read_call(lua_State *L, const ml_lua_verb *verb, int first)
{
    ml_call call = {ML_CALL_INIT, .verb = verb->verb, .name = name_arg(L, first)};
    int opts = first + 1;
    if (verb->takes_value) call.value = luaL_checklstring(L, opts++, &call.value_len);
    read_options(L, opts, &call);
    return call;
}

static int call_verb(lua_State *L, const ml_lua_verb *verb, int first)
{
    ml_lua_resolver *self = ml_lua_check_resolver(L);
    ml_call call = ml_lua_read_call(L, verb, first);
    ml_answer *a = run(L, self, &call);
    return a ? push_answer(L, a) : 2;
}

/* r:list(pattern, opts) and its kin: the verb is an upvalue. */
static int resolver_verb(lua_State *L)
{
    return call_verb(L, &verbs[lua_tointeger(L, lua_upvalueindex(1))], 2);
}

/* r:run(verb, name, [bytes,] opts). */
static int resolver_run(lua_State *L)
{
    return call_verb(L, ml_lua_check_verb(L, 2), 3);
}

/* r:get(name, opts) -> secret: the answer's only one. */
static int resolver_get(lua_State *L)
{
    ml_lua_resolver *self = ml_lua_check_resolver(L);
    ml_call call = {ML_CALL_INIT, .verb = ML_GET, .name = name_arg(L, 2)};
    read_options(L, 3, &call);
    ml_answer *a = run(L, self, &call);
    if (!a) return 2;
    if (ml_answer_count(a) == 0) {
        ml_err e = {.code = ML_EINVALID, .text = "the answer holds no secret"};
        return ml_lua_push_failure(L, &e);
    }
    ml_lua_push_secret(L, ml_answer_at(a, 0));
    return 1;
}

/* r:forget([pattern]) -> true | nil, error */
static int resolver_forget(lua_State *L)
{
    ml_lua_resolver *self = ml_lua_check_resolver(L);
    ml_err e = {0};
    ml_lua_check_not_logging(L, self);
    if (ml_forget(self->r, name_arg(L, 2), &e) < 0) return ml_lua_push_failure(L, &e);
    lua_pushboolean(L, 1);
    return 1;
}

/* r:reload() -> true | nil, err: the policy before stays. */
static int resolver_reload(lua_State *L)
{
    ml_lua_resolver *self = ml_lua_check_resolver(L);
    ml_lua_check_not_logging(L, self);
    ml_err e = {0};
    lua_State *outer = self->L;
    self->L = L;
    int rc = ml_reload(self->r, &e);
    self->L = outer;
    if (rc) return ml_lua_push_failure(L, &e);
    lua_pushboolean(L, 1);
    return 1;
}

static int resolver_close(lua_State *L)
{
    ml_lua_resolver *self = luaL_checkudata(L, 1, ML_LUA_RESOLVER);
    if (self->L) return luaL_error(L, "cannot close a resolver from its log function");
    ml_resolver *r = self->r;
    self->r = NULL; /* what it calls back finds it closed */
    self->L = L;
    ml_close(r);
    self->L = NULL;
    luaL_unref(L, LUA_REGISTRYINDEX, self->log_ref);
    self->log_ref = LUA_NOREF;
    ml_lua_deliver_last(L);
    return 0;
}

static void add_methods(lua_State *L)
{
    lua_newtable(L);
    for (int i = 0; i < VERBS; i++) {
        lua_pushinteger(L, i);
        lua_pushcclosure(L, resolver_verb, 1);
        lua_setfield(L, -2, verbs[i].name);
    }
    const luaL_Reg methods[] = {
        {"get", resolver_get},       {"run", resolver_run},
        {"forget", resolver_forget}, {"reload", resolver_reload},
        {"close", resolver_close},   {NULL, NULL}};
    luaL_setfuncs(L, methods, 0);
    ml_lua_requests_add_methods(L);
}

void ml_lua_calls_register(lua_State *L)
{
    luaL_newmetatable(L, ANSWER);
    lua_pushcfunction(L, answer_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);

    const luaL_Reg metamethods[] = {
        {"__gc", resolver_close}, {"__close", resolver_close}, {NULL, NULL}};
    luaL_newmetatable(L, ML_LUA_RESOLVER);
    luaL_setfuncs(L, metamethods, 0);
    add_methods(L);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}
