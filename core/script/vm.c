/* vm.c - the Lua VM of one resolver: state, modules, loading a policy.
 *
 * Every entry from the host is protected; see ml_vm_protect here and run() in task.c.
 */
#include "script/vm.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "script/bind_core.h"
#include "script/bind_error.h"
#include "script/cjson_glue.h"
#include "script/state.h"
#include "script/stdlib.h"

enum {
    DEFAULT_MAX_BYTES = 64 * 1024 * 1024,
    DEFAULT_MAX_INSTRUCTIONS = 10 * 1000 * 1000,
    DEFAULT_DEADLINE_MS = 500
};

/* ---- protected entries --------------------------------------------------------- */

static int blame_memory(const ml_vm *vm, ml_err *e)
{
    ml_err_clear(e);
    if (vm->alloc.refusal == ML_ALLOC_TABLE)
        return ml_fail(e, ML_EPOLICY,
                       "the policy has a table of more than %d keys; take several",
                       ML_ALLOC_MAX_KEYS);
    if (vm->alloc.refusal != ML_ALLOC_CAPPED)
        return ml_fail(e, ML_ENOMEM, "out of memory");
    return ml_fail(
        e, ML_EPOLICY,
        "the policy needs too much memory: more than %zu KiB; look for a text "
        "or a table that grows without end, or raise lua_max_bytes",
        vm->alloc.max_bytes / 1024);
}

/* Lua code that caught the error may have made a text of it. */
static bool is_about_memory(const ml_vm *vm, const ml_err *e)
{
    return vm->alloc.refusal != ML_ALLOC_FINE && e->code == ML_EPOLICY &&
           strstr(e->text, "not enough memory");
}

int ml_vm_blame(ml_vm *vm, lua_State *L, int status, ml_err *e)
{
    ml_err scratch;
    if (!e) e = &scratch;
    ml_err_clear(e);
    if (ml_budget_check(&vm->budget, e) != 0) return e->code;
    if (status == LUA_ERRMEM) return blame_memory(vm, e);
    if (!lua_checkstack(L, 4)) return ml_fail(e, ML_ENOMEM, "out of memory");
    ml_script_take_err(L, -1, e);
    return is_about_memory(vm, e) ? blame_memory(vm, e) : e->code;
}

int ml_vm_protect(ml_vm *vm, lua_CFunction fn, void *arg, ml_err *e)
{
    lua_State *L = vm->L;
    int code = 0;
    vm->alloc.refusal = ML_ALLOC_FINE;
    ml_budget_begin(&vm->budget, L);
    lua_pushcfunction(L, fn);
    lua_pushlightuserdata(L, arg);
    int status = lua_pcall(L, 1, 0, 0);
    if (status != LUA_OK) code = ml_vm_blame(vm, L, status, e);
    lua_settop(L, 0);
    return code;
}

/* ---- modules ------------------------------------------------------------------- */

/* Marks a module whose body runs: asked for again, it requires itself. */
static void push_loading_mark(lua_State *L)
{
    lua_pushlightuserdata(L, ml_vm_of(L));
}

/* lua-cjson on demand only: its buffers do not count against the cap, and it ends the
 * process when there is no memory for them. */
static void push_loader(lua_State *L, const char *name)
{
    const ml_embedded *m = ml_vm_of(L)->find(name);
    if (m) {
        if (ml_embedded_load(L, m) != LUA_OK) lua_error(L);
    } else if (strcmp(name, "cjson") == 0) {
        lua_pushcfunction(L, ml_open_cjson);
    } else {
        luaL_error(L, "module '%s' does not exist; policies have moonlatch.policy",
                   name);
    }
}

/* require(name): embedded modules only; no files, no search path.  Upvalue: loaded. */
static int require(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    lua_settop(L, 1);
    push_loading_mark(L);
    if (lua_getfield(L, lua_upvalueindex(1), name) != LUA_TNIL) {
        if (lua_rawequal(L, 2, 3))
            return luaL_error(L, "module '%s' requires itself", name);
        return 1;
    }
    push_loader(L, name);
    lua_pushvalue(L, 2);
    lua_setfield(L, lua_upvalueindex(1), name);
    lua_pushvalue(L, 1);
    int status = lua_pcall(L, 1, 1, 0);
    if (status == LUA_OK && lua_isnil(L, -1)) lua_pushboolean(L, 1);
    if (status == LUA_OK)
        lua_pushvalue(L, -1);
    else
        lua_pushnil(L); /* to be tried again */
    lua_setfield(L, lua_upvalueindex(1), name);
    return status == LUA_OK ? 1 : lua_error(L);
}

static void open_modules(lua_State *L)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    ml_script_push_core(L);
    lua_setfield(L, -2, "moonlatch.core");
    lua_pushcclosure(L, require, 1);
    lua_setglobal(L, "require");
}

