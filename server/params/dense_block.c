/* An update takes the lock, puts the old state aside if a snapshot still needs it, and writes piece
 * by piece: in place when nobody reads, else into the reserve, with the elements between the pieces
 * copied; then the reserve is current. Nothing here can fail but taking a reference, for want of
 * memory. */
#include "server/params/dense_block.h"

#include "common/base/list.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "server/params/recording.h"
#include "server/params/store_private.h"

#include <string.h>

/* Its state at a snapshot's instant, put aside by an update. */
typedef struct saved_state {
    ps_dense_buffer *values; /* a reference of its own */
    uint64_t updates;
    uint64_t bytes;               /* counted against the budget */
    _Alignas(64) uint8_t state[]; /* the optimizer's */
} saved_state;

typedef struct dense_block {
    ps_block block;
    ps_mutex lock;
    ps_dense_buffer *current;
    ps_dense_buffer *reserve; /* held exactly while current has readers */
    void *state;              /* the optimizer's, or NULL; touched under the lock only */
    size_t state_bytes;
    uint64_t updates;   /* applied to this block */
    uint64_t epoch;     /* the last snapshot that has this block */
    saved_state *saved; /* for the one under way */
} dense_block;

static dense_block *of(ps_block *block)
{
    return ps_container(block, dense_block, block);
}

ps_block_bytes ps_dense_bytes(const ps_optimizer *rule, uint32_t elements)
{
    ps_block_bytes bytes = {.values = elements * (uint64_t)sizeof(float),
                            .state = ps_optimizer_state_bytes(rule, elements)};
    bytes.memory = sizeof(dense_block) + sizeof(ps_dense_buffer) + bytes.values + bytes.state;
    return bytes;
}

void ps_dense_free(ps_block *block)
{
    dense_block *b = of(block);
    PS_REQUIRE(!b->saved && !b->reserve);
    if (b->current)
        ps_block_pool_put(b->current);
    free(b->state);
    ps_mutex_destroy(&b->lock);
    ps_free(&b);
}

ps_block *ps_dense_create(const ps_block *head)
{
    dense_block *b = ps_try_alloc(sizeof *b);
    if (!b)
        return NULL;
    b->block = *head;
    ps_mutex_init(&b->lock);
    b->state_bytes = ps_optimizer_state_bytes(head->rule, head->elements);
    b->current = ps_block_pool_get(ps_block_pool_class(head->store->pool, head->elements));
    if (b->state_bytes)
        b->state = ps_try_alloc_raw(b->state_bytes);
    if (!b->current || (b->state_bytes && !b->state)) {
        ps_dense_free(&b->block);
        return NULL;
    }
    b->current->refs = 1;
    b->current->head = (ps_block_buffer){.block = &b->block};
    if (b->state)
        ps_optimizer_state_init(head->rule, head->config, b->state, head->elements);
    return &b->block;
}

/* ---- references, with the lock held ---- */

/* The spare is there exactly while somebody reads: else an update would want memory, or wait. */
static void require_spare(const dense_block *b)
{
    ps_mutex_require_held(&b->lock);
    PS_REQUIRE((b->current->refs > 1) == (b->reserve != NULL));
}

static ps_dense_buffer *take(dense_block *b)
{
    if (!b->reserve) {
        b->reserve = ps_block_pool_get(b->current->class);
        if (!b->reserve)
            return NULL;
    }
    b->current->refs++;
    require_spare(b);
    return b->current;
}

static void give_back(dense_block *b, ps_dense_buffer *buffer)
{
    PS_REQUIRE(buffer->refs > 0 && buffer->head.block == &b->block);
    buffer->refs--;
    PS_REQUIRE(buffer->refs > 0 || buffer != b->current); /* which is the block's */
    if (buffer->refs == 0) {
        ps_block_pool_put(buffer);
    } else if (buffer == b->current && buffer->refs == 1) {
        ps_block_pool_put(b->reserve);
        b->reserve = NULL;
    }
    require_spare(b);
}

/* ---- readers ---- */

uint64_t ps_dense_version(ps_block *block)
{
    dense_block *b = of(block);
    ps_mutex_lock(&b->lock);
    uint64_t version = b->current->head.version;
    ps_mutex_unlock(&b->lock);
    return version;
}

bool ps_dense_view(ps_block *block, ps_block_seen *out)
{
    dense_block *b = of(block);
    ps_mutex_lock(&b->lock);
    ps_dense_buffer *buffer = take(b);
    ps_mutex_unlock(&b->lock);
    if (buffer)
        *out = (ps_block_seen){.buffer = &buffer->head, .values = buffer->data};
    return buffer != NULL;
}

void ps_dense_release(ps_block_buffer *buffer)
{
    dense_block *b = of(buffer->block);
    ps_mutex_lock(&b->lock);
    give_back(b, ps_container(buffer, ps_dense_buffer, head));
    ps_mutex_unlock(&b->lock);
}

