/* A pull checks its ranges first and then goes over them block by block, taking a reference to each
 * as it comes to it; so a slow reader holds no more than what it has asked for. Blocks that are not
 * newer cost time and send nothing: a call skips only so many of them. */
#include "server/params/pull.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "server/params/store_private.h"
#include "server/params/waypoints.h"

enum { SKIPPED_AT_ONCE = 1024 }; /* some hundred microseconds */

struct ps_pull {
    ps_param_store *store;
    uint64_t newer_than;
    ps_waypoint *waypoint; /* NULL: of the parameters as they are */
    bool everything;
    ps_pull_range *ranges; /* counts filled in */
    size_t n_ranges;
    size_t range; /* where we are: in ranges, or tensor and shard when everything */
    uint32_t tensor, shard;
    uint64_t done; /* elements of the range at hand */
};

ps_status ps_block_view_take(ps_param_store *store, uint32_t tensor, uint32_t shard, uint32_t index,
                             ps_block_view *out)
{
    ps_block *block = ps_store_block(store, tensor, shard, index);
    ps_block_seen seen;
    if (!block->kind->view(block, &seen))
        return ps_fail(PS_RESOURCE_EXHAUSTED, "tensor %s: out of memory to send block %u of it",
                       store->placement->tensors[tensor].name, index);
    ps_param_store_ref(store);
    *out = (ps_block_view){
        .tensor = tensor,
        .shard = shard,
        .offset = (uint64_t)index * store->placement->block_elements,
        .count = block->elements,
        .version = seen.buffer->version,
        .bytes = ps_slice_of(seen.values, block->elements * sizeof(float)),
        .buffer = seen.buffer,
    };
    return PS_OK;
}

void ps_block_buffer_release(ps_block_buffer *buffer)
{
    ps_param_store *store = buffer->block->store;
    buffer->block->kind->release(buffer);
    ps_param_store_unref(&store);
}

void ps_block_view_release(ps_block_view *view)
{
    PS_REQUIRE(view->buffer);
    ps_block_buffer_release(view->buffer);
    view->buffer = NULL;
}

static ps_status check_range(const ps_placement *p, ps_pull_range *range)
{
    if (range->tensor >= p->n_tensors)
        return ps_fail(PS_NOT_FOUND, "tensor %u: the job has %zu", range->tensor, p->n_tensors);
    const ps_param_tensor *t = &p->tensors[range->tensor];
    if (range->shard >= t->n_shards)
        return ps_fail(PS_NOT_FOUND, "tensor %s: no shard %u, it has %u", t->name, range->shard,
                       t->n_shards);
    const ps_param_shard *s = &t->shards[range->shard];
    if (range->offset > s->elements || range->count > s->elements - range->offset)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "tensor %s: %llu elements from %llu of shard %u, it has %llu", t->name,
                       (unsigned long long)range->count, (unsigned long long)range->offset,
                       range->shard, (unsigned long long)s->elements);
    if (range->count == 0)
        range->count = s->elements - range->offset;
    return PS_OK;
}

/* Ranges are for who was cut off and asks for the rest: many a shard are a mistake, or worse. */
static ps_status check_count(const ps_placement *p, size_t n_ranges)
{
    uint64_t most = 0;
    for (size_t i = 0; i < p->n_tensors; i++)
        most += PS_PULL_RANGES_A_SHARD * (uint64_t)p->tensors[i].n_shards;
    if (n_ranges > most)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "a pull of %zu ranges, at most %llu (%d for each shard)", n_ranges,
                       (unsigned long long)most, PS_PULL_RANGES_A_SHARD);
    return PS_OK;
}

static ps_status copy_ranges(ps_pull *pull, const ps_pull_range *ranges)
{
    pull->ranges = ps_try_alloc(pull->n_ranges * sizeof *ranges);
    if (!pull->ranges)
        return ps_fail(PS_RESOURCE_EXHAUSTED, "out of memory for %zu ranges", pull->n_ranges);
    for (size_t i = 0; i < pull->n_ranges; i++) {
        pull->ranges[i] = ranges[i];
        ps_status st = check_range(pull->store->placement, &pull->ranges[i]);
        if (st)
            return st;
    }
    return PS_OK;
}

