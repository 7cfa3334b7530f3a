/* fill: bytes from the host into tensors, in the order they come: a stored model that is read from
 * the network. Where the device has memory of its own they go through two pieces of pinned memory,
 * of which one is copied while the other is filled. One thread.
 */
#ifndef PS_TRAIN_FILL_H
#define PS_TRAIN_FILL_H

#include "gpu/backend.h"

typedef struct ps_fill ps_fill;

enum { PS_FILL_BYTES = 4 << 20 }; /* of a piece */

/* stream: copies go by it; it and its backend must outlive the fill. PS_NO_MEMORY. */
PS_MUST_CHECK ps_status ps_fill_open(ps_stream *stream, ps_fill **out);
/* Waits for what is under way; what was written and not ended may be missing. NULL is nothing. */
void ps_fill_close(ps_fill **fill);

/* bytes to `offset` of tensor t, which holds them. Fails as a copy before did. */
PS_MUST_CHECK ps_status ps_fill_write(ps_fill *fill, ps_tensor t, uint64_t offset,
                                      const void *bytes, size_t n);
/* Waits until all that was written is on the device. */
PS_MUST_CHECK ps_status ps_fill_end(ps_fill *fill);

#endif
