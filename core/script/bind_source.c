/* bind_source.c - sources as Lua sees them; source:call is where policies wait. */
#include "script/bind_source.h"

#include <lauxlib.h>
#include <string.h>

#include "base/err.h"
#include "script/bind_error.h"
#include "script/keep.h"
#include "script/options.h"
#include "script/task.h"
#include "script/verbs.h"
#include "source/environment.h"
#include "source/files.h"
#include "source/key_vault.h"

static const char CLASS[] = "moonlatch.source";

/* ---- handles ------------------------------------------------------------------- */

/* Closed until somebody fills it: an error in between leaks nothing. */
static ml_source **push_handle(lua_State *L)
{
    ml_source **h = lua_newuserdatauv(L, sizeof(ml_source *), 0);
    *h = NULL;
    luaL_setmetatable(L, CLASS);
    return h;
}

static ml_source *check_source(lua_State *L)
{
    ml_source **h = ml_script_instance(L, 1, ml_vm_of(L)->source_class);
    if (!h) h = luaL_checkudata(L, 1, CLASS); /* raises */
    luaL_argcheck(L, *h, 1, "the source is closed");
    return *h;
}

static int source_close(lua_State *L)
{
    ml_source **h = luaL_checkudata(L, 1, CLASS);
    ml_source_unref(*h);
    *h = NULL;
    return 0;
}

int ml_script_key_vault(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    ml_key_vault_options o = {
        .alias = ml_script_opt_text(L, 1, "alias"),
        .vault_url = ml_script_opt_text(L, 1, "vault_url"),
        .api_version = ml_script_opt_text(L, 1, "api_version"),
        .dns_suffix = ml_script_opt_text(L, 1, "dns_suffix"),
        .audience = ml_script_opt_text(L, 1, "audience"),
        .authority = ml_script_opt_text(L, 1, "authority"),
        .tenant_id = ml_script_opt_text(L, 1, "tenant_id"),
        .client_id = ml_script_opt_text(L, 1, "client_id"),
        .client_secret = ml_script_opt_secret(L, 1, "client_secret"),
        .skip_challenge_check = ml_script_opt_flag(L, 1, "skip_challenge_check") > 0,
    };
    ml_err e = {0};
    ml_source **h = push_handle(L);
    *h = ml_key_vault_source_new(ml_vm_of(L)->host->azure, &o, &e);
    return *h ? 1 : ml_script_raise(L, &e);
}

int ml_script_environment(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    const char *alias = ml_script_opt_text(L, 1, "alias");
    const ml_host *host = ml_vm_of(L)->host;
    ml_source **h = push_handle(L);
    *h =
        ml_environment_source_new(host->loop, host->env, alias ? alias : "environment");
    return *h ? 1 : ml_script_nomem(L);
}

static int push_files(lua_State *L, ml_files_kind kind)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    ml_str holds = ml_script_opt_str(L, 1, "holds");
    const char *path = ml_script_opt_text(L, 1, "path");
    luaL_argcheck(L, path, 1, "path is missing");
    ml_files_options o = {
        .kind = kind,
        .alias = ml_script_opt_text(L, 1, "alias"),
        .path = path,
        .is_optional = ml_script_opt_flag(L, 1, "optional") > 0,
        .trim_newline = ml_script_opt_flag(L, 1, "trim_newline") > 0,
        .shows_hidden = ml_script_opt_flag(L, 1, "hidden") > 0,
        .are_connections = ml_str_eq(holds, ML_LIT("connections")),
        .key = ml_script_opt_text(L, 1, "key"),
    };
    luaL_argcheck(L, o.alias, 1, "alias is missing");
    ml_err e = {0};
    ml_source **h = push_handle(L);
    *h = ml_files_source_new(ml_vm_of(L)->host->loop, &o, &e);
    return *h ? 1 : ml_script_raise(L, &e);
}

int ml_script_dotenv(lua_State *L)
{
    return push_files(L, ML_FILES_DOTENV);
}

int ml_script_file(lua_State *L)
{
    return push_files(L, ML_FILES_FILE);
}

int ml_script_directory(lua_State *L)
{
    return push_files(L, ML_FILES_DIRECTORY);
}

int ml_script_local_file(lua_State *L)
{
    return push_files(L, ML_FILES_LOCAL);
}

int ml_script_host_source(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    const char *alias = ml_script_opt_text(L, 1, "alias");
    const char *name = ml_script_opt_text(L, 1, "name");
    luaL_argcheck(L, alias && name, 1, "alias or name is missing");
    ml_source **h = push_handle(L);
    *h = ml_hosted_source_new(ml_vm_of(L)->host->hosted, alias, name);
    return *h ? 1 : ml_script_nomem(L);
}

/* ---- methods ------------------------------------------------------------------- */

static int source_alias(lua_State *L)
{
    lua_pushstring(L, check_source(L)->alias);
    return 1;
}

static int source_kind(lua_State *L)
{
    lua_pushstring(L, check_source(L)->kind->name);
    return 1;
}

static int source_label(lua_State *L)
{
    lua_pushstring(L, check_source(L)->label);
    return 1;
}

static int source_writable(lua_State *L)
{
    lua_pushboolean(L, check_source(L)->kind->is_writable);
    return 1;
}