ps_status ps_pull_begin(ps_param_store *store, const ps_pull_range *ranges, size_t n_ranges,
                        uint64_t newer_than, uint64_t *version, ps_pull **out)
{
    ps_pull *pull = ps_new(ps_pull);
    *pull = (ps_pull){
        .store = ps_param_store_ref(store),
        .newer_than = newer_than,
        .everything = n_ranges == 0,
        .n_ranges = n_ranges,
    };
    ps_status st = check_count(store->placement, n_ranges);
    if (!st && n_ranges)
        st = copy_ranges(pull, ranges);
    if (st) {
        ps_pull_free(&pull);
        return st;
    }
    /* before the first block is taken: what is complete now is in every one of them */
    *version = ps_param_store_version(store);
    *out = pull;
    return PS_OK;
}

ps_status ps_pull_begin_at(ps_param_store *store, const ps_pull_range *ranges, size_t n_ranges,
                           uint64_t waypoint, uint64_t *version, ps_pull **out)
{
    ps_waypoint *held = NULL;
    ps_status st = ps_waypoint_hold(store, waypoint, &held);
    if (!st)
        st = ps_pull_begin(store, ranges, n_ranges, 0, version, out);
    if (st) {
        ps_waypoint_let_go(store, &held);
        return st;
    }
    (*out)->waypoint = held;
    *version = ps_waypoint_version(held);
    return PS_OK;
}

static ps_status view_of(const ps_pull *pull, const ps_pull_range *range, uint32_t block,
                         ps_block_view *out)
{
    if (!pull->waypoint)
        return ps_block_view_take(pull->store, range->tensor, range->shard, block, out);
    ps_waypoint_view(pull->store, pull->waypoint, range->tensor, range->shard, block, out);
    return PS_OK;
}

/* The range at hand; false after the last. */
static bool at_hand(const ps_pull *pull, ps_pull_range *out)
{
    const ps_placement *p = pull->store->placement;
    if (!pull->everything) {
        if (pull->range < pull->n_ranges)
            *out = pull->ranges[pull->range];
        return pull->range < pull->n_ranges;
    }
    if (pull->tensor >= p->n_tensors)
        return false;
    *out = (ps_pull_range){
        .tensor = pull->tensor,
        .shard = pull->shard,
        .count = p->tensors[pull->tensor].shards[pull->shard].elements,
    };
    return true;
}

static void next_range(ps_pull *pull)
{
    PS_REQUIRE(pull->everything || pull->range < pull->n_ranges);
    pull->done = 0;
    if (!pull->everything) {
        pull->range++;
        return;
    }
    if (++pull->shard < pull->store->placement->tensors[pull->tensor].n_shards)
        return;
    pull->shard = 0;
    pull->tensor++;
}

/* Cuts the view of a whole block down to the range. */
static void cut_view(ps_block_view *view, uint64_t offset, uint64_t count)
{
    PS_REQUIRE(offset >= view->offset && offset + count <= view->offset + view->count);
    uint64_t skip = offset - view->offset;
    view->bytes = ps_slice_of(view->bytes.data + skip * sizeof(float), count * sizeof(float));
    view->offset = offset;
    view->count = (uint32_t)count;
}

ps_status ps_pull_next(ps_pull *pull, ps_block_view *out)
{
    ps_pull_range range;
    uint32_t size = pull->store->placement->block_elements;
    for (unsigned turns = 0; at_hand(pull, &range); turns++) {
        if (turns == SKIPPED_AT_ONCE)
            return PS_AGAIN;
        if (pull->done >= range.count) {
            next_range(pull);
            continue;
        }
        uint64_t offset = range.offset + pull->done;
        uint64_t count = size - offset % size;
        if (count > range.count - pull->done)
            count = range.count - pull->done;
        ps_block_view view;
        ps_status st = view_of(pull, &range, (uint32_t)(offset / size), &view);
        if (st)
            return st;
        pull->done += count;
        PS_REQUIRE(pull->done <= range.count);
        if (pull->newer_than && view.version <= pull->newer_than) {
            ps_block_view_release(&view);
            continue;
        }
        cut_view(&view, offset, count);
        *out = view;
        return PS_OK;
    }
    return PS_END;
}

void ps_pull_free(ps_pull **pull)
{
    if (!*pull)
        return;
    ps_waypoint_let_go((*pull)->store, &(*pull)->waypoint);
    ps_param_store_unref(&(*pull)->store);
    free((*pull)->ranges);
    ps_free(pull);
}
