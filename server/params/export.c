/* Both directions walk the tensor in row-major runs that lie side by side in one shard, cut at
 * block borders. Export keeps one view a shard while its block is being read, so that each block is
 * one state; it fails for want of memory or when the sink does. */
#include "server/params/export.h"

#include "common/base/mem.h"
#include "common/loop/loop.h"
#include "server/params/pull.h"
#include "server/params/store_private.h"

#include <string.h>

static ps_status find_tensor(ps_param_store *store, uint32_t id, const ps_param_tensor **out)
{
    if (id >= store->placement->n_tensors)
        return ps_fail(PS_NOT_FOUND, "tensor %u: the job has %zu", id, store->placement->n_tensors);
    *out = &store->placement->tensors[id];
    return PS_OK;
}

/* What of a shard is being read: one block's numbers, which stay until they are dropped. */
typedef struct piece {
    uint64_t offset, count; /* elements of the shard */
    const float *values;    /* NULL: none yet */
    ps_block_view view;     /* of the elements themselves; */
    float *made;            /* or numbers made of them, room for a block */
} piece;

typedef struct reader {
    ps_status (*take)(ps_param_store *store, uint32_t tensor, uint32_t shard, uint32_t block,
                      piece *out);
    void (*drop)(piece *of); /* what take has left; the next take, or nothing, follows */
} reader;

/* The piece that holds the run's first element; taken anew when the shard's last one does not. */
static ps_status piece_at(ps_param_store *store, const reader *how, uint32_t tensor,
                          ps_param_run run, piece *at)
{
    if (at->values && run.offset < at->offset + at->count)
        return PS_OK;
    how->drop(at);
    at->values = NULL;
    uint32_t block = (uint32_t)(run.offset / store->placement->block_elements);
    return how->take(store, tensor, run.shard, block, at);
}

static ps_status walk(ps_param_store *store, uint32_t id, const reader *how, ps_param_sink sink)
{
    ps_loop_require_off();
    const ps_param_tensor *t = NULL;
    ps_status st = find_tensor(store, id, &t);
    if (st)
        return st;
    piece *pieces = ps_try_alloc(t->n_shards * sizeof *pieces);
    if (!pieces)
        return ps_fail(PS_NO_MEMORY, "tensor %s: out of memory for its export", t->name);
    uint64_t total = t->rows * t->columns;
    for (uint64_t at = 0; at < total && !st;) {
        ps_param_run run = ps_placement_locate(t, at);
        piece *from = &pieces[run.shard];
        st = piece_at(store, how, id, run, from);
        if (st)
            break;
        uint64_t skip = run.offset - from->offset;
        uint64_t n = from->count - skip < run.count ? from->count - skip : run.count;
        PS_REQUIRE(n > 0 && n <= total - at); /* it comes to an end */
        st = sink.write(sink.state, from->values + skip, n);
        at += n;
    }
    for (uint32_t i = 0; i < t->n_shards; i++) {
        how->drop(&pieces[i]);
        free(pieces[i].made);
    }
    free(pieces);
    return st;
}

/* ---- the elements ---- */

static ps_status take_values(ps_param_store *store, uint32_t tensor, uint32_t shard, uint32_t block,
                             piece *out)
{
    ps_status st = ps_block_view_take(store, tensor, shard, block, &out->view);
    if (st)
        return st;
    out->offset = out->view.offset;
    out->count = out->view.count;
    out->values = (const float *)(const void *)out->view.bytes.data;
    return PS_OK;
}

static void drop_values(piece *of)
{
    if (of->view.buffer)
        ps_block_view_release(&of->view);
}

ps_status ps_param_export(ps_param_store *store, uint32_t id, ps_param_sink sink)
{
    static const reader values = {.take = take_values, .drop = drop_values};
    return walk(store, id, &values, sink);
}

/* ---- the squares of their gradients ---- */

static ps_status take_moments(ps_param_store *store, uint32_t tensor, uint32_t shard,
                              uint32_t index, piece *out)
{
    ps_block *block = ps_store_block(store, tensor, shard, index);
    uint32_t size = store->placement->block_elements;
    if (!out->made)
        out->made = ps_try_alloc_raw(size * sizeof *out->made);
    if (!out->made)
        return ps_fail(PS_NO_MEMORY, "second moments of a block of %u", size);
    block->kind->second_moment(block, out->made);
    out->offset = (uint64_t)index * size;
    out->count = block->elements;
    out->values = out->made;
    return PS_OK;
}

static void keep_room(piece *of)
{
    (void)of;
}

bool ps_param_has_moments(const ps_param_store *store)
{
    return store->rule->second_moment != NULL;
}

ps_status ps_param_export_moments(ps_param_store *store, uint32_t id, ps_param_sink sink)
{
    static const reader moments = {.take = take_moments, .drop = keep_room};
    PS_REQUIRE(ps_param_has_moments(store));
    return walk(store, id, &moments, sink);
}

void ps_param_put_values(ps_param_store *store, uint32_t id, uint64_t offset,
                         const ps_wire_float *values, uint64_t count)
{
    PS_REQUIRE(id < store->placement->n_tensors);
    const ps_param_tensor *t = &store->placement->tensors[id];
    uint32_t size = store->placement->block_elements;
    while (count) {
        ps_param_run run = ps_placement_locate(t, offset);
        uint32_t skip = (uint32_t)(run.offset % size);
        ps_block *block = ps_store_block(store, id, run.shard, (uint32_t)(run.offset / size));
        uint64_t n = run.count < count ? run.count : count;
        if (n > block->elements - skip)
            n = block->elements - skip;
        block->kind->put(block, skip, values, n);
        values += n;
        offset += n;
        count -= n;
    }
}

ps_status ps_param_import(ps_param_store *store, uint32_t id, uint64_t offset,
                          const ps_wire_float *values, uint64_t count)
{
    const ps_param_tensor *t = NULL;
    ps_status st = find_tensor(store, id, &t);
    if (st)
        return st;
    uint64_t total = t->rows * t->columns;
    if (offset > total || count > total - offset)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "tensor %s: values for elements %llu to %llu, it has %llu", t->name,
                       (unsigned long long)offset, (unsigned long long)(offset + count),
                       (unsigned long long)total);
    if (!ps_codec_scan_values(values, count, false).finite)
        return ps_fail(PS_INVALID_ARGUMENT, "tensor %s: NaN or infinity in its values", t->name);
    ps_param_put_values(store, id, offset, values, count);
    return PS_OK;
}
