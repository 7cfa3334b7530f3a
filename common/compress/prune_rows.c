/* rows: units of each hidden layer of an mlp: its rows, and columns of the layer behind it. */
#include "common/compress/prune_row.h"

static size_t sets(const ps_spec_model *parent)
{
    return parent->n_layers - 2;
}

static uint64_t count(const ps_spec_model *parent, size_t set)
{
    return (uint64_t)parent->layers[set + 1];
}

static void shrink(const ps_plan *plan, ps_spec_model *child)
{
    for (size_t i = 0; i < plan->n_units; i++)
        child->layers[i + 1] = (int64_t)plan->units[i].left;
}

static void members(const ps_plan *plan, const ps_spec_model *parent, const ps_plan_part *part,
                    ps_plan_tensor *tensor)
{
    (void)parent;
    if (part->layer < plan->n_units)
        ps_prune_add(tensor, part->layer, false, (ps_prune_place){.span = 1});
    if (part->layer > 0 && part->role != PS_PLAN_BIAS)
        ps_prune_add(tensor, part->layer - 1, true, (ps_prune_place){.span = 1});
}

const ps_prune_row ps_prune_row_rows = {
    .units = "units", .sets = sets, .count = count, .shrink = shrink, .members = members};
