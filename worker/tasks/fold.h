/* fold: factors of a product's input (worker/compress/scale.h), which the weights are multiplied by
 * and what makes the input is divided by, as the plan says (plan.h). Every task that needs those of
 * an input finds them from the same numbers: its sums, and all weights that it goes into, as the
 * parent has them. So they are the same for all. */
#ifndef PS_TASKS_FOLD_H
#define PS_TASKS_FOLD_H

#include "worker/compress/scale.h"
#include "worker/tasks/compress_job.h"

/* What a tensor of the plan is to a solver. hessian, held_out: of its input, or NULL. */
ps_compress_problem ps_fold_problem(const ps_compress_job *job, const ps_plan_tensor *tensor,
                                    const float *rows, const ps_hessian *hessian,
                                    const ps_hessian *held_out);

/* sums: of the input; NULL: they are taken for this. form: that all of its weights are to be in;
 * NULL: each in the plan's. *scales: [columns], freed by the caller. Whatever ps_method_scale fails
 * with. */
PS_MUST_CHECK ps_status ps_fold_factors(const ps_compress_job *job, size_t input,
                                        const ps_compress_sums *sums, const ps_form *form,
                                        float **scales, ps_scale_report *report);
/* Sums of the input become those of what it will be. */
void ps_fold_sums(const ps_plan *plan, size_t input, const float *scales, ps_compress_sums *sums);

/* To rows of a tensor of the plan: `in`, of its own input, and `out`, of the one that it folds;
 * each may be NULL. */
void ps_fold_apply(const ps_plan *plan, const ps_plan_tensor *tensor, const float *in,
                   const float *out, float *rows);
/* The same, of the curvature of the loss there: it is divided by what a number is multiplied by,
 * twice. */
void ps_fold_curvature(const ps_plan *plan, const ps_plan_tensor *tensor, const float *in,
                       const float *out, float *curvature);

#endif
