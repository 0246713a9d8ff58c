/* bind_core.c - the module "moonlatch.core": what the engine in Lua gets from C. */
#include "script/bind_core.h"

#include <lauxlib.h>
#include <string.h>

#include "base/clock.h"
#include "script/bind_asking.h"
#include "script/bind_bytes.h"
#include "script/bind_exec.h"
#include "script/bind_files.h"
#include "script/bind_http.h"
#include "script/bind_json.h"
#include "script/bind_json_body.h"
#include "script/bind_kept.h"
#include "script/bind_memo.h"
#include "script/bind_scope.h"
#include "script/bind_secret.h"
#include "script/bind_source.h"
#include "script/bind_value.h"
#include "script/bytes.h"
#include "script/task.h"

/* core.env(name) -> string | nil */
static int core_env(lua_State *L)
{
    lua_pushstring(L, ml_env_get(ml_vm_of(L)->host->env, luaL_checkstring(L, 1)));
    return 1;
}

/* core.env_secret(name) -> secret | nil; the value never becomes a Lua string */
static int core_env_secret(lua_State *L)
{
    const char *value = ml_env_get(ml_vm_of(L)->host->env, luaL_checkstring(L, 1));
    if (value && value[0])
        ml_script_push_bytes(L, ml_str_of(value), NULL);
    else
        lua_pushnil(L);
    return 1;
}

typedef struct name_filter {
    lua_State *L; /* the result table on top */
    ml_str prefix;
} name_filter;

static void push_name(void *arg, ml_str name)
{
    name_filter *f = arg;
    if (!ml_str_starts(name, f->prefix)) return;
    lua_pushlstring(f->L, name.p, name.n);
    lua_rawseti(f->L, -2, (lua_Integer)lua_rawlen(f->L, -2) + 1);
}

/* core.env_names(prefix) -> array of names; a name may come twice */
static int core_env_names(lua_State *L)
{
    name_filter f = {.L = L};
    f.prefix.p = luaL_checklstring(L, 1, &f.prefix.n);
    lua_newtable(L);
    ml_env_each(ml_vm_of(L)->host->env, push_name, &f);
    return 1;
}

/* core.secret(text) -> secret: a value that stands in the policy, as a rule's default.
 * Its memory is not Lua's: the budget stands in for the cap. */
static int core_secret(lua_State *L)
{
    ml_str text;
    text.p = luaL_checklstring(L, 1, &text.n);
    ml_budget_spend(&ml_vm_of(L)->budget, L, (int64_t)text.n);
    ml_script_push_bytes(L, text, NULL);
    return 1;
}

/* core.spend(work): a library function is about to do as much as so many instructions;
 * counts outside of core.limited, too */
static int core_spend(lua_State *L)
{
    ml_budget_spend(&ml_vm_of(L)->budget, L, luaL_checkinteger(L, 1));
    return 0;
}

/* core.renew_budget() -> nothing, or what was exceeded: what runs from now on is
 * another file's, or about another name, and has a budget of its own.  Inside the door
 * it is too late for that once the budget was exceeded: raises. */
static int core_renew_budget(lua_State *L)
{
    ml_budget *b = &ml_vm_of(L)->budget;
    ml_err e = {0};
    if (lua_gethookmask(L) != 0) ml_budget_demand(b, L);
    int code = ml_budget_check(b, &e);
    ml_budget_begin(b, L);
    if (code == 0) return 0;
    lua_pushstring(L, e.text);
    return 1;
}

/* core.used_instructions() -> those of the policy's code that ran last, and the budget
 */
static int core_used_instructions(lua_State *L)
{
    const ml_budget *b = &ml_vm_of(L)->budget;
    lua_pushinteger(L, b->used);
    lua_pushinteger(L, b->max_instructions);
    return 2;
}

/* core.same(secret, text) -> are these the secret's bytes?  Not for policies: who may
 * guess and ask learns the value. */
static int core_same(lua_State *L)
{
    size_t n, n_text;
    const void *p = ml_secret_data(ml_script_check_secret(L, 1), &n);
    const char *text = luaL_checklstring(L, 2, &n_text);
    lua_pushboolean(L, p && n == n_text && (n == 0 || memcmp(p, text, n) == 0));
    return 1;
}

static const char *const levels[] = {"error", "warn", "info", "debug", NULL};

/* core.log_wants(level): would such a line reach anybody? */
static int core_log_wants(lua_State *L)
{
    int level = luaL_checkoption(L, 1, NULL, levels);
    lua_pushboolean(L, ml_log_wants(ml_vm_of(L)->host->log, (ml_log_level)level));
    return 1;
}

/* core.log(level, area, text) */
static int core_log(lua_State *L)
{
    int level = luaL_checkoption(L, 1, NULL, levels);
    const char *area = luaL_checkstring(L, 2);
    const char *text = luaL_checkstring(L, 3);
    ml_logf(ml_vm_of(L)->host->log, (ml_log_level)level, area, "%s", text);
    return 0;
}

/* core.now_ms() -> milliseconds since this call began; while a policy loads, since any
 * time before */
