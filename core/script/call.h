/* call.h - ml_call as the table that engine.run gets. */
#pragma once
#include <lua.h>

#include "script/bind_secret.h"

/* Pushes {verb=, name=, context={}, ...}; a value becomes a handle in list. */
/* In ml_call.flags, of our own calls only: what is kept answers unless it is late in
 * its time. */
enum { ML_REFRESH_EARLY = 1 << 16 };

void ml_script_push_call(lua_State *L, const ml_call *call, int64_t cached_ms,
                         ml_secret_handle **list);
