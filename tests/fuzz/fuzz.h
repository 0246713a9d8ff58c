/* fuzz.h - what a fuzz target is: one function over bytes, and texts to start from.
 *
 * The function has libFuzzer's name, so that a target also links to libFuzzer in place
 * of fuzz_main.c (clang -fsanitize=fuzzer). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

extern const char *const fuzz_seeds[]; /* ends in NULL */

/* Stops the run when a claim about an input does not hold. */
#define FUZZ_CLAIM(claim)                                                              \
    do {                                                                               \
        if (!(claim)) fuzz_stop(__FILE__, __LINE__, #claim);                           \
    } while (0)

static inline void fuzz_stop(const char *file, int line, const char *claim)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, claim);
    abort();
}

/* Is there an '@' between "https://" and the path, where a user name would be? */
static inline bool fuzz_has_userinfo(const char *url)
{
    return strcspn(url + 8, "@") < strcspn(url + 8, "/");
}
