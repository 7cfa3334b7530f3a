/* hidden: channels of the residual stream: columns of what reads it and rows of what writes to it,
 * in every block, of embeddings and of the head; numbers of norms. Heads and FFNs keep their sizes
 * (model key head_dim). */
#include "common/compress/prune_row.h"

static size_t sets(const ps_spec_model *parent)
{
    (void)parent;
    return 1;
}

static uint64_t count(const ps_spec_model *parent, size_t set)
{
    (void)set;
    return (uint64_t)parent->hidden_size;
}

static const char *no(const ps_spec_model *parent)
{
    return ps_arch_find(parent->architecture)->traits.scaled_embedding
               ? "its embedding is times the root of hidden_size, so that all that is left would "
                 "change"
               : NULL;
}

static void shrink(const ps_plan *plan, ps_spec_model *child)
{
    child->hidden_size = (int64_t)plan->units[0].left;
}

static void members(const ps_plan *plan, const ps_spec_model *parent, const ps_plan_part *part,
                    ps_plan_tensor *tensor)
{
    (void)plan;
    (void)parent;
    ps_prune_add_side(part, tensor, 0, PS_SIDE_HIDDEN, (ps_prune_place){.span = 1});
}

const ps_prune_row ps_prune_row_hidden = {.units = "channels",
                                          .language = true,
                                          .sets = sets,
                                          .count = count,
                                          .no = no,
                                          .shrink = shrink,
                                          .members = members};