static int source_tostring(lua_State *L)
{
    lua_pushfstring(L, "source %s", check_source(L)->alias);
    return 1;
}

/* source:check(key[, value]) -> true | nil, reason */
static int source_check(lua_State *L)
{
    ml_source *s = check_source(L);
    ml_str key;
    ml_err e = {0};
    key.p = luaL_checklstring(L, 2, &key.n);
    ml_secret *value = lua_isnoneornil(L, 3) ? NULL : ml_script_check_secret(L, 3);
    if (ml_source_check(s, key, value, &e) == 0) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, e.text);
    return 2;
}

/* The tags of args as an array in a userdata, which is left on the stack. */
static void read_tags(lua_State *L, int args, ml_source_call *c)
{
    if (!ml_script_opt_table(L, args, "tags")) return;
    int table = lua_gettop(L);
    size_t n = 0;
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) n++;
    ml_tag *tags = lua_newuserdatauv(L, (n + 1) * sizeof(*tags), 0);
    c->has_tags = true;
    c->tags = tags;
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING) {
            luaL_argerror(L, args, "tags are strings, by name");
        }
        ml_tag *tag = &tags[c->n_tags++];
        tag->name.p = lua_tolstring(L, -2, &tag->name.n);
        tag->value.p = lua_tolstring(L, -1, &tag->value.n);
    }
}

/* Views into the strings of args, which stay where they are until the call is started.
 */
static void read_call(lua_State *L, int args, ml_source_call *c)
{
    c->key = ml_script_opt_str(L, args, "key");
    c->version = ml_script_opt_str(L, args, "version");
    if (c->verb == ML_GET) { /* the rest describes a change */
        c->name = ml_script_opt_str(L, args, "name");
        return;
    }
    c->value = ml_script_opt_secret(L, args, "value");
    c->content_type = ml_script_opt_str(L, args, "content_type");
    c->has_content_type = c->content_type.p != NULL;
    c->enabled = ml_script_opt_flag(L, args, "enabled");
    c->not_before_s = ml_script_opt_int(L, args, "not_before_s");
    c->expires_s = ml_script_opt_int(L, args, "expires_s");
    read_tags(L, args, c);
}

/* source:call(verb, args) -> secret | array of secrets | true | nil, error; waits */
static int source_call(lua_State *L)
{
    ml_source *s = check_source(L);
    ml_verb verb = ml_verb_of(luaL_checkstring(L, 2));
    luaL_argcheck(L, verb != ML_VERB_COUNT && verb != ML_EXPLAIN, 2, "no such verb");
    if (lua_isnoneornil(L, 3)) {
        lua_settop(L, 2);
        lua_createtable(L, 0, 0);
    }
    luaL_checktype(L, 3, LUA_TTABLE);
    ml_source_call c = {.verb = verb, .trace = ml_task_events(L)};
    read_call(L, 3, &c);
    ml_task *t = ml_task_self(L); /* before there is an op that could be left behind */
    c.deadline_ms = ml_task_deadline_ms(t);
    const ml_host *host = ml_vm_of(L)->host;
    ml_keep_call how = ml_script_keep_call(L, 3, host->kept, c.version.n > 0);
    ml_task_asks(t, verb, s->alias, s->kind->name);
    ml_op *op = ml_kept_start(host->kept, host->loop, s, &c, &how, ml_task_wake, t);
    if (!op) {
        ml_task_asked_nobody(t);
        return ml_script_nomem(L);
    }
    return ml_task_await(L, t, verb, op);
}

/* Arguments 2 and 3: key, version.  False when nothing is kept. */
static bool kept_key(lua_State *L, ml_kept_key *k)
{
    ml_source *s = check_source(L);
    ml_kept *c = ml_vm_of(L)->host->kept;
    ml_str key, version;
    key.p = luaL_checklstring(L, 2, &key.n);
    version.p = luaL_optlstring(L, 3, "", &version.n);
    if (!c) return false;
    *k = ml_kept_key_of(c, s, key, version);
    return true;
}

/* source:stale(key, version, max_age_ms | keep) -> secret, age_ms | nil; waits for
 * nothing */
static int source_stale(lua_State *L)
{
    ml_kept_key k;
    return kept_key(L, &k) ? ml_script_push_stale(L, ml_vm_of(L)->host->kept, &k, 4)
                           : 0;
}

/* source:kept(key, version, keep) -> state, ms | nil without a cache; see keep.h */
static int source_kept(lua_State *L)
{
    ml_kept_key k;
    return kept_key(L, &k) ? ml_script_push_kept(L, ml_vm_of(L)->host->kept, &k, 4) : 0;
}

void ml_script_open_source(lua_State *L)
{
    static const luaL_Reg meth[] = {
        {"alias", source_alias},       {"kind", source_kind},   {"label", source_label},
        {"writable", source_writable}, {"check", source_check}, {"call", source_call},
        {"stale", source_stale},       {"kept", source_kept},   {NULL, NULL}};
    static const luaL_Reg metameth[] = {{"__gc", source_close},
                                        {"__close", source_close},
                                        {"__tostring", source_tostring},
                                        {NULL, NULL}};
    luaL_newmetatable(L, CLASS);
    ml_vm_of(L)->source_class = lua_topointer(L, -1);
    luaL_setfuncs(L, metameth, 0);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    luaL_newlib(L, meth);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}
