/* task.h - one call: a coroutine that runs engine.run, and the op that stands for it.
 *
 * A binding that waits does, in this order:
 *
 *     ml_task *t = ml_task_self(L);                raises where waiting is impossible
 *     ml_op *op = start(..., ml_task_wake, t);     finishes later, from the loop
 *     return ml_task_await(L, t, verb, op);        the only lua_yield there is
 *
 * and its Lua caller gets what the op brought, or nil and an error table. */
#pragma once
#include "script/bind_secret.h"
#include "script/state.h"
#include "source/flight.h"

ml_task *ml_task_self(lua_State *L);
int ml_task_await(lua_State *L, ml_task *t, ml_verb verb, ml_op *op);
/* The same for an op whose answer is more than secrets: push makes Lua values of it, at
 * most four, also when it has failed, and answers how many. */
typedef int ml_task_push(lua_State *L, ml_op *op, ml_secret_handle **list);
int ml_task_await_value(lua_State *L, ml_task *t, ml_task_push *push, ml_op *op);
/* The ml_op_done of the op that a task waits for; arg is the task. */
void ml_task_wake(ml_op *child, void *arg);

int64_t ml_task_deadline_ms(const ml_task *t);
/* Is the call's deadline past?  Then waiting again would only go round in circles:
 * answers at once, so that a loop runs into its budget. */
bool ml_task_is_late(lua_State *L, const ml_task *t);
/* Of the call that runs now; NULL while none does (a policy loads). */
ml_trace *ml_task_trace(lua_State *L);
/* Where sources note what happens; NULL unless the call is to be explained. */
ml_trace *ml_task_events(lua_State *L);
/* The call that runs now, as one that flights know; NULL while none does. */
ml_asker *ml_task_asker(lua_State *L);
/* Its answer comes from this rule: "file:line".  Kept when somebody hears of it. */
void ml_task_by_rule(lua_State *L, const char *where);
/* What it is about to wait for is this source, whose texts live as long; what is
 * started next is the source's part of the trace.  When nothing could be: asked_nobody.
 */
void ml_task_asks(ml_task *t, ml_verb verb, const char *source, const char *kind);
void ml_task_asked_nobody(ml_task *t);
/* Its answer is made of something that holds until then. */
void ml_task_used(lua_State *L, int64_t fresh_until_ms);
ml_secret_handle **ml_task_secrets(lua_State *L);
/* What the code that runs may do besides planning: only sources written in Lua get any.
 * NULL as above. */
enum { ML_MAY_FETCH = 1, ML_MAY_EXEC = 2 };
unsigned *ml_task_rights(lua_State *L);
/* How many events of the trace Lua has seen already; NULL as above. */
size_t *ml_task_events_seen(lua_State *L);
