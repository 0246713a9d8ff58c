/* options.c - moonlatch.open: options from a Lua table, and the log function.
 *
 * Texts are borrowed from the table while ml_open copies them; whatever must be freed
 * is a userdata on the Lua stack, so that a raised error leaves nothing behind. */
#include <lauxlib.h>
#include <limits.h>
#include <string.h>

#include "module/module.h"

/* The text at the top of the stack; numbers are refused, so nothing is converted. */
static const char *plain_text(lua_State *L, const char *what)
{
    size_t len = 0;
    if (lua_type(L, -1) != LUA_TSTRING) {
        luaL_error(L, "%s must be a string, not a %s", what, luaL_typename(L, -1));
    }
    const char *text = lua_tolstring(L, -1, &len);
    if (strlen(text) != len) luaL_error(L, "%s must not hold a NUL byte", what);
    return text;
}

const char *ml_lua_text_field(lua_State *L, int idx, const char *name)
{
    luaL_checkstack(L, 4, NULL);
    if (lua_getfield(L, idx, name) == LUA_TNIL) return NULL;
    return plain_text(L, name);
}

lua_Integer ml_lua_int_field(lua_State *L, int idx, const char *name)
{
    int is_int = 1;
    lua_Integer value = 0;
    if (lua_getfield(L, idx, name) != LUA_TNIL) value = lua_tointegerx(L, -1, &is_int);
    if (!is_int) luaL_error(L, "%s must be a whole number", name);
    lua_pop(L, 1);
    return value;
}

void ml_lua_check_keys(lua_State *L, int idx, const char *const *known)
{
    for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) {
        const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
        size_t i = 0;
        while (known[i] && strcmp(known[i], key) != 0) i++;
        if (!known[i]) luaL_error(L, "unknown option '%s'", key);
    }
}

const ml_pair *ml_lua_pairs(lua_State *L, int idx, const char *what, size_t *n)
{
    *n = 0;
    if (lua_isnoneornil(L, idx)) return NULL;
    if (!lua_istable(L, idx)) luaL_error(L, "%s must be a table", what);
    size_t count = 0;
    for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) count++;
    ml_pair *pairs = lua_newuserdatauv(L, (count + 1) * sizeof(*pairs), 0);
    lua_pushnil(L);
    while (lua_next(L, idx)) {
        pairs[*n].value = plain_text(L, what);
        lua_pop(L, 1);
        pairs[*n].name = plain_text(L, what);
        (*n)++;
    }
    return pairs;
}

static const char *const level_names[] = {"error", "warn", "info", "debug", NULL};

/* Runs in the state that is inside the library; an error in it is dropped, because it
 * may not cross C code that is not Lua's. */
typedef struct log_line {
    const ml_lua_resolver *self;
    ml_log_level level;
    const char *area, *text;
} log_line;

/* Protected: nothing may be thrown through the library, which holds its lock. */
static int push_and_log(lua_State *L)
{
    const log_line *line = lua_touserdata(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, line->self->log_ref);
    lua_pushstring(L, level_names[line->level]);
    lua_pushstring(L, line->area);
    lua_pushstring(L, line->text);
    lua_call(L, 3, 0);
    return 0;
}

static void call_log(void *arg, ml_log_level level, const char *area, const char *text)
{
    ml_lua_resolver *self = arg;
    lua_State *L = self->L;
    if (!L || self->log_ref == LUA_NOREF || !lua_checkstack(L, 3)) return;
    log_line line = {self, level, area, text};
    self->is_logging = true;
    lua_pushcfunction(L, push_and_log);
    lua_pushlightuserdata(L, &line);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
    self->is_logging = false;
}

