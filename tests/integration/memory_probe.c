/* memory_probe.c - a host that gets secrets, lets everything go, and then searches its
 * own writable memory for what should not be there any more.
 *
 *     memory_probe plain|scrubbing      (VAULT_URL, AZURE_*, SSL_CERT_FILE are set)
 *
 * plain: libcurl and OpenSSL use malloc.  They do not erase what they free: copies of
 * theirs are counted and allowed (README, "Limits").
 * scrubbing: both get an allocator that does, so what is found then is ours: nothing is
 * allowed but the environment itself, which belongs to the process.
 *
 * Prints one line a canary: copies while the handle is open, copies after close.
 * Exit 0: nothing that is not allowed.  1: found.  2: a call failed. */
#include <curl/curl.h>
#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moonlatch.h"

/* ---- an allocator that leaves nothing
 * ------------------------------------------------ */

typedef union head {
    size_t size;
    max_align_t align;
} head;

static void *take(size_t size)
{
    head *h = malloc(sizeof(*h) + size);
    if (!h) return NULL;
    h->size = size;
    return h + 1;
}

static void release(void *p)
{
    if (!p) return;
    head *h = (head *)p - 1;
    OPENSSL_cleanse(p, h->size);
    free(h);
}

static void *resize(void *p, size_t size)
{
    void *fresh = take(size);
    if (!fresh || !p) return fresh;
    size_t old = ((head *)p - 1)->size;
    memcpy(fresh, p, old < size ? old : size);
    release(p);
    return fresh;
}

static void *take_zeroed(size_t n, size_t size)
{
    void *p = take(n * size);
    return p ? memset(p, 0, n * size) : NULL;
}

static char *copy(const char *text)
{
    size_t n = strlen(text) + 1;
    char *p = take(n);
    return p ? memcpy(p, text, n) : NULL;
}

static void *ssl_take(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return take(size);
}

static void *ssl_resize(void *p, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return resize(p, size);
}

static void ssl_release(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    release(p);
}

/* ---- searching
 * ----------------------------------------------------------------------- */

enum { MASK = 0x15 };

/* What is looked for, masked so that this program does not find itself.  test_memory.c
 * repeats each text many times, so that a copy is found also when a part of it was
 * overwritten: canaryvalue, canaryclient, and the base64 of "abcabcabc" at any offset
 * (the client's id, inside of the token). */
typedef struct canary {
    const char *name;
    const char *masked[3];
    int found;
} canary;

static canary canaries[] = {
    {"value", {"\x76\x74\x7b\x74\x67\x6c\x63\x74\x79\x60\x70"}, 0},
    {"client_secret", {"\x76\x74\x7b\x74\x67\x6c\x76\x79\x7c\x70\x7b\x61"}, 0},
    {"token",
     {"\x4c\x42\x5f\x7f\x4c\x42\x5f\x7f\x4c\x42\x5f\x7f",
      "\x4c\x78\x5b\x7d\x4c\x78\x5b\x7d\x4c\x78\x5b\x7d",
      "\x4c\x27\x53\x7c\x4c\x27\x53\x7c\x4c\x27\x53\x7c"},
     0},
};
enum { N_CANARIES = sizeof(canaries) / sizeof(canaries[0]), NEAR = 512 };

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
    for (int i = 0; i < N_CANARIES; i++) {
        for (int k = 0; k < 3 && canaries[i].masked[k]; k++) {
            int n = count(from, to, canaries[i].masked[k], show);
            canaries[i].found += n;
            if (n && show) {
                fprintf(stderr, "  %d of %s in %s\n", n, canaries[i].name, name);
            }
        }
    }
}

/* Everything writable: heap, stacks, anonymous memory, data of programs and libraries.
 */
