/* host.h - what the Lua side may use of the C side.  Filled by resolver.c. */
#pragma once
#include "azure/azure.h"
#include "base/env.h"
#include "io/loop.h"
#include "source/hosted.h"
#include "source/kept.h"

typedef struct ml_host {
    ml_loop *loop;
    ml_azure *azure;
    const ml_env *env;
    const ml_log *log;
    const ml_clock *clock;
    ml_kept *kept;     /* NULL: no cache */
    bool allow_exec;   /* may policies run programs? */
    ml_hosted *hosted; /* sources that the host of the library supplies */
} ml_host;