static void read_log(lua_State *L, ml_lua_resolver *self, ml_options *opt)
{
    if (lua_getfield(L, 1, "log_level") != LUA_TNIL) {
        opt->log_level = (ml_log_level)luaL_checkoption(L, -1, NULL, level_names);
    } else {
        opt->log_level = ML_LOG_WARN;
    }
    lua_pop(L, 1);
    if (lua_getfield(L, 1, "log") == LUA_TNIL) {
        lua_pop(L, 1);
        return;
    }
    if (!lua_isfunction(L, -1)) luaL_error(L, "log must be a function");
    self->log_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    opt->log = call_log;
    opt->log_arg = self;
}

static int small(lua_State *L, const char *name)
{
    lua_Integer value = ml_lua_int_field(L, 1, name);
    if (value < -1 || value > INT_MAX) luaL_error(L, "%s is out of range", name);
    return (int)value;
}

static size_t limit(lua_State *L, const char *name)
{
    lua_Integer value = ml_lua_int_field(L, 1, name);
    if (value < 0) luaL_error(L, "%s is out of range", name);
    return (size_t)value;
}

static const char *const known_options[] = {"policy_file",
                                            "policy_text",
                                            "policy_name",
                                            "env",
                                            "ca_file",
                                            "proxy",
                                            "deadline_ms",
                                            "connect_ms",
                                            "cache_ttl_ms",
                                            "negative_ttl_ms",
                                            "stale_ttl_ms",
                                            "refresh_percent",
                                            "cache_max_bytes",
                                            "cache_max_entries",
                                            "log",
                                            "log_level",
                                            "allow_exec",
                                            "vault_reads_in_10_s",
                                            "vault_writes_in_10_s",
                                            "budget_dir",
                                            NULL};

static void read_options(lua_State *L, ml_lua_resolver *self, ml_options *opt)
{
    ml_lua_check_keys(L, 1, known_options);
    opt->policy_file = ml_lua_text_field(L, 1, "policy_file");
    opt->policy_text = ml_lua_text_field(L, 1, "policy_text");
    opt->policy_name = ml_lua_text_field(L, 1, "policy_name");
    opt->ca_file = ml_lua_text_field(L, 1, "ca_file");
    opt->proxy = ml_lua_text_field(L, 1, "proxy");
    opt->budget_dir = ml_lua_text_field(L, 1, "budget_dir");
    opt->deadline_ms = small(L, "deadline_ms");
    opt->connect_ms = small(L, "connect_ms");
    opt->cache_ttl_ms = small(L, "cache_ttl_ms");
    opt->negative_ttl_ms = small(L, "negative_ttl_ms");
    opt->stale_ttl_ms = small(L, "stale_ttl_ms");
    opt->refresh_percent = small(L, "refresh_percent");
    opt->cache_max_bytes = limit(L, "cache_max_bytes");
    opt->cache_max_entries = limit(L, "cache_max_entries");
    opt->vault_reads_in_10_s = small(L, "vault_reads_in_10_s");
    opt->vault_writes_in_10_s = small(L, "vault_writes_in_10_s");
    lua_getfield(L, 1, "allow_exec");
    opt->allow_exec = lua_toboolean(L, -1) != 0;
    lua_pop(L, 1);
    lua_getfield(L, 1, "env");
    opt->env = ml_lua_pairs(L, lua_gettop(L), "env", &opt->n_env);
    read_log(L, self, opt);
}

int ml_lua_open(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    ml_lua_resolver *self = lua_newuserdatauv(L, sizeof(*self), 1);
    *self = (ml_lua_resolver){.log_ref = LUA_NOREF};
    luaL_setmetatable(L, ML_LUA_RESOLVER);
    lua_newtable(L);
    lua_setiuservalue(L, -2, 1);

    ml_options opt = {ML_OPTIONS_INIT};
    read_options(L, self, &opt);
    ml_err e = {0};
    self->L = L;
    int rc = ml_open(&self->r, &opt, &e);
    self->L = NULL;
    if (rc) return ml_lua_push_failure(L, &e);
    lua_settop(L, 2);
    return 1;
}
