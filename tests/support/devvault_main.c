/* devvault_main.c - the dev vault as a program of its own, for tests.
 *
 * The flags are those of `moonlatch dev-vault`. */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "devvault/devvault.h"

enum { MAX_MANY = 64 };

static const struct option flags[] = {{"listen", 1, NULL, 'l'},
                                      {"imds-listen", 1, NULL, 'm'},
                                      {"allow-remote", 0, NULL, 'R'},
                                      {"vault", 1, NULL, 'n'},
                                      {"seed", 1, NULL, 's'},
                                      {"store", 1, NULL, 'S'},
                                      {"state-dir", 1, NULL, 'd'},
                                      {"tenant-id", 1, NULL, 't'},
                                      {"client-id", 1, NULL, 'c'},
                                      {"client-secret", 1, NULL, 'x'},
                                      {"client-secret-expired", 1, NULL, 'X'},
                                      {"identity-header", 1, NULL, 'i'},
                                      {"fault", 1, NULL, 'f'},
                                      {"fault-seed", 1, NULL, 'F'},
                                      {"page-size", 1, NULL, 'p'},
                                      {"token-lifetime", 1, NULL, 'T'},
                                      {"ready-fd", 1, NULL, 'r'},
                                      {"print-env", 1, NULL, 'e'},
                                      {"verbose", 0, NULL, 'v'},
                                      {NULL, 0, NULL, 0}};

static int report(int rc, const ml_err *e)
{
    if (rc == 0) return 0;
    fprintf(stderr, "dev-vault: %s\n", e->text);
    return rc == ML_EUSAGE ? 2 : 1;
}

/* 0 means the default in the options, so a 0 that was given becomes -1. */
static bool read_int(int *n, const char *text)
{
    char *end;
    long value = strtol(text, &end, 10);
    *n = value ? (int)value : -1;
    return end != text && !*end && value >= INT_MIN && value <= INT_MAX;
}

int main(int argc, char **argv)
{
    const char *vaults[MAX_MANY], *faults[MAX_MANY], *env_dir = NULL;
    ml_devvault_options o = {.vaults = vaults, .faults = faults};
    ml_err e = {0};
    int c;
    while ((c = getopt_long(argc, argv, "v", flags, NULL)) != -1) {
        switch (c) {
        case 'l': o.listen = optarg; break;
        case 'm': o.imds_listen = optarg; break;
        case 'R': o.allow_remote = true; break;
        case 'n':
            if (o.n_vaults < MAX_MANY) vaults[o.n_vaults++] = optarg;
            break;
        case 's': o.seed_file = optarg; break;
        case 'S': o.store_file = optarg; break;
        case 'd': o.state_dir = optarg; break;
        case 't': o.tenant_id = optarg; break;
        case 'c': o.client_id = optarg; break;
        case 'x': o.client_secret = optarg; break;
        case 'X': o.client_secret_expired = optarg; break;
        case 'i': o.identity_header = optarg; break;
        case 'f':
            if (o.n_faults < MAX_MANY) faults[o.n_faults++] = optarg;
            break;
        case 'F': o.fault_seed = strtoull(optarg, NULL, 10); break;
        case 'p':
            if (!read_int(&o.page_size, optarg)) return 2;
            break;
        case 'T':
            if (!read_int(&o.token_lifetime_s, optarg)) return 2;
            break;
        case 'r':
            if (!read_int(&o.ready_fd, optarg)) return 2;
            break;
        case 'e': env_dir = optarg; break;
        case 'v': o.verbose = true; break;
        default: return 2;
        }
    }
    if (env_dir) return report(ml_devvault_print_env(env_dir, stdout, &e), &e);
    return report(ml_devvault_run(&o, &e), &e);
}
