/* canaries.c - starts the vault of canaries.h. */
#include "canaries.h"

enum { REPEATS = 12 };

char canary_secret[REPEATS * 16 + 1], canary_id[64];

void canary_repeat(FILE *f, const char *text, int n)
{
    for (int i = 0; i < n; i++) fprintf(f, "%s.%02d.", text, i);
}

server *canary_vault(void)
{
    char seed[] = "/tmp/moonlatch-seed-XXXXXX";
    int fd = mkstemp(seed);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    assert_non_null(f);
    fputs("{\"main\": {\"marked\": \"", f);
    canary_repeat(f, "canaryvalue", 40);
    fputs("\"}}\n", f);
    assert_int_equal(fclose(f), 0);
    f = fmemopen(canary_secret, sizeof(canary_secret), "w");
    assert_non_null(f);
    canary_repeat(f, "canaryclient", REPEATS);
    fclose(f);
    for (size_t i = 0; i < 60; i++) canary_id[i] = "abc"[i % 3];
    server *vault = vault_start("--seed", seed, "--client-secret", canary_secret,
                                "--client-id", canary_id, NULL);
    assert_int_equal(remove(seed), 0);
    return vault;
}
