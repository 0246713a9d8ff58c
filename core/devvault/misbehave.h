/* misbehave.h - the faults that strike any answer, whatever it is about. */
#pragma once
#include "devvault/server.h"

/* Before anything is done.  False: the request has been answered, badly. */
bool ml_dv_misbehave_before(ml_dv_exchange *x);
/* On the finished answer of a request that succeeded. */
void ml_dv_misbehave_after(ml_dv_exchange *x);
