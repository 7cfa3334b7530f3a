/* ffn: units of the MLP of each block: a row of up and gate, and of their biases; a column of down.
 */
#include "common/compress/prune_row.h"

static uint64_t count(const ps_spec_model *parent, size_t set)
{
    (void)set;
    return (uint64_t)parent->intermediate_size;
}

static void shrink(const ps_plan *plan, ps_spec_model *child)
{
    child->intermediate_size = (int64_t)plan->units[0].left;
}

static void members(const ps_plan *plan, const ps_spec_model *parent, const ps_plan_part *part,
                    ps_plan_tensor *tensor)
{
    (void)plan;
    (void)parent;
    ps_prune_add_side(part, tensor, part->layer, PS_SIDE_INNER, (ps_prune_place){.span = 1});
}

const ps_prune_row ps_prune_row_ffn = {.units = "FFN units",
                                       .language = true,
                                       .sets = ps_prune_blocks,
                                       .count = count,
                                       .shrink = shrink,
                                       .members = members};
