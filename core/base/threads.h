/* threads.h - a small number for each thread, so that threads spread over slots and
 * hardly ever meet in one. */
#pragma once

enum { ML_THREAD_SLOTS = 16 };

/* Of the calling thread, always the same: below ML_THREAD_SLOTS. */
unsigned ml_thread_slot(void);
