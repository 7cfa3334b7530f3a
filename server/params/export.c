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

/* The view that holds the run's first element; taken anew when the shard's last one does not. */
static ps_status view_at(ps_param_store *store, uint32_t tensor, ps_param_run run,
                         ps_block_view *view)
{
    if (view->buffer && run.offset < view->offset + view->count)
        return PS_OK;
    if (view->buffer)
        ps_block_view_release(view);
    uint32_t block = (uint32_t)(run.offset / store->placement->block_elements);
    return ps_block_view_take(store, tensor, run.shard, block, view);
}

ps_status ps_param_export(ps_param_store *store, uint32_t id, ps_param_sink sink)
{
    ps_loop_require_off();
    const ps_param_tensor *t = NULL;
    ps_status st = find_tensor(store, id, &t);
    if (st)
        return st;
    ps_block_view *views = ps_try_alloc(t->n_shards * sizeof *views);
    if (!views)
        return ps_fail(PS_NO_MEMORY, "tensor %s: out of memory for its export", t->name);
    uint64_t total = t->rows * t->columns;
    for (uint64_t at = 0; at < total && !st;) {
        ps_param_run run = ps_placement_locate(t, at);
        ps_block_view *view = &views[run.shard];
        st = view_at(store, id, run, view);
        if (st)
            break;
        uint64_t skip = run.offset - view->offset;
        uint64_t n = view->count - skip < run.count ? view->count - skip : run.count;
        PS_REQUIRE(n > 0 && n <= total - at); /* it comes to an end */
        st = sink.write(sink.state, (const float *)(const void *)view->bytes.data + skip, n);
        at += n;
    }
    for (uint32_t i = 0; i < t->n_shards; i++)
        if (views[i].buffer)
            ps_block_view_release(&views[i]);
    free(views);
    return st;
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
