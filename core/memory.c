/* memory.c - says once that not all secrets could be locked, and what to do. */
#include <sys/resource.h>

#include "base/locked.h"
#include "resolver.h"

void ml_resolver_note_memory(ml_resolver *r)
{
    if (r->is_memory_noted) return;
    ml_locked_bytes now = ml_locked_count();
    struct rlimit limit = {0, 0};
    if (now.unlocked == 0 || getrlimit(RLIMIT_MEMLOCK, &limit) != 0) return;
    r->is_memory_noted = true;
    ml_logf(
        &r->log, ML_LOG_WARN, "memory",
        "%zu of %zu bytes that hold secrets could not be locked, and may be swapped "
        "out: RLIMIT_MEMLOCK is %llu bytes; raise it with ulimit -l or LimitMEMLOCK=",
        now.unlocked, now.locked + now.unlocked, (unsigned long long)limit.rlim_cur);
}
