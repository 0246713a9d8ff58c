/* config.h - options checked, and what was left out filled in. */
#pragma once
#include "devvault/server.h"

/* ML_EUSAGE says which option is wrong.  seed_text may be empty. */
int ml_dv_config_init(ml_dv_config *c, const ml_devvault_options *opt, ml_str seed_text,
                      ml_err *e);
void ml_dv_config_fini(ml_dv_config *c);
