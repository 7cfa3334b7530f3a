/* push: a step's gradients to psd, layer by layer, while the backward pass still runs.
 *
 *     begin ─▶ ready(i) for each gradient, last layer first ─▶ end ─▶ … acknowledged later
 *
 * Each bucket (bucket.h) of tensors and of pieces of large tensors (piece.h) is one Push call, one
 * transaction with a sequence number of its own: under asp psd applies it when it is there, under
 * bsp it adds up all of a clock's. Its chunks leave as its gradients are made. A push that broke is
 * made again with the same sequence until psd acknowledges it, so that it is applied exactly once.
 * Payloads are sent from where the gradients lie, or were encoded: their memory may be written
 * again when begin returns, which waits while `sets` steps are under way. With one set that is the
 * model's own memory where the host may follow it; with more, gradients are copied and the next
 * backward pass need not wait for the network. Gradients of a device with memory of its own are put
 * by the caller where ps_pusher_memory says.
 *
 * All functions: the task's thread.
 */
#ifndef PS_EXCHANGE_PUSH_H
#define PS_EXCHANGE_PUSH_H

#include "gpu/backend.h"
#include "worker/exchange/bucket.h"
#include "worker/exchange/piece.h"
#include "worker/exchange/stage.h"
#include "worker/exchange/tensor_map.h"
#include "worker/remote/remote.h"

typedef struct ps_pusher ps_pusher;

typedef struct ps_pusher_options {
    const ps_remote *remote; /* copied */
    uint64_t job_id;
    uint64_t incarnation;
    uint64_t *sequence;         /* the last one used by this process for the job; counted on */
    const ps_tensor_maps *maps; /* must outlive it */
    const ps_spec_train *train; /* likewise: the stages' settings and the codec */
    ps_backend *backend;        /* host memory is taken from it; must outlive it */
    float *const *gradients;    /* [maps->count], host memory in the model's order; copied. NULL: it
                                   comes to ps_pusher_memory */
    unsigned sets;              /* steps under way at most, at least 1 */
    uint64_t bucket_bytes;      /* 0: PS_BUCKET_BYTES */
    uint64_t piece_bytes;       /* 0: PS_PIECE_BYTES */
} ps_pusher_options;

typedef struct ps_pusher_step {
    uint64_t lease; /* the task's */
    uint64_t clock;
    uint64_t pulled_version;
    double weight;                    /* rows that the gradient is the mean of */
    uint64_t position, next_position; /* the task's rows before and after this step */
} ps_pusher_step;

typedef struct ps_pusher_stats {
    uint64_t pushes, duplicates, retries; /* acknowledged; of these, applied before; made again */
    uint64_t bytes;                       /* of payload, acknowledged */
    uint64_t staleness_sum, staleness_max;
    uint64_t version; /* the last acknowledged */
} ps_pusher_stats;

/* PS_NO_MEMORY, PS_UNIMPLEMENTED (codec). What a codec with state leaves out lives as long as the
 * pusher: a worker that is killed loses it, and with it less than one push's rounding. */
PS_MUST_CHECK ps_status ps_pusher_create(const ps_pusher_options *options, ps_pusher **out);
/* Stops first; the loop must still run. NULL is nothing. */
void ps_pusher_free(ps_pusher **pusher);

/* Each fails as a push did that is not worth repeating, or with PS_CANCELLED. */
PS_MUST_CHECK ps_status ps_pusher_begin(ps_pusher *pusher, const ps_pusher_step *step);
/* Where gradient i of the step that has begun lies, in the model's order. */
float *ps_pusher_memory(const ps_pusher *pusher, size_t tensor);
PS_MUST_CHECK ps_status ps_pusher_ready(ps_pusher *pusher, size_t tensor);
PS_MUST_CHECK ps_status ps_pusher_end(ps_pusher *pusher); /* all were ready */
/* Until every step is acknowledged. */
PS_MUST_CHECK ps_status ps_pusher_drain(ps_pusher *pusher);
/* Gives up what is under way, and forgets a failure. */
void ps_pusher_stop(ps_pusher *pusher);

/* Has a gradient of the step that was begun last left, so that psd may have it? For the thread that
 * begins steps. */
bool ps_pusher_given(const ps_pusher *pusher);
/* Rows of the task before this one are in psd's parameters. */
uint64_t ps_pusher_position(ps_pusher *pusher);
void ps_pusher_stats_get(ps_pusher *pusher, ps_pusher_stats *out);

#endif
