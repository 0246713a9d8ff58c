/* no_dev_vault.c - a program without the dev vault: the verb says so. */
#include "cli/cli.h"

void ml_cli_add_dev_vault(lua_State *L)
{
    (void)L;
}
