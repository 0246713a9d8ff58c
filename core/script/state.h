/* state.h - what the files of core/script share: the VM, found from any of its threads.
 *
 * Registry: classes by name, and by the address of the VM's members its references. */
#pragma once
#include <lauxlib.h>
#include <lua.h>

#include "script/alloc.h"
#include "script/budget.h"
#include "script/embedded.h"
#include "script/vm.h"

typedef struct ml_task ml_task;

/* A coroutine, and what keeps it alive in the registry. */
typedef struct ml_thread {
    lua_State *L;
    int ref;
} ml_thread;

enum { ML_MAX_IDLE_THREADS = 64 };

struct ml_vm {
    const ml_host *host;
    ml_alloc alloc;
    ml_budget budget;
    lua_State *L; /* the main thread: never waits */
    ml_embedded_find_fn *find;
    ml_task *running;         /* whose coroutine is being resumed, NULL: none */
    int load_ref;             /* engine.load */
    int run_ref;              /* engine.run */
    int policy_ref;           /* LUA_NOREF before the first load */
    const void *source_class; /* the metatables that are asked for most */
    const void *secret_class;
    int n_idle;
    ml_thread idle[ML_MAX_IDLE_THREADS]; /* whose calls have ended well, for the next */
};

static inline ml_vm *ml_vm_of(lua_State *L)
{
    return *(ml_vm **)lua_getextraspace(L);
}

/* luaL_testudata without a look-up by name: class is what lua_topointer says of the
 * metatable. */
static inline void *ml_script_instance(lua_State *L, int index, const void *class)
{
    void *p = lua_touserdata(L, index);
    if (!p || !lua_getmetatable(L, index)) return NULL;
    bool is_one = lua_topointer(L, -1) == class;
    lua_pop(L, 1);
    return is_one ? p : NULL;
}

/* ml_vm_new with modules of the caller's choice; for tests. */
ml_vm *ml_vm_new_with(const ml_host *host, const ml_vm_limits *limits,
                      ml_embedded_find_fn *find, ml_err *e);

/* Runs fn(arg as light userdata) on the main thread, protected and under a budget of
 * its own.  0, or the code of *e. */
int ml_vm_protect(ml_vm *vm, lua_CFunction fn, void *arg, ml_err *e);

/* Makes *e of a failed call: status as lua_pcall gave it, the error value on top of L.
 * A budget or memory limit that was hit goes before what Lua says.  Never raises. */
int ml_vm_blame(ml_vm *vm, lua_State *L, int status, ml_err *e);
