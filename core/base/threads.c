/* threads.c - a small number for each thread. */
#include "base/threads.h"

#include <stdatomic.h>

unsigned ml_thread_slot(void)
{
    static atomic_uint n_threads;
    static _Thread_local unsigned number; /* 0: none yet */
    if (number == 0) number = 1 + atomic_fetch_add(&n_threads, 1) % ML_THREAD_SLOTS;
    return number - 1;
}
