/* parallel: one function on several threads at a time, for work that shares out its own parts. */
#ifndef PS_BASE_PARALLEL_H
#define PS_BASE_PARALLEL_H

#include <stddef.h>

enum { PS_PARALLEL_MAX = 16 }; /* threads */

/* Calls work(state) on as many threads as there are cores, at most `most`, the caller's included,
 * and returns when all have returned. A thread that cannot be had is one less. most: at least 1. */
void ps_parallel_run(size_t most, void (*work)(void *state), void *state);

#endif
