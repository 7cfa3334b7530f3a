/* device_get: gradients, from a device that computes to host memory, beside the rest of the
 * backward pass.
 *
 *     begin(i, …) as each gradient is enqueued ─▶ next(&i) as each has arrived, in that order
 *
 * A copy waits for what is on `compute` when begin is called, and for nothing after it: while the
 * host waits in next, the device goes on with the layers below. One thread.
 */
#ifndef PS_EXCHANGE_DEVICE_GET_H
#define PS_EXCHANGE_DEVICE_GET_H

#include "gpu/backend.h"

#include <stddef.h>

typedef struct ps_device_get ps_device_get;

/* count: of tensors, and of what may be under way. backend and compute must outlive it. */
PS_MUST_CHECK ps_status ps_device_get_create(ps_backend *backend, ps_stream *compute, size_t count,
                                             ps_device_get **out);
void ps_device_get_free(ps_device_get **get); /* waits; NULL is nothing */

/* Tensor i, < count and not under way, to dst (from ps_host_new), whole. Both stay until next has
 * said i, or drop. */
void ps_device_get_begin(ps_device_get *get, size_t i, void *dst, ps_tensor src);
/* Waits for the oldest. PS_END: none is under way. Fails as the computing or the copy did. */
PS_MUST_CHECK ps_status ps_device_get_next(ps_device_get *get, size_t *i);
/* Forgets what is under way, when nothing of it is written any more. */
void ps_device_get_drop(ps_device_get *get);
bool ps_device_get_failed(const ps_device_get *get); /* is it of no use any more? */

#endif
