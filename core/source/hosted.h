/* hosted.h - sources that the host of the library supplies (ml_add_source).
 *
 *     policy            resolver's thread                     host, any thread
 *     source:call  -->  op + fetch, due
 *                       report: ops->get(fetch)          -->  ... works ...
 *                       inbox  <-- wakes the loop        <--  ml_fetch_done(fetch)
 *                       collect: the op ends
 *
 * The host's functions are called without the resolver's lock, from where dones are
 * called.  ml_fetch_done takes one small lock of its own and nothing else, so hosts may
 * hold theirs; and a fetch outlives op, source and resolver until the host is done with
 * it.  Everything below but ml_fetch_done wants the resolver's lock. */
#pragma once
#include "source/source.h"

typedef struct ml_hosted ml_hosted; /* all of one resolver */

ml_hosted *ml_hosted_new(ml_loop *loop); /* NULL: out of memory */
/* From here on what the host brings is dropped.  The loop may go.  Accepts NULL. */
void ml_hosted_close(ml_hosted *h);
int ml_hosted_add(ml_hosted *h, const char *name, const ml_source_ops *ops, void *arg,
                  ml_err *e);
/* Ends the ops whose fetches are done; true when there were any: turn the loop again.
 */
bool ml_hosted_collect(ml_hosted *h);
/* The next call of a host's function that is due, or NULL. */
ml_fetch *ml_hosted_next(ml_hosted *h);
/* Makes it; without the resolver's lock. */
void ml_hosted_call(ml_fetch *f);

/* What ml.host_source stands for.  NULL: out of memory. */
ml_source *ml_hosted_source_new(ml_hosted *h, const char *alias, const char *name);
