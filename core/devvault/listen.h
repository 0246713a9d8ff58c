/* listen.h - sockets that wait for clients, on loopback unless told otherwise. */
#pragma once
#include <stdbool.h>

#include "moonlatch.h"

enum { ML_DV_MAX_SOCKETS = 2 };

typedef struct ml_dv_sockets {
    int fds[ML_DV_MAX_SOCKETS];
    int n;
    int port;
    char host[64]; /* by which it can be reached, as URLs write it */
} ml_dv_sockets;

/* where: HOST:PORT with a numeric address or localhost (both loopbacks); port 0: any.
 * Non-blocking, listening.  ML_EUSAGE for a bad or remote address. */
int ml_dv_listen(ml_dv_sockets *s, const char *where, bool allow_remote, ml_err *e);
void ml_dv_sockets_close(ml_dv_sockets *s);
