/* An update takes the lock, puts the old state aside if a snapshot still needs it, and writes piece
 * by piece: in place when nobody reads, else into the reserve, with the elements between the pieces
 * copied; then the reserve is current. Nothing here can fail but taking a reference, for want of
 * memory. */
#include "server/params/dense_block.h"

#include "server/params/store_private.h"

#include <assert.h>
#include <string.h>

ps_block_buffer *ps_dense_block_take_locked(ps_dense_block *block)
{
    if (!block->reserve) {
        block->reserve = ps_block_pool_get(block->current->class);
        if (!block->reserve)
            return NULL;
    }
    block->current->refs++;
    return block->current;
}

void ps_dense_block_release_locked(ps_dense_block *block, ps_block_buffer *buffer)
{
    assert(buffer->refs > 0);
    buffer->refs--;
    if (buffer->refs == 0) {
        ps_block_pool_put(buffer);
    } else if (buffer == block->current && buffer->refs == 1) {
        ps_block_pool_put(block->reserve);
        block->reserve = NULL;
    }
}

ps_block_buffer *ps_dense_block_take(ps_dense_block *block)
{
    ps_mutex_lock(&block->lock);
    ps_block_buffer *buffer = ps_dense_block_take_locked(block);
    ps_mutex_unlock(&block->lock);
    return buffer;
}

void ps_dense_block_release(ps_dense_block *block, ps_block_buffer *buffer)
{
    ps_mutex_lock(&block->lock);
    ps_dense_block_release_locked(block, buffer);
    ps_mutex_unlock(&block->lock);
}

/* Elements [from, to) that no piece covers. */
static void keep(const float *in, float *out, uint32_t from, uint32_t to)
{
    if (in != out && to > from)
        memcpy(out + from, in + from, (size_t)(to - from) * sizeof *out);
}

static void apply(ps_dense_block *block, const ps_block_change *change, const float *in, float *out,
                  const ps_block_piece *pieces, size_t n)
{
    ps_optimizer_step step = {
        .rate = change->rate,
        .gradient_scale = change->gradient_scale,
        .count = ++block->updates,
    };
    uint32_t done = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t begin = pieces[i].begin;
        keep(in, out, done, begin);
        const ps_optimizer_part part = {
            .elements = block->elements,
            .begin = begin,
            .count = pieces[i].count,
            .in = in + begin,
            .out = out + begin,
            .g = pieces[i].values,
            .state = block->state,
        };
        change->rule->step(block->undecayed ? change->undecayed : change->config, &step, &part);
        done = begin + pieces[i].count;
    }
    keep(in, out, done, block->elements);
}

void ps_dense_block_update(ps_dense_block *block, const ps_block_change *change,
                           const ps_block_piece *pieces, size_t n)
{
    ps_mutex_lock(&block->lock);
    ps_snapshot_put_aside(block);
    ps_block_buffer *old = block->current;
    ps_block_buffer *new = old->refs > 1 ? block->reserve : old;
    apply(block, change, old->data, new->data, pieces, n);
    /* an update with a lower number may come after one with a higher */
    new->version = old->version > change->version ? old->version : change->version;
    if (new != old) {
        new->block = block;
        new->refs = 1;
        block->current = new;
        block->reserve = NULL;
        old->refs--;
    }
    ps_mutex_unlock(&block->lock);
}
