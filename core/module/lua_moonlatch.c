/* lua_moonlatch.c - what `require "moonlatch"` returns.
 *
 *   moonlatch.version               the version, a string
 *   moonlatch.policy_airflow        an Airflow user's policy; names in full:
 *                                   airflow/variables/x
 *   moonlatch.open { options }      resolver | nil, err
 *     options = {policy_file or policy_text (and policy_name), env = {NAME = "value"},
 *     ca_file, proxy, deadline_ms, connect_ms, cache_ttl_ms (-1: no cache), budget_dir,
 *     log = function(level, area, text), log_level = "error", "warn", "info", "debug"}
 *
 *   resolver:get(name [, opts])     secret | nil, err; waits for the answer
 *   resolver:run(verb, name, opts)  {secrets = {...}, text = "..."} | nil, err
 *   resolver:explain, list, update, delete, versions, list_deleted, get_deleted,
 *   recover, purge, backup (name [, opts]);  put, restore (name, bytes [, opts])
 *   resolver:check(names_file | nil, names, opts), test(file | nil, cases, opts)
 *                                   {text = JSON}: see ML_CHECK and ML_TEST
 *   resolver:reload(), forget([pattern])   true | nil, err: see ml_reload, ml_forget
 *   resolver:close()                also when collected; what is in flight ends with
 *                                   the code "canceled"
 *
 *   resolver:start(verb, name, [bytes,] opts, fn)   request | nil, err; opts may be nil
 *                                   fn(answer | nil, err) is called exactly once, from
 *                                   a step or from close; answer is what the verb's
 *                                   own method would have returned
 *   request:cancel()                its fn sees the code "canceled"
 *   request:deadline(ms)            brings its end forward
 *   resolver:fd(), timeout_ms()     an event loop watches fd for reading, and calls
 *   resolver:step([max_wait_ms])    number of requests ended; waits so long (default 0,
 *                                   -1: for something).  fn may do everything here:
 *                                   start, wait, yield, close.  Its error is raised by
 *                                   the step; the fns after it are the next step's
 *   resolver:pollfd(), events()     so that cqueues.poll(resolver) waits for it
 *   resolver:await(verb, name, [bytes,] opts [, signal])   answer | nil, err
 *                                   from a coroutine: yields until a step elsewhere has
 *                                   the answer and resumes it.  In a loop that alone
 *                                   resumes its coroutines, signal is what it waits by:
 *                                   an object with wait() and signal(), such as a
 *                                   cqueues condition
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
 *                                   retry_after_ms}; tostring gives text.  What is
 *                                   of a wrong type, or no option, raises instead.
 *
 * Statistics, metrics and spans are the C host's (moonlatch.h): not here yet. */
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
    ml_lua_requests_register(L);
    luaL_newlib(L, functions);
    lua_pushliteral(L, ML_VERSION);
    lua_setfield(L, -2, "version");
    lua_pushliteral(L, ML_POLICY_AIRFLOW);
    lua_setfield(L, -2, "policy_airflow");
    return 1;
}
