/* probe_search.c - a process that searches its own writable memory for canaries. */
#include "probe_search.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MASK = 0x15, NEAR = 512 };

probe_canary probe_canaries[PROBE_CANARIES] = {
    {"value", {"\x76\x74\x7b\x74\x67\x6c\x63\x74\x79\x60\x70"}, 0},
    {"client_secret", {"\x76\x74\x7b\x74\x67\x6c\x76\x79\x7c\x70\x7b\x61"}, 0},
    {"token",
     {"\x4c\x42\x5f\x7f\x4c\x42\x5f\x7f\x4c\x42\x5f\x7f",
      "\x4c\x78\x5b\x7d\x4c\x78\x5b\x7d\x4c\x78\x5b\x7d",
      "\x4c\x27\x53\x7c\x4c\x27\x53\x7c\x4c\x27\x53\x7c"},
     0},
};

static bool is_at(const volatile char *p, const char *masked, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if ((p[i] ^ MASK) != masked[i]) return false;
    }
    return true;
}

/* Copies of one canary in a range; hits close to each other are one copy. */
static int count(const char *from, const char *to, const char *masked, bool show)
{
    int n = 0;
    size_t len = strlen(masked);
    const char *last = NULL;
    for (const char *p = from; p + len <= to; p++) {
        if ((*p ^ MASK) != masked[0] || !is_at(p, masked, len)) continue;
        if (last && p - last < NEAR) {
            last = p;
            continue;
        }
        last = p;
        n++;
        if (!show) continue;
        fprintf(stderr, "  at %p: ", (const void *)p);
        for (const char *c = p - 96 < from ? from : p - 96; c < p; c++) {
            fputc(*c >= ' ' && *c <= '~' ? *c : '.', stderr);
        }
        fputc('\n', stderr);
    }
    return n;
}

/* The strings of the environment: the process's, not ours. */
static void environment(const char **from, const char **to)
{
    unsigned long at[2] = {0, 0};
    char text[4096] = "";
    FILE *f = fopen("/proc/self/stat", "re");
    if (f && fgets(text, sizeof(text), f)) {
        char *p = strrchr(text, ')');
        for (int field = 3; p && field <= 51; field++) { /* 50 and 51, see proc(5) */
            p = strchr(p + 1, ' ');
            if (p && field >= 50) at[field - 50] = strtoul(p, NULL, 10);
        }
    }
    if (f) fclose(f);
    *from = (const char *)(uintptr_t)at[0];
    *to = (const char *)(uintptr_t)at[1];
}

static void search_range(const char *from, const char *to, const char *name, bool show)
{
    for (int i = 0; i < PROBE_CANARIES; i++) {
        for (int k = 0; k < 3 && probe_canaries[i].masked[k]; k++) {
            int n = count(from, to, probe_canaries[i].masked[k], show);
            probe_canaries[i].found += n;
            if (n && show) {
                fprintf(stderr, "  %d of %s in %s\n", n, probe_canaries[i].name, name);
            }
        }
    }
}

/* Everything writable: heap, stacks, anonymous memory, data of programs and libraries.
 */
void probe_search(bool show)
{
    char line[512];
    const char *env_from, *env_to;
    environment(&env_from, &env_to);
    for (int i = 0; i < PROBE_CANARIES; i++) probe_canaries[i].found = 0;
    FILE *f = fopen("/proc/self/maps", "re");
    while (f && fgets(line, sizeof(line), f)) {
        char *at; /* FROM-TO rw-p OFFSET DEVICE INODE   NAME */
        const char *from = (const char *)(uintptr_t)strtoul(line, &at, 16);
        if (*at != '-') continue;
        const char *to = (const char *)(uintptr_t)strtoul(at + 1, &at, 16);
        if (strncmp(at, " rw", 3) != 0) continue;
        at[strcspn(at, "\n")] = '\0';
        for (int i = 0; i < 4; i++) {
            at += strspn(at, " ");
            at += strcspn(at, " ");
        }
        at += strspn(at, " ");
        if (env_from >= from && env_to <= to) {
            search_range(from, env_from, at, show);
            from = env_to;
        }
        search_range(from, to, at, show);
    }
    if (f) fclose(f);
}
