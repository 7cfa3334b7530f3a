/* pruning: what a solve task removes of its tensor: the units that do not stay (choosing.h). What
 * is left of a matrix whose columns go is repaired by the sums over its inputs
 * (worker/compress/repair.h). The task's thread's (not asserted: it is a part of the task). */
#ifndef PS_TASKS_PRUNING_H
#define PS_TASKS_PRUNING_H

#include "worker/compress/repair.h"
#include "worker/tasks/compress_job.h"

/* What a tensor loses; shares are of the power of its outputs. */
typedef struct ps_pruning_report {
    uint64_t zeros;         /* numbers that are 0 */
    double error, held_out; /* by them; -1: not known */
    double importance;      /* the share of all units' that goes, of the set that loses most */
    uint64_t *kept;         /* [n_kept]: which units stay, where there are few; NULL */
    size_t n_kept;
    double scale;            /* of a norm, what its gains were multiplied by; 0: nothing */
    bool columns;            /* some go, and sums are there: */
    ps_repair_report repair; /* their outputs' power that goes, before and after the repair */
} ps_pruning_report;

void ps_pruning_report_clear(ps_pruning_report *report);

/* weights, [rows, columns] of the product as the parent has them, become what stays of them; and so
 * do the sums of hessians, those of its input, and the curvature of weights, or NULL. All the
 * caller's, changed in place. */
PS_MUST_CHECK ps_status ps_prune_tensor(const ps_compress_job *job, const ps_plan_tensor *tensor,
                                        float *weights, float *curvature, ps_compress_sums *sums,
                                        ps_pruning_report *report);

/* Of a tensor that gets zeros: the same, with weights of the same shape. With a repair it is
 * SparseGPT's way, without one the least of each row go, or of the tensor, as many as the plan
 * says: by magnitude, Wanda's (activation) or the moments. */
PS_MUST_CHECK ps_status ps_prune_zeros(const ps_compress_job *job, const ps_plan_tensor *tensor,
                                       float *weights, const ps_compress_sums *sums,
                                       ps_pruning_report *report);

/* How many of its numbers are how salient by that: counts[PS_PLAN_BINS]. */
PS_MUST_CHECK ps_status ps_prune_count(const ps_compress_job *job, const ps_plan_tensor *tensor,
                                       const float *weights, double *counts);

/* The other way: numbers, as the new model's tensor has them in psd's order, to where a model of
 * the parent's shape has them, whose other units do nothing: out, of the parent's shape. The units
 * that are left come first there; a layer does not know its units' order. */
void ps_prune_expand(const ps_plan *plan, const ps_plan_tensor *tensor, const float *numbers,
                     float *out);

#endif
