/* budget_file.h - one shared budget as a file: its layout, and how it is opened safely.
 *
 *   moonlatch-UID-HASH.budget      HASH: of vault, kind, clock and this layout
 *
 *   +--------------------------------+
 *   | magic version size boot_id     |  written once, magic last; never changed after
 *   | whose                          |  "https://acme.vault.azure.net reads"
 *   | is_retired                     |  another file has taken its place: open that
 *   +--------------------------------+
 *   | lock                           |  robust: a dead holder's is handed on
 *   | which  ->  limiter[0|1]        |  the other one is written, then they change:
 *   |                                |  valid at every instant
 *   | n_seats                        |
 *   | seats: owner seen in_flight .. |  of who has requests under way, or waits
 *   +--------------------------------+
 *
 * Other versions of this library, and programs of other word sizes, use files of other
 * names.  A file that cannot be used is replaced, if it is ours; one of somebody else,
 * a link, or what others may write to is refused: whoever can write to a mapping with a
 * robust mutex in it can harm those who use it.
 *
 * What remains: who may write to the file (we ourselves, and root) can cut it off under
 * a process that has it mapped, and that process gets SIGBUS.  Nobody here does. */
#pragma once
#include <pthread.h>
#include <sys/types.h>

#include "io/budget_dir.h"
#include "io/limiter.h"

enum { ML_BUDGET_SEATS = 1024, ML_BUDGET_WHOSE = 320 };

/* One handle's share of what goes on, for as long as it has any. */
typedef struct ml_budget_seat {
    _Atomic uint64_t owner; /* a random number; 0: free */
    int64_t seen_ms;        /* when it was here last */
    int64_t since_ms;       /* when the first of its waiting requests came */
    int32_t waiting, in_flight;
    int32_t of_epoch; /* of those in flight */
    uint32_t epoch;
    int32_t limit; /* its own, of requests in ten seconds; 0: none */
} ml_budget_seat;

typedef struct ml_budget_head {
    char magic[8];
    uint32_t version, size;
    char boot_id[40]; /* of the host's run: clocks begin again with each */
    char whose[ML_BUDGET_WHOSE];
} ml_budget_head;

typedef struct ml_budget_file {
    ml_budget_head head;
    _Atomic uint32_t is_retired;
    pthread_mutex_t lock;
    _Atomic uint32_t which;
    uint32_t n_seats; /* those behind it are free */
    ml_limiter limiter[2];
    ml_budget_seat seats[ML_BUDGET_SEATS];
} ml_budget_file;

typedef enum ml_budget_news {
    ML_BUDGET_AS_IT_WAS, /* or new */
    ML_BUDGET_OLD,       /* replaced: of a former run of the host */
    ML_BUDGET_DAMAGED    /* replaced: foreign, cut off, or broken */
} ml_budget_news;

/* What was mapped; dev and ino: which file it is, while it has its name. */
typedef struct ml_budget_found {
    ml_budget_news news;
    dev_t dev;
    ino_t ino;
} ml_budget_found;

/* Maps the file, made first if there is none, with a limiter of that limit.  Waits so
 * long for others who do the same.  NULL and *e: it is refused, or the system is. */
ml_budget_file *ml_budget_file_map(const ml_budget_dir *d, const char *whose, int limit,
                                   int wait_ms, ml_budget_found *found, ml_err *e);
void ml_budget_file_unmap(ml_budget_file *f); /* accepts NULL */
/* Still the one to use?  Also after something wrote over it. */
bool ml_budget_file_is_good(const ml_budget_file *f, const char *whose);
/* Is it what others find by its name, too?  No: somebody has removed it. */
bool ml_budget_file_is_named(const ml_budget_dir *d, const char *whose,
                             const ml_budget_found *found);
/* Its name in the directory. */
bool ml_budget_file_name(const char *whose, char *out, size_t size);
