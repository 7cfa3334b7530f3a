/* some_tensors: some of a job's tensors at psd, pulled into host memory and pushed from it by a
 * task whose parameters are no model's: sums, and tensors in a form. Unlike an exchange
 * (exchange.h) it knows no steps, no clocks, no device: one pull, one push. The task's thread's.
 *
 *     open ─▶ { pull, or fill the memory and push } … ─▶ close
 */
#ifndef PS_EXCHANGE_SOME_TENSORS_H
#define PS_EXCHANGE_SOME_TENSORS_H

#include "gpu/backend.h"
#include "worker/remote/remote.h"

typedef struct ps_some_tensors ps_some_tensors;

typedef struct ps_some_tensors_options {
    ps_remote *remote;   /* borrowed, as what follows */
    ps_backend *backend; /* host memory is taken from it */
    uint64_t job_id, incarnation;
    uint64_t *sequence; /* see push.h */
    const char *const *names;
    size_t count;
    uint64_t max; /* elements that one may have */
} ps_some_tensors_options;

/* Asks psd for them. PS_FAILED_PRECONDITION: it has none of a name, or a larger one; PS_NO_MEMORY.
 */
PS_MUST_CHECK ps_status ps_some_tensors_open(const ps_some_tensors_options *options,
                                             ps_some_tensors **out);
void ps_some_tensors_close(ps_some_tensors **tensors); /* NULL is nothing */

uint64_t ps_some_tensors_elements(const ps_some_tensors *tensors, size_t i);
/* Of tensor i, 32 bits an element; zeros at first. */
void *ps_some_tensors_memory(const ps_some_tensors *tensors, size_t i);

/* All of them, as psd has them now, into the memory. */
PS_MUST_CHECK ps_status ps_some_tensors_pull(ps_some_tensors *tensors);
/* The memory, whole, under that lease as what rows [begin, end) of its task came to; 0, 0: of none.
 * Returns when psd has acknowledged it. */
PS_MUST_CHECK ps_status ps_some_tensors_push(ps_some_tensors *tensors, uint64_t lease,
                                             uint64_t begin, uint64_t end);

#endif
