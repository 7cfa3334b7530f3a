/* dense_block: the kind of block that has all its elements beside each other, with a version, the
 * optimizer's state beside them, and a lock.
 *
 * The state that readers see is a buffer. Readers take references and read without the lock. An
 * update writes into the buffer itself when nobody else holds it, and otherwise into a spare one
 * that is published when it is whole; so what a reader holds never changes under it. The first
 * reader of a buffer secures that spare beforehand: an update never needs memory.
 *
 *     refs == 1   nobody reads, reserve is NULL      update in place
 *     refs  > 1   readers, reserve is held           update into reserve, which becomes current
 */
#ifndef PS_PARAMS_DENSE_BLOCK_H
#define PS_PARAMS_DENSE_BLOCK_H

#include "server/params/block.h"

extern const ps_block_kind ps_block_dense;

/* For kinds that keep their elements so, under a rule of their own: all of a row but its name, rule
 * and check. */
#define PS_BLOCK_DENSELY                                                                       \
    .bytes = ps_dense_bytes, .create = ps_dense_create, .free = ps_dense_free,                 \
    .apply = ps_dense_apply, .clear = ps_dense_clear, .second_moment = ps_dense_second_moment, \
    .version = ps_dense_version, .view = ps_dense_view, .release = ps_dense_release,           \
    .share = ps_dense_share, .snapshot_next = ps_dense_snapshot_next,                          \
    .snapshot_drop = ps_dense_snapshot_drop, .snapshot_skip = ps_dense_snapshot_skip,          \
    .put = ps_dense_put, .room = ps_dense_room, .restored = ps_dense_restored

ps_block_bytes ps_dense_bytes(const ps_optimizer *rule, uint32_t elements);
ps_block *ps_dense_create(const ps_block *head);
void ps_dense_free(ps_block *block);
void ps_dense_apply(ps_block *block, const ps_block_change *change, const ps_block_piece *pieces,
                    size_t n);
void ps_dense_clear(ps_block *block, uint64_t version);
void ps_dense_second_moment(ps_block *block, float *out);
uint64_t ps_dense_version(ps_block *block);
bool ps_dense_view(ps_block *block, ps_block_seen *out);
void ps_dense_release(ps_block_buffer *buffer);
void ps_dense_share(ps_block_buffer *buffer);
bool ps_dense_snapshot_next(ps_block *block, void *room, ps_block_frozen *out);
void ps_dense_snapshot_drop(ps_block *block, ps_block_frozen *frozen);
void ps_dense_snapshot_skip(ps_block *block);
void ps_dense_put(ps_block *block, uint32_t begin, const ps_wire_float *values, size_t n);
ps_block_restore ps_dense_room(ps_block *block);
void ps_dense_restored(ps_block *block, uint64_t version, uint64_t updates);

#endif
