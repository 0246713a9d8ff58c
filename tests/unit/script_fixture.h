/* script_fixture.h - a VM with a clock, sources and an engine that tests command.
 *
 * The engine is a few lines of Lua: a policy is a function that gets the call.  Its
 * source is core.environment{alias=}; what a key does is in its first letters:
 *
 *     now-*    found at once, with the value "value of KEY"
 *     slow-*   the same after 50 ms of the fixture's clock
 *     fail-*   forbidden, every field of the error set
 *     list-*   three secrets        (with a list verb)
 *     none-*   success without a secret */
#pragma once
#include "script/state.h"
#include "source/source.h"

typedef struct fixture {
    int64_t now_ms;
    bool is_real; /* the clock is the system's, and the engine our own */
    int tick_ms;  /* the clock moves by so much at every look */
    ml_clock clock;
    ml_log log;
    char logged[200]; /* the last line */
    ml_env env;
    ml_loop *loop;
    ml_host host;
    ml_vm *vm;
} fixture;

typedef struct outcome {
    int n_done;
    ml_err err;
    size_t n_secrets;
    char value[100]; /* of the first one */
    char name[100];
    char text[1000];
} outcome;

/* What a fake source was last asked. */
typedef struct asked {
    int n_started;
    int n_canceled;
    int n_sources; /* alive */
    ml_verb verb;
    int64_t deadline_ms;
    size_t n_tags;
    int enabled;
    char value[100];
    char content_type[100];
    char options[300]; /* of the last key_vault */
} asked;
extern asked fake_asked;

/* Pairs for the environment end with {NULL, NULL}; NULL: none. */
int fixture_open(fixture *f, const ml_vm_limits *limits, const ml_pair *env, ml_err *e);
/* The real engine and the real clock; the sources are the same fakes. */
int fixture_open_real(fixture *f, const ml_vm_limits *limits, const ml_pair *env,
                      ml_err *e);
/* From here on what sources say is kept; before any policy. */
void fixture_keep(fixture *f, const ml_kept_limits *limits);
void fixture_close(fixture *f);
int fixture_load(fixture *f, const char *policy, ml_err *e);
ml_op *fixture_start(fixture *f, const ml_call *call, outcome *o);
/* Loads the policy, runs "get x" and turns the loop until it is done. */
outcome fixture_run(fixture *f, const char *policy);
/* Turns, moving the clock by 10 ms (the real one is waited for), until o is done; fails
 * after 100 turns. */
void fixture_finish(fixture *f, outcome *o);
