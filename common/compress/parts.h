/* parts: how a plan is made, step by step. Private to common/compress. */
#ifndef PS_COMPRESS_PARTS_H
#define PS_COMPRESS_PARTS_H

#include "common/arch/layout.h"
#include "common/compress/plan.h"

typedef enum ps_plan_role {
    PS_PLAN_MATRIX,
    PS_PLAN_EMBEDDING,
    PS_PLAN_HEAD,
    PS_PLAN_NORM,
    PS_PLAN_BIAS,
    PS_PLAN_POSITIONS,
    PS_PLAN_OTHER, /* nothing that the architecture has */
} ps_plan_role;

/* What a tensor is in its model, by its name. */
typedef struct ps_plan_part {
    const char *name; /* within the layout */
    ps_plan_role role;
    ps_arch_part part; /* of a language model */
    bool transposed;   /* psd has it as [in, out] */
    bool tied;         /* an embedding that is the head as well */
    size_t layer;
    unsigned input;    /* of a matrix: which of its layer's inputs, in the order of the pass */
    uint64_t shape[2]; /* that the architecture gives it */
    uint32_t n_dims;
    ps_arch_side sides[2]; /* of shape, of a language model */
} ps_plan_part;

/* The parts of a model, by name; freed with ps_plan_parts_free. */
typedef struct ps_plan_parts {
    ps_plan_part *sorted;
    size_t n;
    ps_lm_tensor *layout; /* the names of a language model */
    char **names;         /* those of an mlp */
} ps_plan_parts;

void ps_plan_parts_of(const ps_spec_model *model, ps_plan_parts *out);
void ps_plan_parts_free(ps_plan_parts *parts);
const ps_plan_part *ps_plan_part_find(const ps_plan_parts *parts, const char *name); /* or NULL */

/* The form of rows of `columns` numbers where `asked` is wanted, and in why, why it is another.
 * false: there is none. */
bool ps_plan_form(ps_form asked, uint64_t columns, ps_form *out, char why[PS_PLAN_WHY]);

/* plan->model and plan->units: what the parent's model is without what is pruned.
 * PS_INVALID_ARGUMENT: it has none of that, or none would go. */
PS_MUST_CHECK ps_status ps_plan_prune(ps_plan *plan, const ps_job_spec *spec,
                                      const ps_plan_parent *parent);
/* Which tensors the units are in, or get zeros, and what that needs; after ps_plan_choose. */
void ps_plan_members(ps_plan *plan, const ps_job_spec *spec, const ps_plan_parent *parent,
                     const ps_plan_parts *parts);
/* Which tensors become products of two; after ps_plan_members. PS_INVALID_ARGUMENT: none would. */
PS_MUST_CHECK ps_status ps_plan_lowrank(ps_plan *plan, const ps_job_spec *spec,
                                        const ps_plan_parts *parts);
/* What is measured before anything is solved; after all of those. PS_INVALID_ARGUMENT: a tensor
 * that has more numbers than can be counted for it. */
PS_MUST_CHECK ps_status ps_plan_measures(ps_plan *plan, const ps_job_spec *spec);
/* ps_plan_allocate, of zeros. */
PS_MUST_CHECK ps_status ps_plan_share_zeros(const ps_plan *plan, const double *const *counts,
                                            uint32_t *chosen);
/* Form, method and reason of each tensor. */
PS_MUST_CHECK ps_status ps_plan_choose(ps_plan *plan, const ps_job_spec *spec,
                                       const ps_plan_parent *parent, const ps_plan_parts *parts);
/* The pattern of `keep` that names it; NULL: there is none. */
const char *ps_plan_kept_by(const ps_spec_quantise *quantise, const char *name);
/* Who folds the factors of which inputs; after these were found, before windows are made. */
void ps_plan_fold(ps_plan *plan, const ps_spec_quantise *quantise, const ps_plan_parent *parent,
                  const ps_plan_parts *parts, uint64_t sum_bytes);
/* What psd holds for so many sums. */
uint64_t ps_plan_bytes_of(const ps_plan *plan, uint64_t numbers);
/* Inputs and windows of those that a method calibrates. */
PS_MUST_CHECK ps_status ps_plan_inputs(ps_plan *plan, const ps_job_spec *spec,
                                       const ps_plan_parent *parent, const ps_plan_parts *parts,
                                       uint64_t sum_bytes);
/* After the forms have changed: of the new file, where the parent's is known. */
PS_MUST_CHECK ps_status ps_plan_file_bytes(ps_plan *plan);
/* What the target comes to, of a plan that has its sizes. PS_INVALID_ARGUMENT: less than these
 * forms can be. */
PS_MUST_CHECK ps_status ps_plan_find_target(ps_plan *plan, const ps_spec_quantise *quantise);
/* Sizes, memory and work. */
PS_MUST_CHECK ps_status ps_plan_totals(ps_plan *plan, const ps_job_spec *spec,
                                       const ps_plan_parent *parent);

#endif
