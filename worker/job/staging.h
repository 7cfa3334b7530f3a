/* staging: bytes from the host into tensors, in the order they come: a stored model that is read
 * from the network. Where the device has memory of its own they go through two pieces of pinned
 * memory, of which one is copied while the other is filled. One thread at a time (not asserted: it
 * is a local of a transfer). */
#ifndef PS_JOB_STAGING_H
#define PS_JOB_STAGING_H

#include "gpu/backend.h"

typedef struct ps_staging ps_staging;

enum { PS_STAGING_BYTES = 4 << 20 }; /* of a piece */

/* stream: copies go by it; it and its backend must outlive the staging. PS_NO_MEMORY. */
PS_MUST_CHECK ps_status ps_staging_open(ps_stream *stream, ps_staging **out);
/* Waits for what is under way; what was written and not ended may be missing. NULL is nothing. */
void ps_staging_close(ps_staging **staging);

/* bytes to `offset` of tensor t, which holds them. Fails as a copy before did. */
PS_MUST_CHECK ps_status ps_staging_write(ps_staging *staging, ps_tensor t, uint64_t offset,
                                         const void *bytes, size_t n);
/* Waits until all that was written is on the device. */
PS_MUST_CHECK ps_status ps_staging_end(ps_staging *staging);

#endif
