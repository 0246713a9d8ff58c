/* bind_asking.h - telling the host that a source written in Lua is asked. */
#pragma once
#include <lua.h>

void ml_script_open_asking(lua_State *L);
/* core.asking(alias, verb) -> nil: nobody listens | something to close, with a method
 * ended(code word | nil); what is closed before it has ended was canceled */
int ml_script_asking(lua_State *L);
