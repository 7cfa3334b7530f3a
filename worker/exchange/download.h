/* download: gradients, from a device that computes to host memory, beside the rest of the backward
 * pass.
 *
 *     begin(i, …) as each gradient is enqueued ─▶ next(&i) as each has arrived, in that order
 *
 * A copy waits for what is on `compute` when begin is called, and for nothing after it: while the
 * host waits in next, the device goes on with the layers below. One thread.
 */
#ifndef PS_EXCHANGE_DOWNLOAD_H
#define PS_EXCHANGE_DOWNLOAD_H

#include "gpu/backend.h"

#include <stddef.h>

typedef struct ps_download ps_download;

/* count: of tensors, and of what may be under way. backend and compute must outlive it. */
PS_MUST_CHECK ps_status ps_download_create(ps_backend *backend, ps_stream *compute, size_t count,
                                           ps_download **out);
void ps_download_free(ps_download **download); /* waits; NULL is nothing */

/* Tensor i, < count and not under way, to dst (from ps_host_new), whole. Both stay until next has
 * said i, or drop. */
void ps_download_begin(ps_download *download, size_t i, void *dst, ps_tensor src);
/* Waits for the oldest. PS_END: none is under way. Fails as the computing or the copy did. */
PS_MUST_CHECK ps_status ps_download_next(ps_download *download, size_t *i);
/* Forgets what is under way, when nothing of it is written any more. */
void ps_download_drop(ps_download *download);

#endif
