/* probe_heap.c - a mapping that is not dumped, in blocks of powers of two, for any
 * thread (libcurl asks for names in one). */
#include "probe_heap.h"

#include <curl/curl.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { HEAP_BYTES = 64 * 1024 * 1024, N_CLASSES = 40 };

typedef union head {
    struct {
        size_t size;
        union head *next; /* free ones */
    } in;
    max_align_t align;
} head;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *heap;
static size_t used;
static head *vacant[N_CLASSES];

static int class_of(size_t size)
{
    int c = 5;
    while (((size_t)1 << c) < size) c++;
    return c;
}

static head *fresh_block(int c)
{
    size_t bytes = sizeof(head) + ((size_t)1 << c);
    if (!heap) {
        const int kind = MAP_PRIVATE | MAP_ANONYMOUS;
        /* cppcheck-suppress invalidFunctionArg ; an anonymous mapping has no file */
        void *p = mmap(NULL, HEAP_BYTES, PROT_READ | PROT_WRITE, kind, -1, 0);
        if (p == MAP_FAILED || madvise(p, HEAP_BYTES, MADV_DONTDUMP) != 0) return NULL;
        heap = p;
    }
    if (bytes > HEAP_BYTES - used) return NULL;
    used += bytes;
    return (head *)(void *)(heap + used - bytes);
}

static void *take(size_t size)
{
    int c = class_of(size);
    pthread_mutex_lock(&lock);
    head *h = vacant[c];
    if (h)
        vacant[c] = h->in.next;
    else
        h = fresh_block(c);
    pthread_mutex_unlock(&lock);
    if (!h) return NULL;
    h->in.size = size;
    return h + 1;
}

static void release(void *p)
{
    if (!p) return;
    head *h = (head *)p - 1;
    OPENSSL_cleanse(p, h->in.size);
    int c = class_of(h->in.size);
    pthread_mutex_lock(&lock);
    h->in.next = vacant[c];
    vacant[c] = h;
    pthread_mutex_unlock(&lock);
}

static void *resize(void *p, size_t size)
{
    void *fresh = take(size);
    if (!fresh || !p) return fresh;
    size_t old = ((head *)p - 1)->in.size;
    memcpy(fresh, p, old < size ? old : size);
    release(p);
    return fresh;
}

static void *take_zeroed(size_t n, size_t size)
{
    void *p = take(n * size);
    return p ? memset(p, 0, n * size) : NULL;
}

char *probe_heap_copy(const char *text)
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

void probe_heap_install(void)
{
    if (CRYPTO_set_mem_functions(ssl_take, ssl_resize, ssl_release) != 1 ||
        curl_global_init_mem(CURL_GLOBAL_DEFAULT, take, release, resize,
                             probe_heap_copy, take_zeroed) != CURLE_OK) {
        fputs("the allocators came too late\n", stderr);
        exit(2);
    }
}
