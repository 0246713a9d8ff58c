/* canaries.c - starts the vault of canaries.h. */
#include "canaries.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { REPEATS = 12, VALUE_REPEATS = 40 };

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
    canary_repeat(f, "canaryvalue", VALUE_REPEATS);
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

static void write_one(const char *dir, const char *name, const char *before,
                      const char *canary, const char *behind)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    fputs(before, f);
    canary_repeat(f, canary, VALUE_REPEATS);
    fputs(behind, f);
    assert_int_equal(fclose(f), 0);
}

const char *canary_files(const server *vault)
{
    static char dir[160];
    char mount[200];
    snprintf(dir, sizeof(dir), "%s", server_file(vault, "files"));
    snprintf(mount, sizeof(mount), "%s/mount", dir);
    assert_int_equal(mkdir(dir, 0700) | mkdir(mount, 0700), 0);
    write_one(dir, "app.env", "QUOTED='several words'\nMARKED=\"", "canaryvalue",
              "\\n\"\n");
    write_one(dir, "mount/marked", "", "canaryvalue", "\n");
    write_one(dir, "vars.json", "{\"marked\": \"", "canaryvalue", "\"}\n");
    write_one(dir, "conns.json",
              "{\"marked\": {\"conn_type\": \"http\", \"password\": \"", "canaryvalue",
              "\"}}\n");
    write_one(dir, "vars.yaml", "marked: \"", "canaryvalue", "\"\n");
    return dir;
}

pid_t canary_probe(const server *vault, const char *const *arguments, const char *out)
{
    pid_t child = fork();
    if (child != 0) return child;
    setenv("VAULT_URL", vault->url, 1);
    setenv("FILES", server_file(vault, "files"), 1);
    setenv("AZURE_AUTHORITY_HOST", vault->url, 1);
    setenv("AZURE_TENANT_ID", vault->tenant_id, 1);
    setenv("AZURE_CLIENT_ID", canary_id, 1);
    setenv("AZURE_CLIENT_SECRET", canary_secret, 1);
    setenv("SSL_CERT_FILE", vault->ca_file, 1);
    int fd = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0) _exit(126);
    execv(PROBE, (char *const *)(uintptr_t)arguments);
    _exit(127);
}
