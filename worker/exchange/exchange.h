/* exchange: a model on this device and its parameters at psd, kept together for a job's tasks.
 *
 *     open ─▶ refresh ─▶ { pull_start ─ forward(before_use) ─ pull_finish ─
 *                          push_begin ─ backward(gradient_ready) ─ push_end ─ clock } … ─▶ drain
 *
 * Where the device shares the host's memory, pulls land in the model's parameters themselves and
 * gradients are sent from where they are. Elsewhere both go through pinned host memory, as much as
 * the parameters take and as the gradients of the steps under way: what a pull brought goes to the
 * device beside the computing (device_put.h), gradients come from it beside the rest of the
 * backward pass and leave as they come (device_get.h), while push_end waits for them. A matrix of
 * several shards lies there twice, in the model's order and in the wire's. One thread.
 */
#ifndef PS_EXCHANGE_EXCHANGE_H
#define PS_EXCHANGE_EXCHANGE_H

#include "worker/exchange/pull.h"
#include "worker/exchange/push.h"
#include "worker/models/model.h"

typedef struct ps_exchange ps_exchange;

typedef struct ps_exchange_options {
    ps_remote *remote; /* borrowed */
    uint64_t job_id;
    ps_backend *backend;
    ps_model *model;            /* must outlive it */
    const ps_spec_train *train; /* NULL: only pulls */
    uint64_t incarnation;
    uint64_t *sequence; /* see push.h */
    bool pull_ahead;    /* the pull of the next step runs beside this one's backward pass, at the
                           price of missing what is pushed meanwhile */
    uint64_t bucket_bytes, piece_bytes; /* see push.h */
} ps_exchange_options;

/* Asks psd for the job's tensors and matches them with the model's: PS_FAILED_PRECONDITION when
 * they differ. */
PS_MUST_CHECK ps_status ps_exchange_open(const ps_exchange_options *options, ps_exchange **out);
/* Ends what is under way. NULL is nothing. */
void ps_exchange_close(ps_exchange **exchange);
/* At the start of a task: psd may have been restarted since the last one, so the next pull is
 * whole. PS_ABORTED: it has cut the tensors otherwise; close and open again. */
PS_MUST_CHECK ps_status ps_exchange_refresh(ps_exchange *exchange);
/* Gives up pulls and pushes under way, after a failure; nothing is computed any more. */
void ps_exchange_stop(ps_exchange *exchange);
/* Has the device failed under it, so that it is of no use any more? */
bool ps_exchange_failed(const ps_exchange *exchange);

/* Waits for what the last pull has still to copy to the device; fails as that did. */
PS_MUST_CHECK ps_status ps_exchange_pull_start(ps_exchange *exchange);
/* After the forward pass; the parameters are whole and of this version. */
PS_MUST_CHECK ps_status ps_exchange_pull_finish(ps_exchange *exchange, uint64_t *version);
/* All parameters, in one go and as psd has them, whatever the job's codec; they are on the device.
 */
PS_MUST_CHECK ps_status ps_exchange_pull(ps_exchange *exchange, uint64_t *version);

/* The same, as they were at that waypoint of the training (a probe's). */
PS_MUST_CHECK ps_status ps_exchange_pull_at(ps_exchange *exchange, uint64_t waypoint,
                                            uint64_t *version);
/* Where the job's tensors lie; the exchange's own. */
const ps_tensor_maps *ps_exchange_maps(const ps_exchange *exchange);

PS_MUST_CHECK ps_status ps_exchange_push_begin(ps_exchange *exchange, const ps_pusher_step *step);
PS_MUST_CHECK ps_status ps_exchange_push_end(ps_exchange *exchange);
PS_MUST_CHECK ps_status ps_exchange_drain(ps_exchange *exchange);

/* The clock of the task with this lease has ended; waits as long as psd's consistency model wants.
 * Its pushes must have been acknowledged (drain). *open: the clock that is open then. */
PS_MUST_CHECK ps_status ps_exchange_clock_wait(ps_exchange *exchange, uint64_t lease,
                                               uint64_t clock, uint64_t *open);
/* Tells psd without waiting; a newer clock replaces one that has not left. */
void ps_exchange_clock_tell(ps_exchange *exchange, uint64_t lease, uint64_t clock);

/* For the model's passes. Valid as long as the exchange. */
const ps_model_hooks *ps_exchange_hooks(const ps_exchange *exchange);

bool ps_exchange_given(const ps_exchange *exchange);  /* see ps_pusher_given, */
uint64_t ps_exchange_position(ps_exchange *exchange); /* ps_pusher_position */
void ps_exchange_stats(ps_exchange *exchange, ps_pusher_stats *pushed, uint64_t *pulled_bytes);

#endif
