/* snapshot: the whole store as it was at one instant, block by block, while updates go on.
 *
 * begin closes the gate (waits for the updates under way, holds off new ones), copies the small
 * state, counts the store's epoch up, and opens it again. From then on a block whose own epoch is
 * behind is still as it was at the instant. An update that comes to such a block first puts its
 * state aside: the parameters by reference, the optimizer's by copy, within a budget; beyond it the
 * update waits until the reader has passed. So the reader must go on reading, or end.
 *
 * One reader, one snapshot of a store at a time.
 */
#ifndef PS_PARAMS_SNAPSHOT_H
#define PS_PARAMS_SNAPSHOT_H

#include "common/base/buf.h"
#include "server/params/param_store.h"

typedef struct ps_snapshot ps_snapshot;

/* The small state of the instant. */
typedef struct ps_snapshot_small {
    uint64_t version;
    ps_buf windows;    /* of pushes, for exactly once */
    ps_buf controller; /* the consistency model's */
    ps_buf rows;       /* which are in the parameters, and the schedule's place among them */
    ps_buf progress;   /* the caller's */
    uint64_t pause_ns; /* how long the gate was closed, waiting for running updates included */
} ps_snapshot_small;

typedef struct ps_block_state {
    uint64_t version;
    uint64_t updates; /* applied to this block (bias correction) */
    uint32_t elements;
    const float *values;
    const void *state; /* the optimizer's */
    size_t state_bytes;
} ps_block_state;

/* progress (may be NULL) is called at the instant. PS_ABORTED: another snapshot is under way;
 * PS_NO_MEMORY. */
PS_MUST_CHECK ps_status ps_snapshot_begin(ps_param_store *store,
                                          void (*progress)(void *user, ps_buf *out), void *user,
                                          ps_snapshot **out);
const ps_snapshot_small *ps_snapshot_small_state(const ps_snapshot *snapshot);
/* Blocks must be asked for in ascending order from 0, each once. *out is valid until the next call.
 * PS_NO_MEMORY: asking again is fine. */
PS_MUST_CHECK ps_status ps_snapshot_block(ps_snapshot *snapshot, uint64_t block,
                                          ps_block_state *out);
/* Also before all blocks were read. */
void ps_snapshot_end(ps_snapshot **snapshot);

/* ---- putting it back, into a store that nobody uses yet ---- */

/* The configuration the store was made with, plans included; the store's own. */
const ps_param_config *ps_param_store_config(const ps_param_store *store);
const char *ps_param_store_optimizer(const ps_param_store *store); /* the rule's name */
uint32_t ps_param_store_state_format(const ps_param_store *store); /* as in optimizer.h */
uint64_t ps_param_store_state_bytes(const ps_param_store *store);  /* of all blocks together */
/* Of a block's values and its state: never changes, and is asked for while others update it. */
size_t ps_param_store_block_bytes(const ps_param_store *store, uint64_t block);
/* Where the block's values and the optimizer's state are to be put: the caller fills both. */
typedef struct ps_block_restore {
    uint32_t elements;
    float *values;
    void *state;
    size_t state_bytes;
} ps_block_restore;
uint64_t ps_param_store_blocks(const ps_param_store *store);
ps_block_restore ps_param_store_block_room(const ps_param_store *store, uint64_t block);
/* Any thread for a block, one at a time. */
void ps_param_store_restore_block(ps_param_store *store, uint64_t block, uint64_t version,
                                  uint64_t updates);
/* rows empty: of a psd that did not book them. PS_CORRUPT: they are no such state. */
PS_MUST_CHECK ps_status ps_param_store_restore(ps_param_store *store, uint64_t version,
                                               ps_slice windows, ps_slice controller,
                                               ps_slice rows);

#endif
