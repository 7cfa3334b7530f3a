/* block_pool: the buffers that hold parameters, recycled so that a step allocates nothing.
 *
 * Buffers come in classes by exact size (the blocks of a job have few sizes). A released one goes
 * back to its class; beyond `keep_bytes` of idle ones memory is given back. Any thread.
 */
#ifndef PS_PARAMS_BLOCK_POOL_H
#define PS_PARAMS_BLOCK_POOL_H

#include "server/params/block.h"

#include <stddef.h>
#include <stdint.h>

typedef struct ps_block_pool ps_block_pool;
typedef struct ps_block_class ps_block_class;

typedef struct ps_dense_buffer ps_dense_buffer;
struct ps_dense_buffer {
    _Alignas(64) ps_block_buffer head;
    ps_block_class *class;
    ps_dense_buffer *next; /* while idle */
    uint32_t refs; /* the block's one, while current, and one a view; under the block's lock */
    _Alignas(64) float data[];
};

void ps_block_pool_create(uint64_t keep_bytes, ps_block_pool **out);
/* Every buffer must have been returned. */
void ps_block_pool_free(ps_block_pool **pool);
/* Before other threads use the pool. Found or made; lives as long as the pool. */
ps_block_class *ps_block_pool_class(ps_block_pool *pool, uint32_t elements);

/* An idle buffer or a new one, contents undefined; NULL when memory is out. */
ps_dense_buffer *ps_block_pool_get(ps_block_class *class);
void ps_block_pool_put(ps_dense_buffer *buffer);
uint64_t ps_block_pool_bytes(ps_block_pool *pool); /* of all buffers, idle or not */

#endif
