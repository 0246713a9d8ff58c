/* cli.h - the program around lua/commands: what Lua's own libraries do not do. */
#pragma once
#include <lua.h>

/* Before anything else in main: no core files, no ptrace, scrubbing allocators below
 * OpenSSL and curl, no SIGPIPE.  Returns 0, or -1 when a part of it is not possible. */
int ml_cli_harden(void);

/* `moonlatch.system`: terminals, whole files, exact writes, clock, versions. */
int ml_cli_open_system(lua_State *L);
/* Adds dev_vault(options) to the table at the top of the stack. */
void ml_cli_add_dev_vault(lua_State *L);
int ml_cli_dotenv(lua_State *L);
/* Adds watch_hup, hup_pending and read_line to the table at the top of the stack. */
void ml_cli_add_signals(lua_State *L);
/* prompt(text, echo) -> line | nil, problem. */
int ml_cli_prompt(lua_State *L);

/* Makes require find only what is built in: no file of this machine becomes code. */
void ml_cli_close_searchers(lua_State *L);
