/* lua_moonlatch.c - what `require "moonlatch"` returns.
 *
 *   moonlatch.version               the version, a string
 *   moonlatch.policy_airflow        the text of the policy that --policy airflow means
 *   moonlatch.open { options }      resolver | nil, err
 *     policy_file or policy_text (and policy_name); env = {NAME = "value"}, ca_file,
 *     proxy; deadline_ms, connect_ms, cache_ttl_ms (-1: no cache); log_level = "error"
 *     | "warn" | "info" | "debug", log = function(level, area, text)
 *
 *   resolver:get(name [, opts])     secret | nil, err; waits for the answer
 *   resolver:run(verb, name, opts)  {secrets = {...}, text = "..."} | nil, err
 *   resolver:explain, list, update, delete, versions, list_deleted, get_deleted,
 *   recover, purge, backup (name [, opts]);  put, restore (name, bytes [, opts])
 *   resolver:check(names_file | nil, names, opts), test(file | nil, cases, opts)
 *                                   {text = JSON}: see ML_CHECK and ML_TEST
 *   resolver:close()                also when collected
 *     opts = {context = {}, version, timeout_ms, refresh, plan_only, json,
 *     content_type, tags = {}, enabled, not_before_s, expires_s, replace_metadata}
 *
 *   secret:bytes()                  a string, or nil for metadata; from here on the
 *                                   copy is Lua's: erased only if its allocator does so
 *   secret:name(), source(), key(), version(), content_type(), recovery_id()  strings
 *   secret:tags()                   {name = value}
 *   secret:attributes()             {enabled, managed, created_s, ...}: those known
 *
 *   err                             {code, outcome, exit, text, source, key,
 *                                   http_status, service_code, request_id,
 *                                   retry_after_ms}; tostring gives text.  Wrong
 *                                   arguments raise instead. */
#include <lauxlib.h>

#include "module/module.h"

static const luaL_Reg functions[] = {
    {"open", ml_lua_open},
    {NULL, NULL},
};

int luaopen_moonlatch(lua_State *L)
{
    luaL_checkversion(L);
    ml_lua_errors_register(L);
    ml_lua_secrets_register(L);
    ml_lua_calls_register(L);
    luaL_newlib(L, functions);
    lua_pushliteral(L, ML_VERSION);
    lua_setfield(L, -2, "version");
    lua_pushliteral(L, ML_POLICY_AIRFLOW);
    lua_setfield(L, -2, "policy_airflow");
    return 1;
}