void ps_dense_share(ps_block_buffer *buffer)
{
    dense_block *b = of(buffer->block);
    ps_mutex_lock(&b->lock);
    PS_REQUIRE(ps_container(buffer, ps_dense_buffer, head)->refs > 0);
    ps_container(buffer, ps_dense_buffer, head)->refs++;
    ps_mutex_unlock(&b->lock);
}

/* ---- updates ---- */

static ps_status dense_check(const ps_block *block, const ps_block_chunk *chunk, double *sum_sq)
{
    ps_status st = ps_codec_check(chunk->codec, chunk->payload, chunk->count);
    if (st)
        return st;
    ps_codec_scan scan = chunk->codec->scan(chunk->payload, chunk->count, sum_sq != NULL);
    if (!scan.finite)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "NaN or infinity in its gradient; lower the learning rate or look at the "
                       "data");
    if (sum_sq)
        *sum_sq += scan.sum_sq;
    return PS_OK;
}

/* Within the budget, and while there is memory. */
static bool save(dense_block *b)
{
    PS_REQUIRE(!b->saved);
    ps_param_store *store = b->block.store;
    uint64_t bytes = b->state_bytes + b->block.elements * (uint64_t)sizeof(float);
    if (!ps_snapshot_budget_take(store, bytes))
        return false;
    saved_state *saved = ps_try_alloc_raw(sizeof *saved + b->state_bytes);
    if (!saved)
        goto give_budget;
    saved->values = take(b);
    if (!saved->values)
        goto free_saved;
    saved->updates = b->updates;
    saved->bytes = bytes;
    if (b->state)
        memcpy(saved->state, b->state, b->state_bytes);
    b->saved = saved;
    b->epoch = ps_snapshot_epoch(store);
    return true;

free_saved:
    free(saved);
give_budget:
    ps_snapshot_budget_give(store, bytes);
    return false;
}

/* With the lock, which is let go and taken again where there is no room. */
static void put_aside(dense_block *b)
{
    ps_mutex_require_held(&b->lock);
    ps_param_store *store = b->block.store;
    while (b->epoch != ps_snapshot_epoch(store) && !save(b)) {
        ps_mutex_unlock(&b->lock);
        ps_snapshot_wait(store, b->block.index);
        ps_mutex_lock(&b->lock);
    }
}

/* Elements [from, to) that no piece covers. */
static void keep(const float *in, float *out, uint32_t from, uint32_t to)
{
    if (in != out && to > from)
        memcpy(out + from, in + from, (size_t)(to - from) * sizeof *out);
}

/* A part that is recorded goes by pieces, which the cache has still when their change is added up;
 * one that is updated in place is written beside first, so that both are there. The rules that keep
 * a scale for a group of elements have groups that divide a piece's (dynamic8.h). */
static void step_recorded(const dense_block *b, const ps_optimizer_step *once,
                          const ps_optimizer_part *all, ps_record_sketch *record)
{
    enum { PIECE = 2048 };
    _Alignas(64) float beside[PIECE];
    bool in_place = all->in == all->out;
    for (size_t done = 0, n; done < all->count; done += n) {
        size_t at = all->begin + done, end = (at / PIECE + 1) * PIECE;
        n = all->begin + all->count < end ? all->count - done : end - at;
        ps_optimizer_part part = *all;
        part.begin = at;
        part.count = n;
        part.in += done;
        part.out = in_place ? beside : all->out + done;
        part.g += done;
        b->block.rule->step(b->block.config, once, &part);
        ps_recording_change(record, &b->block, (uint32_t)at, part.in, part.out, n);
        if (in_place)
            memcpy(all->out + done, beside, n * sizeof *beside);
    }
}

static void step(dense_block *b, const ps_block_change *change, const float *in, float *out,
                 const ps_block_piece *pieces, size_t n)
{
    const ps_optimizer_step once = {
        .rate = change->rate,
        .gradient_scale = change->gradient_scale,
        .count = ++b->updates,
    };
    uint32_t done = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t begin = pieces[i].begin;
        PS_REQUIRE(begin >= done && pieces[i].count <= b->block.elements - begin);
        keep(in, out, done, begin);
        const ps_optimizer_part part = {
            .elements = b->block.elements,
            .begin = begin,
            .count = pieces[i].count,
            .in = in + begin,
            .out = out + begin,
            .g = pieces[i].values,
            .state = b->state,
        };
        if (change->record)
            step_recorded(b, &once, &part, change->record);
        else
            b->block.rule->step(b->block.config, &once, &part);
        done = begin + pieces[i].count;
    }
    keep(in, out, done, b->block.elements);
}

/* With the lock: nothing of what it is now is needed any more, and what is written into the buffer
 * becomes it. */