static void search(bool show)
{
    char line[512];
    const char *env_from, *env_to;
    environment(&env_from, &env_to);
    for (int i = 0; i < N_CANARIES; i++) canaries[i].found = 0;
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

/* ---- what a host does
 * ------------------------------------------------------------------ */

static const char policy[] =
    "local ml = require 'moonlatch.policy'\n"
    "local kv = ml.azure_key_vault { vault_url = ml.env 'VAULT_URL' }\n"
    "local own = ml.azure_key_vault { vault_url = ml.env 'VAULT_URL', alias = 'own',\n"
    "  credential = ml.client_secret { tenant_id = ml.env 'AZURE_TENANT_ID',\n"
    "    client_id = ml.env 'AZURE_CLIENT_ID',\n"
    "    client_secret = ml.env_secret 'AZURE_CLIENT_SECRET' } }\n"
    "local env = ml.environment {}\n"
    "return ml.policy {\n"
    "  ml.rule 'env/*' { strip = 'env/', from = { env } },\n"
    "  ml.rule 'own/*' { strip = 'own/', from = { own } },\n"
    "  ml.rule '*' { prefix = { 'no-', '' }, from = { kv } },\n"
    "}\n";

static bool get(ml_resolver *r, const char *name)
{
    ml_secret *s = NULL;
    ml_err e;
    if (ml_get(r, name, NULL, 0, &s, &e) < 0) {
        fprintf(stderr, "%s: %s\n", name, e.text);
        return false;
    }
    ml_secret_unref(s);
    return true;
}

static bool run(ml_resolver *r, const ml_call *call)
{
    ml_answer *a = NULL;
    ml_err e;
    if (ml_run(r, call, &a, &e) < 0) {
        fprintf(stderr, "%s: %s\n", call->name, e.text);
        return false;
    }
    ml_answer_free(a);
    return true;
}

/* Moves a value from one name to another, as a migration would. */
static bool put_again(ml_resolver *r)
{
    ml_secret *s = NULL;
    size_t n;
    if (ml_get(r, "marked", NULL, 0, &s, NULL) < 0) return false;
    const void *p = ml_secret_data(s, &n);
    bool ok = ml_put(r, "copy", p, n, NULL, 0, NULL) == 0;
    ml_secret_unref(s);
    return ok;
}

/* A backup holds the value too, though the service sealed it. */
static bool use(ml_resolver *r)
{
    if (!get(r, "marked")) return false;
    return get(r, "marked") /* from the cache */ && get(r, "own/marked") &&
           get(r, "env/AZURE_CLIENT_SECRET") && put_again(r) && get(r, "copy") &&
           run(r, &(ml_call){ML_CALL_INIT, .verb = ML_EXPLAIN, .name = "marked"}) &&
           run(r, &(ml_call){ML_CALL_INIT, .verb = ML_VERSIONS, .name = "copy"}) &&
           run(r, &(ml_call){ML_CALL_INIT, .verb = ML_BACKUP, .name = "copy"}) &&
           run(r, &(ml_call){ML_CALL_INIT, .verb = ML_DELETE, .name = "copy"}) &&
           run(r, &(ml_call){ML_CALL_INIT, .verb = ML_PURGE, .name = "copy"});
}

/* The search itself: what is held must be found. */
static bool finds_what_is_held(ml_resolver *r)
{
    ml_secret *s = NULL;
    if (ml_get(r, "marked", NULL, 0, &s, NULL) < 0) return false;
    search(false);
    ml_secret_unref(s);
    for (int i = 0; i < N_CANARIES; i++) {
        if (canaries[i].found == 0) return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    bool scrubs = argc == 2 && strcmp(argv[1], "scrubbing") == 0;
    if (scrubs) {
        CRYPTO_set_mem_functions(ssl_take, ssl_resize, ssl_release);
        curl_global_init_mem(CURL_GLOBAL_DEFAULT, take, release, resize, copy,
                             take_zeroed);
    }
    ml_resolver *r = NULL;
    ml_err e;
    ml_options o = {ML_OPTIONS_INIT, .policy_text = policy};
    if (ml_open(&r, &o, &e) < 0) {
        fprintf(stderr, "%s\n", e.text);
        return 2;
    }
    bool used = use(r) && finds_what_is_held(r);
    int open[N_CANARIES], left = 0;
    search(false);
    for (int i = 0; i < N_CANARIES; i++) open[i] = canaries[i].found;
    ml_close(r);
    if (!used) return 2;
    search(true);
    for (int i = 0; i < N_CANARIES; i++) {
        printf("copies of %s: %d %d\n", canaries[i].name, open[i], canaries[i].found);
        left += canaries[i].found;
    }
    return scrubs && left ? 1 : 0;
}
