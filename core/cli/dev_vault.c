/* dev_vault.c - the verb dev-vault: options from Lua to the embedded server.
 *
 * The texts are borrowed from the table of arguments, which outlives the run. */
#include <lauxlib.h>
#include <limits.h>
#include <stdio.h>

#include "cli/cli.h"
#include "devvault/devvault.h"
#include "module/module.h"

static const char *text_of(lua_State *L, const char *name)
{
    const char *text =
        lua_getfield(L, 1, name) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    lua_pop(L, 1);
    return text;
}

static lua_Integer number_of(lua_State *L, const char *name)
{
    lua_getfield(L, 1, name);
    lua_Integer value = lua_tointeger(L, -1);
    lua_pop(L, 1);
    return value;
}

/* 0 means the default in the options: a 0 that was given, or what fits no int, becomes
 * -1, which is refused. */
static int int_of(lua_State *L, const char *name)
{
    bool is_given = lua_getfield(L, 1, name) != LUA_TNIL;
    lua_Integer value = lua_tointeger(L, -1);
    lua_pop(L, 1);
    if (!is_given) return 0;
    return value > 0 && value <= INT_MAX ? (int)value : -1;
}

static bool is_set(lua_State *L, const char *name)
{
    lua_getfield(L, 1, name);
    bool set = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return set;
}

/* Leaves the array on the stack. */
static const char *const *texts_of(lua_State *L, const char *name, size_t *n)
{
    *n = 0;
    if (lua_getfield(L, 1, name) != LUA_TTABLE) return NULL;
    size_t count = lua_rawlen(L, -1);
    const char **texts = lua_newuserdatauv(L, (count + 1) * sizeof(*texts), 0);
    for (; *n < count; (*n)++) {
        lua_rawgeti(L, -2, (lua_Integer)*n + 1);
        texts[*n] = luaL_checkstring(L, -1);
        lua_pop(L, 1);
    }
    return texts;
}

static ml_devvault_options options_of(lua_State *L)
{
    ml_devvault_options opt = {
        .listen = text_of(L, "listen"),
        .imds_listen = text_of(L, "imds_listen"),
        .allow_remote = is_set(L, "allow_remote"),
        .seed_file = text_of(L, "seed"),
        .store_file = text_of(L, "store"),
        .state_dir = text_of(L, "state_dir"),
        .tenant_id = text_of(L, "tenant_id"),
        .client_id = text_of(L, "client_id"),
        .client_secret = text_of(L, "client_secret"),
        .client_secret_expired = text_of(L, "client_secret_expired"),
        .identity_header = text_of(L, "identity_header"),
        .fault_seed = (uint64_t)number_of(L, "fault_seed"),
        .page_size = int_of(L, "page_size"),
        .token_lifetime_s = int_of(L, "token_lifetime_s"),
        .ready_fd = int_of(L, "ready_fd"),
        .verbose = number_of(L, "verbose") > 0,
    };
    opt.vaults = texts_of(L, "vaults", &opt.n_vaults);
    opt.faults = texts_of(L, "faults", &opt.n_faults);
    return opt;
}

/* dev_vault(args) -> true | nil, error table. */
static int run_dev_vault(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    ml_err e = {0};
    const char *dir = text_of(L, "print_env");
    int rc;
    if (dir) {
        rc = ml_devvault_print_env(dir, stdout, &e);
        if (rc == 0 && fflush(stdout) != 0) {
            e = (ml_err){.code = ML_ESYSTEM, .text = "cannot write to stdout"};
            rc = ML_ESYSTEM;
        }
    } else {
        ml_devvault_options opt = options_of(L);
        rc = ml_devvault_run(&opt, &e);
    }
    if (rc) return ml_lua_push_failure(L, &e);
    lua_pushboolean(L, 1);
    return 1;
}

void ml_cli_add_dev_vault(lua_State *L)
{
    lua_pushcfunction(L, run_dev_vault);
    lua_setfield(L, -2, "dev_vault");
}
