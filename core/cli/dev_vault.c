/* dev_vault.c - the verb dev-vault: options from Lua to the embedded server. */
#include <lauxlib.h>

#include "cli/cli.h"

void ml_cli_add_dev_vault(lua_State *L)
{
    (void)L;
}
