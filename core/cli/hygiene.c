/* hygiene.c - what a program that handles secrets does before anything else.
 *
 * Only the program does this: the library changes nothing that belongs to its host. */
#include <curl/curl.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "cli/cli.h"

/* Blocks remember their size in front, so that freeing can scrub them. */
typedef union block_head {
    size_t size;
    max_align_t align;
} block_head;

static void *scrub_malloc(size_t size)
{
    if (size > SIZE_MAX - sizeof(block_head)) return NULL;
    block_head *head = malloc(sizeof(*head) + size);
    if (!head) return NULL;
    head->size = size;
    return head + 1;
}

static void scrub_release(void *p)
{
    if (!p) return;
    block_head *head = (block_head *)p - 1;
    ml_scrub(head, sizeof(*head) + head->size);
    free(head);
}

static void *scrub_resize(void *p, size_t size)
{
    void *fresh = scrub_malloc(size);
    if (!fresh || !p) return fresh;
    size_t old = ((block_head *)p - 1)->size;
    memcpy(fresh, p, old < size ? old : size);
    scrub_release(p);
    return fresh;
}

static void *scrub_calloc(size_t count, size_t size)
{
    if (size && count > SIZE_MAX / size) return NULL;
    void *p = scrub_malloc(count * size);
    if (p) memset(p, 0, count * size);
    return p;
}

static char *scrub_copy(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = scrub_malloc(size);
    if (copy) memcpy(copy, text, size);
    return copy;
}

static void *crypto_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return size ? scrub_malloc(size) : NULL;
}

static void *crypto_resize(void *p, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    if (size) return scrub_resize(p, size);
    scrub_release(p);
    return NULL;
}

static void crypto_release(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    scrub_release(p);
}

/* A closed stdout would be the number of what is opened next, and a value would go to a
 * socket or a database.  What takes its place refuses to be written, or read. */
static int hold_standard(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) >= 0) continue;
        if (open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) != fd) return -1;
    }
    return 0;
}

int ml_cli_harden(void)
{
    int failed = hold_standard();
    failed |= prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    failed |= setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    /* A write to a connection that is gone must be an error, not the end. */
    failed |= signal(SIGPIPE, SIG_IGN) == SIG_ERR;
    failed |= !CRYPTO_set_mem_functions(crypto_malloc, crypto_resize, crypto_release);
    failed |= curl_global_init_mem(CURL_GLOBAL_DEFAULT, scrub_malloc, scrub_release,
                                   scrub_resize, scrub_copy, scrub_calloc) != CURLE_OK;
    return failed ? -1 : 0;
}
