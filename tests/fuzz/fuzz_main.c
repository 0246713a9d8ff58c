/* fuzz_main.c - runs one target on seeds and on mutations of them, the same every time.
 *
 *     fuzz_json [ROUNDS [SEED]]     as a test
 *     fuzz_json -t SECONDS [SEED]   for so long, without every prefix of every seed
 *     fuzz_json -f FILE             one input, to look into a crash
 *
 * An input that ends the process is left behind in fuzz.input; with -t one that takes
 * longer than HANGS_S ends it, too.  An input lives in a block of exactly its size, so
 * that AddressSanitizer sees a read of one byte too many. */
#include "fuzz.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { INPUT_MAX = 4096, ROUNDS = 400000, HANGS_S = 20 };

typedef struct input {
    uint8_t bytes[INPUT_MAX];
    size_t n;
} input;

static input current;

/* AddressSanitizer asks for this one. */
/* NOLINTBEGIN(readability-identifier-naming): its name */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "abort_on_error=1:handle_abort=0";
}
/* NOLINTEND(readability-identifier-naming) */

static void leave_behind(int signal_number)
{
    int fd = open("fuzz.input", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ssize_t n = fd < 0 ? -1 : write(fd, current.bytes, current.n);
    (void)n;
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

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

static uint32_t random_state(const char *seed)
{
    return seed ? (uint32_t)strtoul(seed, NULL, 10) | 1 : 2463534242u;
}

static int run_for(long seconds, const char *seed)
{
    uint32_t state = random_state(seed);
    size_t seeds = seed_count();
    time_t end = time(NULL) + seconds;
    unsigned long round = 0;
    signal(SIGALRM, leave_behind);
    for (; round < seeds || time(NULL) < end; round++) {
        if (round < seeds) {
            load_seed(&current, round);
        } else {
            if (round % 8 == 0) load_seed(&current, below(&state, seeds));
            for (size_t n = 1 + below(&state, 3); n > 0; n--) mutate(&current, &state);
        }
        alarm(HANGS_S);
        run(&current);
    }
    alarm(0);
    printf("%zu seeds, %lu inputs in %ld s\n", seeds, round, seconds);
    return 0;
}

int main(int argc, char **argv)
{
    input *in = &current;
    if (argc == 3 && strcmp(argv[1], "-f") == 0) return run_file(argv[2]);
    signal(SIGABRT, leave_behind);
    if (argc >= 3 && strcmp(argv[1], "-t") == 0)
        return run_for(strtol(argv[2], NULL, 10), argc > 3 ? argv[3] : NULL);
    unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : ROUNDS;
    uint32_t state = random_state(argc > 2 ? argv[2] : NULL);
    size_t seeds = seed_count();
    for (size_t i = 0; i < seeds; i++) {
        load_seed(in, i);
        run(in);
        for (size_t n = in->n; n-- > 0;) { /* every prefix */
            in->n = n;
            run(in);
        }
    }
    for (unsigned long round = 0; round < rounds; round++) {
        if (round % 8 == 0) load_seed(in, below(&state, seeds));
        for (size_t n = 1 + below(&state, 3); n > 0; n--) mutate(in, &state);
        run(in);
    }
    printf("%zu seeds, %lu rounds\n", seeds, rounds);
    return 0;
}
