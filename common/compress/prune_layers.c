/* layers: whole blocks, those that change the residual stream least (Men and others 2024, ShortGPT:
 * block influence, one minus the cosine of what comes in and what goes out). Which these are,
 * calibration says; tensors of those that stay move up to the places of those that go. */
#include "common/compress/prune_row.h"

static size_t sets(const ps_spec_model *parent)
{
    (void)parent;
    return 1;
}

static uint64_t count(const ps_spec_model *parent, size_t set)
{
    (void)set;
    return (uint64_t)parent->num_layers;
}

/* A block sees a window, or all, by its place. */
static const char *no(const ps_spec_model *parent)
{
    for (int64_t l = 1; l < parent->num_layers; l++)
        if (ps_arch_slides(&parent->choices, l) != ps_arch_slides(&parent->choices, 0))
            return "some see a window and others do not, and those that move up would see what "
                   "they did not learn to";
    return NULL;
}

static void shrink(const ps_plan *plan, ps_spec_model *child)
{
    child->num_layers = (int64_t)plan->units[0].left;
}

static void members(const ps_plan *plan, const ps_spec_model *parent, const ps_plan_part *part,
                    ps_plan_tensor *tensor)
{
    (void)plan;
    (void)parent;
    tensor->moves = ps_arch_place_of(part->part) == PS_PLACE_BLOCK;
}

const ps_prune_row ps_prune_row_layers = {.units = "layers",
                                          .language = true,
                                          .single = true,
                                          .moves = true,
                                          .sets = sets,
                                          .count = count,
                                          .no = no,
                                          .shrink = shrink,
                                          .members = members};