static int core_now_ms(lua_State *L)
{
    const ml_trace *t = ml_task_trace(L);
    lua_pushinteger(L, ml_mono_ms(ml_vm_of(L)->host->clock) - (t ? t->began_ms : 0));
    return 1;
}

/* core.keep_at_most(ms): the answer of this call is kept no longer than that; nil: than
 * a missing is, by default */
static int core_keep_at_most(lua_State *L)
{
    const ml_host *host = ml_vm_of(L)->host;
    if (!host->kept) return 0;
    int64_t ms =
        luaL_optinteger(L, 1, ml_kept_default(host->kept, false).negative_ttl_ms);
    ml_task_used(L, ml_mono_ms(host->clock) + (ms > 0 ? ms : 0));
    return 0;
}

/* core.by_rule(where): this call is answered as that rule says; for metrics */
static int core_by_rule(lua_State *L)
{
    ml_task_by_rule(L, luaL_checkstring(L, 1));
    return 0;
}

/* core.wall_s() -> the host's wall clock, seconds since 1970 */
static int core_wall_s(lua_State *L)
{
    lua_pushinteger(L, ml_wall_s(ml_vm_of(L)->host->clock));
    return 1;
}

static void push_event(lua_State *L, const ml_trace_event *ev)
{
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, ev->at_ms);
    lua_setfield(L, -2, "at_ms");
    lua_pushstring(L, ev->what);
    lua_setfield(L, -2, "what");
    lua_pushstring(L, ev->text);
    lua_setfield(L, -2, "text");
}

/* core.events() -> array of {at_ms=, what=, text=}, those since the last time */
static int core_events(lua_State *L)
{
    const ml_trace *t = ml_task_trace(L);
    size_t *seen = ml_task_events_seen(L);
    lua_createtable(L, 0, 0);
    for (lua_Integer n = 1; t && *seen < t->n; n++) {
        push_event(L, &t->events[*seen]);
        lua_rawseti(L, -2, n);
        ++*seen;
    }
    return 1;
}

/* For sources that are written in Lua. */
static void set_source_functions(lua_State *L)
{
    static const luaL_Reg functions[] = {{"http", ml_script_http},
                                         {"exec", ml_script_exec},
                                         {"memo", ml_script_memo},
                                         {"rights", ml_script_rights},
                                         {"left_ms", ml_script_left_ms},
                                         {"now", ml_script_now},
                                         {"utc", ml_script_utc},
                                         {"exec_allowed", ml_script_exec_allowed},
                                         {"describe", ml_script_describe},
                                         {"module_text", ml_script_module_text},
                                         {"secret_text", ml_script_secret_text},
                                         {"join", ml_script_join},
                                         {"hex", ml_script_hex},
                                         {"base64", ml_script_base64},
                                         {"base64_decode", ml_script_base64_decode},
                                         {"url_encode", ml_script_url_encode},
                                         {"chomp", ml_script_chomp},
                                         {"sha256", ml_script_sha256},
                                         {"hmac_sha256", ml_script_hmac_sha256},
                                         {"json_field", ml_script_json_field},
                                         {"json_text", ml_script_json_text},
                                         {"json_texts", ml_script_json_texts},
                                         {"json_encode", ml_script_json_encode},
                                         {NULL, NULL}};
    ml_script_open_bytes(L);
    ml_script_open_memo(L);
    ml_script_open_asking(L);
    luaL_setfuncs(L, functions, 0);
}

void ml_script_push_core(lua_State *L)
{
    static const luaL_Reg functions[] = {{"key_vault", ml_script_key_vault},
                                         {"environment", ml_script_environment},
                                         {"dotenv", ml_script_dotenv},
                                         {"file", ml_script_file},
                                         {"directory", ml_script_directory},
                                         {"local_file", ml_script_local_file},
                                         {"host_source", ml_script_host_source},
                                         {"with_name", ml_script_with_name},
                                         {"env", core_env},
                                         {"env_secret", core_env_secret},
                                         {"env_names", core_env_names},
                                         {"secret", core_secret},
                                         {"same", core_same},
                                         {"renew_budget", core_renew_budget},
                                         {"used_instructions", core_used_instructions},
                                         {"env_json", ml_script_env_json},
                                         {"log", core_log},
                                         {"log_wants", core_log_wants},
                                         {"limited", ml_script_limited},
                                         {"spend", core_spend},
                                         {"now_ms", core_now_ms},
                                         {"kept", ml_script_kept},
                                         {"asking", ml_script_asking},
                                         {"keep_at_most", core_keep_at_most},
                                         {"by_rule", core_by_rule},
                                         {"wall_s", core_wall_s},
                                         {"field", ml_script_field},
                                         {"decode", ml_script_decode},
                                         {"value_problem", ml_script_value_problem},
                                         {"transform", ml_script_transform},
                                         {"is_pointer", ml_script_is_pointer},
                                         {"events", core_events},
                                         {NULL, NULL}};
    ml_script_open_secret(L);
    ml_script_open_source(L);
    ml_script_open_json(L);
    ml_script_open_kept(L);
    luaL_newlib(L, functions);
    set_source_functions(L);
    ml_script_add_files(L);
    lua_pushlightuserdata(L, NULL); /* the same as cjson.null */
    lua_setfield(L, -2, "null");
}
