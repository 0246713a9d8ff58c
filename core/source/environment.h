/* environment.h - environment variables as a source: key = variable name, get and list.
 */
#pragma once
#include "base/env.h"
#include "source/source.h"

/* Borrows env and loop.  NULL when out of memory. */
ml_source *ml_environment_source_new(ml_loop *loop, const ml_env *env,
                                     const char *alias);
