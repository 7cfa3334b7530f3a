/* Units are the shards in the order of the placement. Fails only where the record is opened. */
#include "server/params/recording.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/loop/loop.h"
#include "server/params/store_private.h"

/* Where a block lies in its unit. */
struct ps_recorded_block {
    uint32_t unit;
    uint64_t begin;
    uint64_t first; /* elements of the store before it */
};

/* Names are borrowed. */
static void make_head(const ps_placement *p, ps_influence_head *out)
{
    *out = (ps_influence_head){.tensors = ps_alloc_array(p->n_tensors, sizeof *out->tensors),
                               .n_tensors = p->n_tensors};
    for (size_t t = 0; t < p->n_tensors; t++) {
        const ps_param_tensor *tensor = &p->tensors[t];
        out->tensors[t] = (ps_influence_tensor){.name = (char *)(uintptr_t)tensor->name,
                                                .first_unit = (uint32_t)out->n_units,
                                                .units = tensor->n_shards};
        out->n_units += tensor->n_shards;
    }
    out->elements = ps_alloc_array(out->n_units, sizeof *out->elements);
    for (size_t t = 0; t < p->n_tensors; t++)
        for (uint32_t s = 0; s < out->tensors[t].units; s++)
            out->elements[out->tensors[t].first_unit + s] = p->tensors[t].shards[s].elements;
}

static struct ps_recorded_block *make_blocks(const ps_placement *p)
{
    struct ps_recorded_block *blocks = ps_alloc_array((size_t)p->blocks, sizeof *blocks);
    uint32_t unit = 0;
    uint64_t before = 0;
    for (size_t t = 0; t < p->n_tensors; t++)
        for (uint32_t s = 0; s < p->tensors[t].n_shards; s++, unit++) {
            const ps_param_shard *shard = &p->tensors[t].shards[s];
            for (uint32_t i = 0; i < shard->blocks; i++) {
                uint64_t begin = (uint64_t)i * p->block_elements;
                blocks[shard->first_block + i] = (struct ps_recorded_block){
                    .unit = unit, .begin = begin, .first = before + begin};
            }
            before += shard->elements;
        }
    return blocks;
}

ps_status ps_param_store_record(ps_param_store *store, const ps_record_options *options)
{
    ps_loop_require_off();
    PS_REQUIRE(!store->record);
    ps_influence_head head;
    make_head(store->placement, &head);
    ps_status st = ps_record_open(options, &head, &store->record);
    free(head.tensors);
    free(head.elements);
    if (!st && !store->recorded)
        store->recorded = make_blocks(store->placement);
    return st;
}

ps_record *ps_param_store_recorder(const ps_param_store *store)
{
    return store->record;
}

void ps_param_store_measure(ps_param_store *store, double tolerance, const ps_sketch *shape)
{
    size_t units = 0;
    PS_REQUIRE(!store->losses);
    for (size_t t = 0; t < store->placement->n_tensors; t++)
        units += store->placement->tensors[t].n_shards;
    ps_losses_create(tolerance, units, shape ? ps_loss_gradient_bytes(shape) : 0, &store->losses);
}

ps_losses *ps_param_store_losses(const ps_param_store *store)
{
    return store->losses;
}

ps_status ps_param_store_measure_noise(ps_param_store *store)
{
    PS_REQUIRE(!store->noise);
    ps_status st =
        ps_noise_create(store->ops->holds ? 0 : store->placement->elements, &store->noise);
    if (!st && !store->recorded)
        store->recorded = make_blocks(store->placement);
    return st;
}

ps_noise *ps_param_store_noise(const ps_param_store *store)
{
    return store->noise;
}

bool ps_recording_pair_begin(ps_param_store *store, const ps_push_header *header, uint64_t elements,
                             ps_noise_pair *out)
{
    return store->noise && header->parts <= 1 && elements == store->placement->elements &&
           ps_noise_pair_begin(store->noise, out);
}

void ps_recording_pair_block(ps_param_store *store, ps_noise_pair *pair, uint64_t block,
                             const ps_block_piece *pieces, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ps_noise_pair_add(store->noise, pair, store->recorded[block].first + pieces[i].begin,
                          pieces[i].values, pieces[i].count);
}

ps_record_sketch *ps_recording_begin(ps_param_store *store, uint64_t number)
{
    return store->record && ps_record_is_due(store->record, number) ? ps_record_begin(store->record)
                                                                    : NULL;
}

ps_record_sketch *ps_recording_begin_held(ps_param_store *store)
{
    return store->record && ps_record_holds(store->record) ? ps_record_begin(store->record) : NULL;
}

void ps_recording_change(ps_record_sketch *sketch, const ps_block *block, uint32_t begin,
                         const float *before, const float *after, size_t n)
{
    const struct ps_recorded_block *at = &block->store->recorded[block->index];
    ps_record_add_change(sketch, at->unit, at->begin + begin, before, after, n);
}

void ps_recording_hold_block(ps_param_store *store, ps_record_sketch *sketch, uint64_t block,
                             const ps_block_piece *pieces, size_t n, double weight)
{
    const struct ps_recorded_block *at = &store->recorded[block];
    for (size_t i = 0; i < n; i++)
        ps_record_add_gradient(sketch, at->unit, at->begin + pieces[i].begin, pieces[i].values,
                               pieces[i].count, (float)weight);
}

ps_influence_push ps_recording_about(ps_param_store *store, const char *worker,
                                     const ps_push_header *header, const ps_push_reply *reply)
{
    /* the ledger has looked at rows of a lease; others are what the worker likes to say */
    bool booked = header->lease && header->rows.begin < header->rows.end;
    return (ps_influence_push){.version = reply->version,
                               .clock = header->clock,
                               .client = header->incarnation,
                               .sequence = header->sequence,
                               .lease = header->lease,
                               .row_begin = booked ? header->rows.begin : 0,
                               .row_end = booked ? header->rows.end : 0,
                               .staleness = reply->staleness,
                               .epoch = ps_ledger_lease_epoch(store->ledger, header->lease),
                               .weight = header->weight,
                               .worker = worker};
}
