/* traffic: what a worker sends to psd and asks of it, as fast as it goes: pushes, pulls and unary
 * calls of a job's parameters over one channel.
 *
 * All on the loop's thread; each function runs the loop until its work is done, and gives up with
 * the first failure of a call.
 */
#ifndef PS_BENCH_TRAFFIC_H
#define PS_BENCH_TRAFFIC_H

#include "common/transport/channel/channel.h"

typedef struct traffic traffic;

/* Asks for the job's tensors and makes a gradient: of the same size, or 64 MiB that are sent again
 * and again. */
PS_MUST_CHECK ps_status traffic_open(ps_loop *loop, ps_channel *channel, uint64_t job,
                                     uint64_t incarnation, uint64_t first_clock, traffic **out);
void traffic_close(traffic **t);
uint64_t traffic_bytes(const traffic *t); /* of all parameters, as float32 */

/* Whole models until at least `bytes` of payload have been acknowledged, in pushes of 16 MiB of
 * chunks of at most 1 MiB, sent by reference one after the other, up to 4 of them unacknowledged.
 * *rate: GB (1e9 bytes) of float32 a second. */
PS_MUST_CHECK ps_status traffic_push(traffic *t, uint64_t bytes, double *rate);
/* Whole models, one pull after the other, each chunk read in place. */
PS_MUST_CHECK ps_status traffic_pull(traffic *t, uint64_t bytes, double *rate);
/* One whole model, and the CRC32C of all its bytes in the order of psd's tensors. */
PS_MUST_CHECK ps_status traffic_pull_checked(traffic *t, double *rate, uint32_t *crc);

typedef enum traffic_call {
    TRAFFIC_CLOCK,     /* Parameters.Clock, the call of every training step, with a request of 1 KiB
                          (the rest of it a field that psd does not know) */
    TRAFFIC_SMALL_PUSH /* Parameters.Push of 1 KiB of gradient, applied and acknowledged */
} traffic_call;

/* One after the other; latencies in microseconds. */
PS_MUST_CHECK ps_status traffic_latency(traffic *t, traffic_call which, unsigned calls, double *p50,
                                        double *p99);

#endif
