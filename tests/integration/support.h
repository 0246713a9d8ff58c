/* support.h - for tests of the library against servers of their own: dev vaults and a
 * hostile service, each a child on a free port, killed by its process id. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/types.h>

#include "moonlatch.h"

typedef struct server {
    pid_t pid;
    int port;
    int imds_port; /* 0: none */
    char dir[128]; /* its own, removed with it */
    char url[64];  /* https://localhost:PORT */
    char ca_file[160];
    char tenant_id[64];
    char client_id[64];
    char client_secret[80];
} server;

/* A dev vault with these flags; the last one is NULL. */
#define vault_start(...) vault_start_with((const char *const[]){__VA_ARGS__})
server *vault_start_with(const char *const *flags);
/* A service that misbehaves as the secret's name asks, with the certificate of a dev
 * vault; see hostile.py.  What it was sent is in DIR/record. */
server *hostile_start(const server *vault);
/* nginx with TLS and HTTP/2 before a vault; NULL when there is no nginx. */
server *front_start(const server *vault);
void server_stop(server *s);
/* Ends the process only: nobody listens on its port.  Then, or instead, the same vault
 * with other flags. */
void server_kill(server *s);
#define vault_again(s, ...) vault_again_with(s, (const char *const[]){__VA_ARGS__})
void vault_again_with(server *s, const char *const *flags);
/* A file in the server's folder; static buffer. */
const char *server_file(const server *s, const char *name);

/* How often the vault answered an operation with a status (0: dropped, -1: any). */
int requests(const server *vault, const char *op, int status);
/* A folder and all that is in it. */
void remove_all(const char *dir);
/* The whole text of a file; the caller frees it. */
char *read_text(const char *path);
bool record_has(const server *hostile, const char *text);

/* A handle on `from`, as the service principal of `identity`, asked at `authority`. */
typedef struct setup {
    const server *vault;
    const server *authority;   /* NULL: the vault */
    const char *client_secret; /* NULL: the right one */
    const char *policy;        /* NULL: one Key Vault, every name as it is */
    const char *url;           /* NULL: the vault's */
    const ml_clock *clock;
    ml_log_fn *log;  /* hears everything */
    int deadline_ms; /* 0: a minute */
    bool has_cache;
    void (*adjust)(ml_options *o); /* the last word; may be NULL */
} setup;
ml_resolver *open_with(const setup *s);
ml_resolver *open_on(const server *vault);

/* One blocking call.  The code is returned, and the error kept in last_error. */
int run(ml_resolver *r, const ml_call *call, ml_answer **out);
int get_code(ml_resolver *r, const char *name);
extern ml_err last_error;

/* The end of a call that was started with note_end: arg points to one. */
typedef struct ending {
    bool is_over;
    int code;
} ending;
ml_done note_end; /* keeps the error in last_error */

/* The value must be this text. */
void assert_value(ml_resolver *r, const char *name, const char *value);
void put_text(ml_resolver *r, const char *name, const char *value);

int64_t now_ms(void);
/* Clocks that no busy machine can outrun.  jumping: the system's, ahead_ms ahead, so
 * that a test says when time is up.  slow: a tenth of the pace, so that what must
 * happen within seconds has ten times as long. */
extern const ml_clock jumping_clock, slow_clock;
extern atomic_llong ahead_ms;
/* What a dev vault begins with: a new file to write to, named by seed_path, and its end
 * as the teardown of a group. */
FILE *open_seed(void);
extern char seed_path[160];
int remove_seed(void **state);
/* Undoes what the person's shell sets: proxies, identities, trust. */
int clean_environment(void **state);
