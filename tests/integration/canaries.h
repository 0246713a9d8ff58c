/* canaries.h - a vault whose value, client secret and tokens can be recognised in
 * memory: each holds a short text many times over, so that a copy is found also when
 * part of it was overwritten. */
#pragma once
#include "support.h"

/* Starts it: the secret `marked` holds "canaryvalue" over and over; the client secret
 * "canaryclient"; tokens the base64 of "abcabc...", the client's id. */
server *canary_vault(void);
extern char canary_secret[], canary_id[];
/* text, over and over, n times. */
void canary_repeat(FILE *f, const char *text, int n);
/* Files for every kind of source that is one, in a folder of the vault's: the same
 * value. */
const char *canary_files(const server *vault);

/* What malloc under libcurl and OpenSSL may have left of tokens after the probe. */
enum { CANARY_MOST_OF_TOKENS = 20 };
/* The probe (memory_probe.c), with the vault's environment and these arguments, which
 * end with NULL; what it says goes to a file of the vault's.  -> its process. */
pid_t canary_probe(const server *vault, const char *const *arguments, const char *out);
