/* One sum and one lock a block. The first push that covers a whole block is stored, so that nothing
 * has to be cleared after an update. Fails only at creation. */
#include "server/params/accumulator.h"

#include "common/base/mem.h"
#include "common/base/mutex.h"
#include "common/base/require.h"
#include "common/base/vector.h"
#include "server/params/recording.h"

#include <math.h>
#include <string.h>

typedef struct block_sum {
    ps_mutex lock;
    double weight; /* Σ w; 0: no push has touched it, and the sum is undefined */
    float *sum;
    uint32_t elements;
} block_sum;

struct ps_accumulator {
    ps_param_store *store;
    uint64_t n;
    block_sum *blocks;
    uint64_t bytes;
};

ps_status ps_accumulator_create(ps_param_store *store, ps_accumulator **out)
{
    ps_accumulator *a = ps_new(ps_accumulator);
    a->store = store;
    a->n = ps_update_blocks(store);
    a->blocks = ps_try_alloc(a->n * sizeof *a->blocks);
    if (!a->blocks)
        goto no_memory;
    for (uint64_t i = 0; i < a->n; i++)
        ps_mutex_init(&a->blocks[i].lock);
    for (uint64_t i = 0; i < a->n; i++) {
        block_sum *b = &a->blocks[i];
        b->elements = ps_update_block_elements(store, i);
        b->sum = ps_try_alloc_raw(b->elements * sizeof *b->sum);
        if (!b->sum)
            goto no_memory;
        a->bytes += sizeof *b + b->elements * sizeof *b->sum;
    }
    *out = a;
    return PS_OK;

no_memory:
    ps_accumulator_free(&a);
    return ps_fail(PS_NO_MEMORY, "out of memory for the sums of gradients, 4 bytes a parameter");
}

void ps_accumulator_free(ps_accumulator **accumulator)
{
    ps_accumulator *a = *accumulator;
    if (!a)
        return;
    for (uint64_t i = 0; a->blocks && i < a->n; i++) {
        ps_mutex_destroy(&a->blocks[i].lock);
        free(a->blocks[i].sum);
    }
    free(a->blocks);
    ps_free(accumulator);
}

PS_VECTOR_CLONES
static void set_scaled(float *sum, const ps_wire_float *g, size_t n, float factor)
{
    PS_VECTOR_LOOP
    for (size_t i = 0; i < n; i++)
        sum[i] = factor * g[i];
}

PS_VECTOR_CLONES
static void add_scaled(float *sum, const ps_wire_float *g, size_t n, float factor)
{
    PS_VECTOR_LOOP
    for (size_t i = 0; i < n; i++)
        sum[i] += factor * g[i];
}

void ps_accumulator_add(ps_accumulator *accumulator, uint64_t block, const ps_block_piece *pieces,
                        size_t n, double weight)
{
    ps_update_require_entered(accumulator->store);
    PS_REQUIRE(block < accumulator->n && n > 0 && weight > 0);
    block_sum *b = &accumulator->blocks[block];
    ps_mutex_lock(&b->lock);
    bool first = b->weight == 0;
    if (first && n == 1 && pieces[0].count == b->elements) {
        set_scaled(b->sum, pieces[0].values, b->elements, (float)weight);
    } else {
        if (first)
            memset(b->sum, 0, b->elements * sizeof *b->sum);
        for (size_t i = 0; i < n; i++) {
            PS_REQUIRE(pieces[i].begin + pieces[i].count <= b->elements);
            add_scaled(b->sum + pieces[i].begin, pieces[i].values, pieces[i].count, (float)weight);
        }
    }
    b->weight += weight;
    ps_mutex_unlock(&b->lock);
}

static double mean_square(const ps_accumulator *a)
{
    double sum_sq = 0;
    for (uint64_t i = 0; i < a->n; i++) {
        const block_sum *b = &a->blocks[i];
        if (b->weight > 0)
            sum_sq +=
                ps_codec_scan_values(b->sum, b->elements, true).sum_sq / b->weight / b->weight;
    }
    return sum_sq;
}

/* Of the clock's gradient, which is what torch clips, too: not of each worker's share of it. */
static double clip_scale(const ps_accumulator *a)
{
    double limit = ps_update_clip_norm(a->store);
    ps_noise *noise = ps_param_store_noise(a->store);
    double square = limit > 0 || noise ? mean_square(a) : 0, norm = sqrt(square);
    if (noise)
        ps_noise_merge(noise, square);
    return limit > 0 && norm > limit ? limit / norm : 1;
}

/* w ← w − η Σ (n_k/n) g_k over the workers k with their n_k rows, n = Σ n_k: one step of the whole
 * batch's mean gradient, however its rows were shared out (McMahan et al., Communication-Efficient
 * Learning of Deep Networks from Decentralized Data, 2017, section 2: FedSGD). */
void ps_accumulator_apply(ps_accumulator *a)
{
    ps_update_require_entered(a->store);
    double scale = clip_scale(a);
    ps_update update;
    ps_update_begin(a->store, ps_update_elements(a->store), ps_update_rows(a->store),
                    &update); /* one for all that is held */
    update.record = ps_recording_begin_held(a->store);
    for (uint64_t i = 0; i < a->n; i++) {
        block_sum *b = &a->blocks[i];
        if (b->weight == 0)
            continue;
        ps_block_piece whole = {.begin = 0, .count = b->elements, .values = b->sum};
        ps_update_block(&update, i, &whole, 1, scale / b->weight);
        b->weight = 0;
    }
    ps_update_end(&update);
    if (update.record)
        ps_record_merge(ps_param_store_recorder(a->store), &update.record, update.version);
}

uint64_t ps_accumulator_bytes(const ps_accumulator *accumulator)
{
    return accumulator->bytes;
}
