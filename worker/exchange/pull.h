/* pull: a job's parameters into memory, beside the computing.
 *
 *     start ─▶ ready(i) as each tensor arrives ─▶ finish (the version of all of it)
 *
 * One pull at a time. Only blocks newer than the last pull's version are asked for;
 * ps_puller_forget, or another codec, makes the next one whole. A broken pull goes on by itself,
 * asking again for the tensors that had not arrived, so that one that is being computed with does
 * not change.
 *
 * start, wait, take, finish, stop, forget: the task's thread. targets[i] (elements of tensor i, in
 * the model's order) is written by the loop's thread between start and the return of wait(i).
 */
#ifndef PS_EXCHANGE_PULL_H
#define PS_EXCHANGE_PULL_H

#include "common/codec/codec.h"
#include "worker/exchange/tensor_map.h"
#include "worker/remote/remote.h"

typedef struct ps_puller ps_puller;

typedef struct ps_puller_options {
    const ps_remote *remote; /* copied */
    uint64_t job_id;
    const ps_tensor_maps *maps; /* must outlive it */
    float *const *targets;      /* [maps->count]; copied */
} ps_puller_options;

void ps_puller_create(const ps_puller_options *options, ps_puller **out);
/* Stops first; the loop must still run. NULL is nothing. */
void ps_puller_free(ps_puller **puller);

/* codec: what psd is asked to encode parameters in. */
void ps_puller_start(ps_puller *puller, const ps_codec *codec);
/* Until tensor i has arrived. Fails as the pull does, or with PS_CANCELLED. */
PS_MUST_CHECK ps_status ps_puller_wait(ps_puller *puller, size_t i);
/* After wait(i): what of tensor i has been written, by this pull and those before it, since it was
 * taken last. */
void ps_puller_take(ps_puller *puller, size_t i, ps_ranges *out);
/* Until all have. *version: every update up to it is in the parameters. */
PS_MUST_CHECK ps_status ps_puller_finish(ps_puller *puller, uint64_t *version);
/* Ends a pull that nobody wants any more; what has arrived stays, and the next one is whole. */
void ps_puller_stop(ps_puller *puller);
void ps_puller_forget(ps_puller *puller);
/* Pulls from now on are of the parameters as they were at that waypoint of the job; 0: as they are.
 * The next one is whole. */
void ps_puller_aim(ps_puller *puller, uint64_t waypoint);

uint64_t ps_puller_bytes(const ps_puller *puller); /* of payload received, in all; task's thread */

#endif