static ps_dense_buffer *change_begin(dense_block *b)
{
    put_aside(b);
    PS_REQUIRE(b->epoch == ps_snapshot_epoch(b->block.store));
    return b->current->refs > 1 ? b->reserve : b->current;
}

static void change_end(dense_block *b, ps_dense_buffer *new, uint64_t version)
{
    ps_dense_buffer *old = b->current;
    /* an update with a lower number may come after one with a higher */
    uint64_t before = old->head.version;
    new->head.version = before > version ? before : version;
    if (new != old) {
        new->head.block = &b->block;
        new->refs = 1;
        b->current = new;
        b->reserve = NULL;
        old->refs--;
    }
    require_spare(b);
}

void ps_dense_apply(ps_block *block, const ps_block_change *change, const ps_block_piece *pieces,
                    size_t n)
{
    dense_block *b = of(block);
    ps_mutex_lock(&b->lock);
    PS_REQUIRE(change->version > 0 && change->rate >= 0 && change->gradient_scale >= 0);
    ps_dense_buffer *new = change_begin(b);
    step(b, change, b->current->data, new->data, pieces, n);
    change_end(b, new, change->version);
    ps_mutex_unlock(&b->lock);
}

void ps_dense_clear(ps_block *block, uint64_t version)
{
    dense_block *b = of(block);
    ps_mutex_lock(&b->lock);
    ps_dense_buffer *new = change_begin(b);
    memset(new->data, 0, block->elements * sizeof *new->data);
    if (b->state)
        ps_optimizer_state_init(block->rule, block->config, b->state, block->elements);
    b->updates++;
    change_end(b, new, version);
    ps_mutex_unlock(&b->lock);
}

void ps_dense_second_moment(ps_block *block, float *out)
{
    dense_block *b = of(block);
    PS_REQUIRE(block->rule->second_moment && b->state);
    ps_mutex_lock(&b->lock);
    if (b->updates)
        block->rule->second_moment(block->config, b->state, block->elements, b->updates, out);
    else
        memset(out, 0, block->elements * sizeof *out);
    ps_mutex_unlock(&b->lock);
}

/* ---- snapshots ---- */

/* From what an update put aside, or from the block as it is. */
bool ps_dense_snapshot_next(ps_block *block, void *room, ps_block_frozen *out)
{
    dense_block *b = of(block);
    ps_mutex_lock(&b->lock);
    saved_state *saved = b->saved;
    ps_dense_buffer *values = saved ? saved->values : take(b);
    uint64_t updates = saved ? saved->updates : b->updates;
    b->saved = NULL;
    if (values && !saved) {
        PS_REQUIRE(b->epoch != ps_snapshot_epoch(block->store));
        b->epoch = ps_snapshot_epoch(block->store);
        if (b->state)
            memcpy(room, b->state, b->state_bytes);
    }
    ps_mutex_unlock(&b->lock);
    if (!values)
        return false;
    *out = (ps_block_frozen){
        .state = {.version = values->head.version,
                  .updates = updates,
                  .elements = block->elements,
                  .values = values->data,
                  .state = saved ? saved->state : room,
                  .state_bytes = b->state_bytes},
        .values = &values->head,
        .saved = saved,
    };
    return true;
}

static void free_saved(const ps_block *block, saved_state *saved)
{
    if (saved)
        ps_snapshot_budget_give(block->store, saved->bytes);
    free(saved);
}

void ps_dense_snapshot_drop(ps_block *block, ps_block_frozen *frozen)
{
    ps_dense_release(frozen->values);
    free_saved(block, frozen->saved);
}

void ps_dense_snapshot_skip(ps_block *block)
{
    dense_block *b = of(block);
    ps_mutex_lock(&b->lock);
    saved_state *saved = b->saved;
    b->saved = NULL;
    b->epoch = ps_snapshot_epoch(block->store);
    if (saved)
        give_back(b, saved->values);
    ps_mutex_unlock(&b->lock);
    free_saved(block, saved);
}

/* ---- before it is used ---- */

void ps_dense_put(ps_block *block, uint32_t begin, const ps_wire_float *values, size_t n)
{
    dense_block *b = of(block);
    PS_REQUIRE(begin <= block->elements && n <= block->elements - begin);
    ps_mutex_lock(&b->lock);
    memcpy(b->current->data + begin, values, n * sizeof *values);
    ps_mutex_unlock(&b->lock);
}

ps_block_restore ps_dense_room(ps_block *block)
{
    const dense_block *b = of(block);
    return (ps_block_restore){.elements = block->elements,
                              .values = b->current->data,
                              .state = b->state,
                              .state_bytes = b->state_bytes};
}

void ps_dense_restored(ps_block *block, uint64_t version, uint64_t updates)
{
    dense_block *b = of(block);
    b->updates = updates;
    b->current->head.version = version;
}

const ps_block_kind ps_block_dense = {
    .name = "dense",
    .check = dense_check,
    PS_BLOCK_DENSELY,
};
