/* heads: whole groups of attention: a head of keys and values with all heads of queries that look
 * at it; in gpt2 each query has its own. Heads keep their size, so that what positions do to them,
 * and what they were trained for, stays (model key head_dim). */
#include "common/compress/prune_row.h"

static uint64_t count(const ps_spec_model *parent, size_t set)
{
    (void)set;
    return (uint64_t)parent->num_kv_heads;
}

static void shrink(const ps_plan *plan, ps_spec_model *child)
{
    int64_t share = child->num_heads / child->num_kv_heads;
    child->num_kv_heads = (int64_t)plan->units[0].left;
    child->num_heads = share * child->num_kv_heads;
}

/* queries | keys | values, where they are one product */
static void members(const ps_plan *plan, const ps_spec_model *parent, const ps_plan_part *part,
                    ps_plan_tensor *tensor)
{
    (void)plan;
    uint64_t size = (uint64_t)parent->head_dim;
    uint64_t keys = (uint64_t)parent->num_kv_heads * size;
    uint64_t queries = (uint64_t)parent->num_heads * size;
    const ps_prune_place q = {.span = queries / (uint64_t)parent->num_kv_heads};
    const ps_prune_place kv = {.span = size};
    ps_prune_add_side(part, tensor, part->layer, PS_SIDE_HEADS, q);
    ps_prune_add_side(part, tensor, part->layer, PS_SIDE_KV, kv);
    ps_prune_add_side(part, tensor, part->layer, PS_SIDE_QKV, q);
    ps_prune_add_side(part, tensor, part->layer, PS_SIDE_QKV,
                      (ps_prune_place){.begin = queries, .span = size});
    ps_prune_add_side(part, tensor, part->layer, PS_SIDE_QKV,
                      (ps_prune_place){.begin = queries + keys, .span = size});
}

const ps_prune_row ps_prune_row_heads = {.units = "groups of heads",
                                         .language = true,
                                         .single = true,
                                         .sets = ps_prune_blocks,
                                         .count = count,
                                         .shrink = shrink,
                                         .members = members};
