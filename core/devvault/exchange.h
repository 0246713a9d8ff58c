/* exchange.h - between libevent's HTTP and the endpoints: begin, and deliver. */
#pragma once
#include "devvault/server.h"

enum { ML_DV_LARGEST_BODY = 64 * 1024 * 1024 };

/* NULL when the request cannot be used at all; it has been answered then. */
ml_dv_exchange *ml_dv_exchange_new(ml_dv *dv, struct evhttp_request *req);
/* Sends the answer as its delivery and delay say, then frees the exchange. */
void ml_dv_exchange_finish(ml_dv_exchange *x);
/* Frees the answers that still wait; nothing is sent. */
void ml_dv_exchange_abandon_all(ml_dv *dv);
