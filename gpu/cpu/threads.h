/* threads: a pool of threads that share loops with whoever calls. Nothing is allocated and no
 * thread is made after ps_threads_new.
 *
 * A loop over [0, n) is cut into pieces of `grain` turns, the last may be shorter; where the cuts
 * are does not depend on the number of threads. Each thread, the calling one included, takes pieces
 * that follow each other, then what others have not come to; the call returns when all are done.
 *
 * Several threads may call at once: one gets the pool, the others do their loops alone meanwhile.
 * A body does not call ps_threads_for of its own pool. */
#ifndef PS_CPU_THREADS_H
#define PS_CPU_THREADS_H

#include "common/base/status.h"

#include <stdint.h>

typedef struct ps_threads ps_threads;

/* slot: which thread this is, in [0, threads), for memory of its own; the caller's is 0. */
typedef void (*ps_threads_cb)(void *context, int64_t begin, int64_t end, int slot);

/* The calling thread counts: 1 makes none. PS_RESOURCE_EXHAUSTED when the system gives no more. */
PS_MUST_CHECK ps_status ps_threads_new(int threads, ps_threads **out);
/* After the last call has returned. */
void ps_threads_free(ps_threads **t);

int ps_threads_count(const ps_threads *t);
void ps_threads_for(ps_threads *t, int64_t n, int64_t grain, ps_threads_cb body_cb, void *context);

#endif
