/* bench_worker: stands in for a psworker towards a real psd: attaches, answers the plan task with
 * tensors, takes a training task, and so holds a lease, which it keeps by heartbeats. It never
 * computes anything.
 *
 * All on the loop's thread; functions that wait run the loop themselves.
 */
#ifndef PS_BENCH_WORKER_H
#define PS_BENCH_WORKER_H

#include "common/transport/channel/channel.h"
#include "tests/bench/bench_model.h"

typedef struct bench_worker bench_worker;

/* Plans a model of that size when psd asks for one. */
PS_MUST_CHECK ps_status bench_worker_open(ps_loop *loop, ps_channel *channel,
                                          const bench_model_size *size, bench_worker **out);
uint64_t bench_worker_job(const bench_worker *worker);
uint64_t bench_worker_incarnation(const bench_worker *worker);
uint64_t bench_worker_first_clock(const bench_worker *worker);
/* Leaves; the lease goes back. */
void bench_worker_close(bench_worker **worker);

#endif
