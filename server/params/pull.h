/* pull: blocks out, without copying. A view is a reference to one state of one block; it is sent
 * from where it lies while pushes go on beside it, and released on any thread afterwards.
 */
#ifndef PS_PARAMS_PULL_H
#define PS_PARAMS_PULL_H

#include "common/base/slice.h"
#include "server/params/param_store.h"

typedef struct ps_block_buffer ps_block_buffer;

/* A piece of one block, all of one version. */
typedef struct ps_block_view {
    uint32_t tensor, shard;
    uint64_t offset; /* elements, within the shard */
    uint32_t count;
    uint64_t version;
    ps_slice bytes; /* count floats, little-endian */
    ps_block_buffer *buffer;
} ps_block_view;

/* Takes a reference. PS_RESOURCE_EXHAUSTED when there is no memory for the spare block that a push
 * might need meanwhile (pushes then never fail for want of it). Tensor, shard and block must
 * exist. */
PS_MUST_CHECK ps_status ps_block_view_take(ps_param_store *store, uint32_t tensor, uint32_t shard,
                                           uint32_t block, ps_block_view *out);
/* Any thread, also after the store's last reference was dropped. Clears view->buffer. */
void ps_block_view_release(ps_block_view *view);
/* The same for callbacks that keep only view.buffer. */
void ps_block_buffer_release(ps_block_buffer *buffer);

/* A pull has as many ranges at most for each shard of the store. */
enum { PS_PULL_RANGES_A_SHARD = 16 };

/* A range of one shard; count 0: to its end. */
typedef struct ps_pull_range {
    uint32_t tensor, shard;
    uint64_t offset, count;
} ps_pull_range;

/* One Pull call: the pieces of its ranges, in order. One thread at a time (not asserted here: its
 * call is its loop's, which asks). */
typedef struct ps_pull ps_pull;

/* No ranges: everything. newer_than: only blocks whose version is greater. *version is of the
 * header: every update up to it is in the pieces that follow; it is what the next newer_than should
 * be. PS_NOT_FOUND names a tensor or shard that is not there; PS_INVALID_ARGUMENT a range that is
 * outside, with the tensor's name, or says that there are too many. */
PS_MUST_CHECK ps_status ps_pull_begin(ps_param_store *store, const ps_pull_range *ranges,
                                      size_t n_ranges, uint64_t newer_than, uint64_t *version,
                                      ps_pull **out);
/* The same, whole, of the parameters as they were at that waypoint (waypoints.h). PS_NOT_FOUND: it
 * is not kept. */
PS_MUST_CHECK ps_status ps_pull_begin_at(ps_param_store *store, const ps_pull_range *ranges,
                                         size_t n_ranges, uint64_t waypoint, uint64_t *version,
                                         ps_pull **out);
/* The next piece, to be released by the caller; PS_END after the last; PS_AGAIN when it has gone
 * over many blocks that are not newer, so that the caller can let others have their turn;
 * PS_RESOURCE_EXHAUSTED as above (calling again later is fine). */
PS_MUST_CHECK ps_status ps_pull_next(ps_pull *pull, ps_block_view *out);
void ps_pull_free(ps_pull **pull);

#endif
