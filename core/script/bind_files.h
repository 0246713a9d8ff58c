/* bind_files.h - how a policy is read while it loads: files, and directories of them.
 */
#pragma once
#include <lua.h>

/* Adds to the table at the top of the stack, which is moonlatch.core. */
void ml_script_add_files(lua_State *L);

/* Opens a path below dir without openat2: no symbolic links at all.  -1 and errno. */
int ml_script_walk_below(int dir, const char *path);
