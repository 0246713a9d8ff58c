/* devvault.h - a local Key Vault + Entra + managed identity over HTTPS, for
 * development.
 *
 * A program's part, not the library's: it handles SIGTERM, SIGINT and SIGPIPE, writes
 * its ready line to stdout and its warnings to stderr, and runs until told to stop.
 * It speaks the service's own paths, status codes and error bodies, so that any client
 * of the service works against it unchanged.  Never put real secrets into it. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "moonlatch.h"

/* Plain texts, all borrowed until ml_devvault_run returns; zero means the default. */
typedef struct ml_devvault_options {
    const char
        *listen; /* HOST:PORT; default "localhost:0" (both loopbacks, any port) */
    const char *imds_listen;   /* plain-HTTP twin for identity endpoints; NULL: none */
    bool allow_remote;         /* listen may name an address that is not loopback */
    const char *const *vaults; /* default: those of the seed file, else "dev" */
    size_t n_vaults;
    const char *seed_file;  /* JSON: {"vault": {"secret": "value" | {"value": ...}}} */
    const char *store_file; /* SQLite; NULL: in memory */
    const char *state_dir;  /* NULL: a new private one, removed at the end */
    const char *tenant_id;  /* NULL: generated, like the next two */
    const char *client_id;
    const char *client_secret;
    const char *client_secret_expired; /* refused as expired; NULL: none */
    const char *identity_header; /* of the App Service endpoint; NULL: generated */
    const char *const *faults;   /* see faults.h */
    size_t n_faults;
    uint64_t fault_seed;  /* 0: random */
    int page_size;        /* 1..25; 0: 25 */
    int token_lifetime_s; /* 0: 3599 */
    int ready_fd;         /* also gets the ready line, then is closed; 0: none */
    bool verbose;         /* one line a request on stderr */
} ml_devvault_options;

/* Serves until SIGTERM or SIGINT, then cleans up and answers 0.  ML_EUSAGE for options,
 * seed or faults that cannot be used, ML_ESYSTEM when it cannot listen or store. */
int ml_devvault_run(const ml_devvault_options *opt, ml_err *e);

/* Writes the shell exports of a dev vault whose state directory this is. */
int ml_devvault_print_env(const char *state_dir, FILE *out, ml_err *e);
