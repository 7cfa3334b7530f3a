/* dense_block: up to 262,144 consecutive parameters of one shard, with a version, the optimizer's
 * state beside them, and a lock.
 *
 * The state that readers see is a buffer. Readers take references and read without the lock. An
 * update writes into the buffer itself when nobody else holds it, and otherwise into a spare one
 * that is published when it is whole; so what a reader holds never changes under it. The first
 * reader of a buffer secures that spare beforehand: an update never needs memory.
 *
 *     refs == 1   nobody reads, reserve is NULL      update in place
 *     refs  > 1   readers, reserve is held           update into reserve, which becomes current
 *
 * A snapshot (snapshot.h) finds in `epoch` whether the block still is as it was at its instant.
 * All functions take the block's lock; any thread.
 */
#ifndef PS_PARAMS_DENSE_BLOCK_H
#define PS_PARAMS_DENSE_BLOCK_H

#include "common/base/mutex.h"
#include "server/optim/optimizer.h"
#include "server/params/update.h"

#include <stdint.h>

typedef struct ps_block_buffer ps_block_buffer;
typedef struct ps_block_saved ps_block_saved;

typedef struct ps_dense_block {
    ps_mutex lock;
    ps_param_store *store;
    ps_block_buffer *current;
    ps_block_buffer *reserve; /* held exactly while current has readers */
    void *state;              /* the optimizer's, or NULL; touched under the lock only */
    uint64_t updates;         /* applied to this block */
    uint64_t epoch;           /* the last snapshot that has this block */
    ps_block_saved *saved;    /* its state at the snapshot's instant, put aside by an update */
    uint32_t elements;
    bool undecayed; /* as its tensor's plan says */
} ps_dense_block;

/* One application of the rule, the same for all blocks of an update. */
typedef struct ps_block_change {
    const ps_optimizer *rule;
    const ps_optimizer_config *config;
    const ps_optimizer_config *undecayed; /* the same, for blocks that are */
    uint64_t version;
    double rate;
    double gradient_scale;
} ps_block_change;

void ps_dense_block_update(ps_dense_block *block, const ps_block_change *change,
                           const ps_block_piece *pieces, size_t n);
/* NULL when there is no memory for the spare. */
ps_block_buffer *ps_dense_block_take(ps_dense_block *block);
void ps_dense_block_release(ps_dense_block *block, ps_block_buffer *buffer);
/* The same with the lock held already. */
ps_block_buffer *ps_dense_block_take_locked(ps_dense_block *block);
void ps_dense_block_release_locked(ps_dense_block *block, ps_block_buffer *buffer);

#endif
