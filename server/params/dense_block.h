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

#endif
