/* fuzz_main.c - runs one target on seeds and on mutations of them, the same every time.
 *
 *     fuzz_json [ROUNDS [SEED]]     as a test
 *     fuzz_json -f FILE             one input, to look into a crash
 *
 * An input lives in a block of exactly its size, so that AddressSanitizer sees a read
 * of one byte too many. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INPUT_MAX = 4096, ROUNDS = 400000 };

typedef struct input {
    uint8_t bytes[INPUT_MAX];
    size_t n;
} input;

static uint32_t next_random(uint32_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 17;
    *s ^= *s << 5;
    return *s;
}

static size_t below(uint32_t *s, size_t n)
{
    return n ? next_random(s) % n : 0;
}

static size_t seed_count(void)
{
    size_t n = 0;
    while (fuzz_seeds[n]) n++;
    return n;
}

static void run(const input *in)
{
    uint8_t *copy = malloc(in->n ? in->n : 1);
    if (!copy) abort();
    memcpy(copy, in->bytes, in->n);
    LLVMFuzzerTestOneInput(copy, in->n);
    free(copy);
}

static void insert(input *in, size_t at, const void *p, size_t n)
{
    if (n > INPUT_MAX - in->n) n = INPUT_MAX - in->n;
    memmove(in->bytes + at + n, in->bytes + at, in->n - at);
    memcpy(in->bytes + at, p, n);
    in->n += n;
}

static void cut(input *in, size_t at, size_t n)
{
    if (n > in->n - at) n = in->n - at;
    memmove(in->bytes + at, in->bytes + at + n, in->n - at - n);
    in->n -= n;
}

static void mutate(input *in, uint32_t *s)
{
    static const char odd[] =
        "{}[]\",:\\/u0123.-eE \t\r\n@?#=%;\x00\x7f\x80\xc3\xed\xff";
    size_t at = below(s, in->n + 1);
    uint8_t byte = (uint8_t)odd[below(s, sizeof(odd))];
    uint8_t chunk[64];
    const char *other = fuzz_seeds[below(s, seed_count())];
    switch (below(s, 8)) {
    case 0:
        if (at < in->n) in->bytes[at] ^= (uint8_t)(1u << below(s, 8));
        break;
    case 1:
        if (at < in->n) in->bytes[at] = byte;
        break;
    case 2: insert(in, at, &byte, 1); break;
    case 3: cut(in, at, 1 + below(s, 4)); break;
    case 4: in->n = at; break;
    case 5: { /* repeat a piece of itself */
        size_t n =
            below(s, in->n - at < sizeof(chunk) ? in->n - at + 1 : sizeof(chunk));
        memcpy(chunk, in->bytes + at, n);
        insert(in, below(s, in->n + 1), chunk, n);
        break;
    }
    case 6: cut(in, at, below(s, 64)); break;
    default: { /* a piece of another seed */
        size_t from = below(s, strlen(other) + 1);
        insert(in, at, other + from, below(s, strlen(other) - from + 1));
        break;
    }
    }
}

static void load_seed(input *in, size_t i)
{
    in->n = strlen(fuzz_seeds[i]);
    if (in->n > INPUT_MAX) in->n = INPUT_MAX;
    memcpy(in->bytes, fuzz_seeds[i], in->n);
}

static int run_file(const char *path)
{
    static input in;
    FILE *f = fopen(path, "rb");
    if (!f) return 2;
    in.n = fread(in.bytes, 1, sizeof(in.bytes), f);
    fclose(f);
    run(&in);
    return 0;
}

int main(int argc, char **argv)
{
    static input in;
    if (argc == 3 && strcmp(argv[1], "-f") == 0) return run_file(argv[2]);
    unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : ROUNDS;
    uint32_t state = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) | 1 : 2463534242u;
    size_t seeds = seed_count();
    for (size_t i = 0; i < seeds; i++) {
        load_seed(&in, i);
        run(&in);
        for (size_t n = in.n; n-- > 0;) { /* every prefix */
            in.n = n;
            run(&in);
        }
    }
    for (unsigned long round = 0; round < rounds; round++) {
        if (round % 8 == 0) load_seed(&in, below(&state, seeds));
        for (size_t n = 1 + below(&state, 3); n > 0; n--) mutate(&in, &state);
        run(&in);
    }
    printf("%zu seeds, %lu rounds\n", seeds, rounds);
    return 0;
}
