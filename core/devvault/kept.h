/* kept.h - what a dev vault keeps across a restart: tenant, client, secret and port. */
#pragma once
#include "devvault/server.h"

/* Puts what the store keeps where no option said otherwise; makes it if there is none
 * yet. */
int ml_dv_keep_identity(ml_dv_store *s, const ml_devvault_options *opt, ml_dv_config *c,
                        ml_err *e);
/* The port of the last run, 0 for none. */
int ml_dv_kept_port(ml_dv_store *s);
int ml_dv_keep_port(ml_dv_store *s, int port, ml_err *e);