static int function_of(lua_State *L, const char *name)
{
    if (lua_getfield(L, -1, name) != LUA_TFUNCTION) {
        luaL_error(L, "moonlatch.engine has no function '%s'", name);
    }
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

/* Protected: everything that a fresh state needs. */
static int open_vm(lua_State *L)
{
    ml_vm *vm = lua_touserdata(L, 1);
    ml_script_open_stdlib(L);
    open_modules(L);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "moonlatch.engine");
    lua_call(L, 1, 1);
    luaL_checktype(L, -1, LUA_TTABLE);
    vm->load_ref = function_of(L, "load");
    vm->run_ref = function_of(L, "run");
    return 0;
}

/* ---- life ---------------------------------------------------------------------- */

/* From now on; the engine's own loading is no policy. */
static ml_vm *limit_policies(ml_vm *vm, const ml_vm_limits *limits)
{
    int64_t max = limits->max_instructions;
    int deadline_ms = limits->deadline_ms;
    ml_budget_init(&vm->budget, vm->host->clock,
                   max > 0 ? max : DEFAULT_MAX_INSTRUCTIONS,
                   deadline_ms > 0 ? deadline_ms : DEFAULT_DEADLINE_MS);
    return vm;
}

ml_vm *ml_vm_new_with(const ml_host *host, const ml_vm_limits *limits,
                      ml_embedded_find_fn *find, ml_err *e)
{
    ml_vm *vm = calloc(1, sizeof(*vm));
    if (!vm) {
        ml_fail(e, ML_ENOMEM, "out of memory");
        return NULL;
    }
    vm->host = host;
    vm->find = find;
    vm->policy_ref = LUA_NOREF;
    vm->alloc.max_bytes = limits->max_bytes ? limits->max_bytes : DEFAULT_MAX_BYTES;
    vm->alloc.on_big = ml_budget_on_big;
    vm->alloc.arg = vm;
    ml_budget_init(&vm->budget, host->clock, INT64_MAX, INT32_MAX); /* the engine */
    vm->L = lua_newstate(ml_alloc_lua, &vm->alloc);
    if (vm->L) *(ml_vm **)lua_getextraspace(vm->L) = vm;
    if (!vm->L)
        blame_memory(vm, e);
    else if (ml_vm_protect(vm, open_vm, vm, e) == 0)
        return limit_policies(vm, limits);
    ml_vm_free(vm);
    return NULL;
}

ml_vm *ml_vm_new(const ml_host *host, const ml_vm_limits *limits, ml_err *e)
{
    return ml_vm_new_with(host, limits, ml_embedded_find, e);
}

void ml_vm_free(ml_vm *vm)
{
    if (!vm) return;
    if (vm->L) lua_close(vm->L);
    ml_alloc_fini(&vm->alloc);
    free(vm);
}

/* ---- policy -------------------------------------------------------------------- */

typedef struct loading {
    ml_vm *vm;
    const ml_policy_from *from;
} loading;

/* Protected: engine.load(text, name, path, runs_tests), kept instead of the policy
 * before. */
static int load_policy(lua_State *L)
{
    const loading *p = lua_touserdata(L, 1);
    ml_vm *vm = p->vm;
    const ml_policy_from *from = p->from;
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->load_ref);
    if (from->path)
        lua_pushnil(L);
    else
        lua_pushlstring(L, from->text.n ? from->text.p : "", from->text.n);
    lua_pushstring(L, from->name);
    lua_pushstring(L, from->path);
    lua_pushboolean(L, from->runs_tests);
    lua_call(L, 4, 1);
    ml_budget_demand(&vm->budget, L);
    if (lua_isnil(L, -1)) return luaL_error(L, "%s returns no policy", from->name);
    int ref = luaL_ref(L, LUA_REGISTRYINDEX);
    luaL_unref(L, LUA_REGISTRYINDEX, vm->policy_ref);
    vm->policy_ref = ref;
    return 0;
}

/* The policy before goes at once, with what it held, save what calls still need. */
int ml_vm_load_from(ml_vm *vm, const ml_policy_from *from, ml_err *e)
{
    bool is_first = vm->policy_ref == LUA_NOREF;
    loading p = {vm, from};
    int rc = ml_vm_protect(vm, load_policy, &p, e);
    if (rc == 0 && !is_first) lua_gc(vm->L, LUA_GCCOLLECT);
    return rc;
}

int ml_vm_load(ml_vm *vm, ml_str text, const char *chunkname, ml_err *e)
{
    return ml_vm_load_from(vm, &(ml_policy_from){.text = text, .name = chunkname}, e);
}

size_t ml_vm_bytes(const ml_vm *vm)
{
    return vm->alloc.used_bytes;
}
