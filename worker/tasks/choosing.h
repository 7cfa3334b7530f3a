/* choosing: which units of a set of the plan stay: found from the parent's numbers of all tensors
 * that have them, and from what calibration has summed; so that every task finds the same, and none
 * has to ask another. The task's thread's (not asserted: it is a part of the task). */
#ifndef PS_TASKS_CHOOSING_H
#define PS_TASKS_CHOOSING_H

#include "worker/compress/units.h"
#include "worker/tasks/compress_job.h"

/* Where a repair begins to try; it goes up by itself where held-out rows say so. */
#define PS_REPAIR_DAMP 1e-4

/* keep, [units of the set]. By compress.prune.by, whose sum over the units is their importance;
 * heads, when what is left is repaired, by what that cannot make good, as a share of the power of
 * the product behind them (worker/compress/groups.h); layers, by how much they change
 * what runs through them. *lost: the share that goes. */
PS_MUST_CHECK ps_status ps_choose_units(const ps_compress_job *job, size_t set, bool *keep,
                                        double *lost);

/* Of a plan whose units are whole layers: for each, the mean over tokens of 1 − cos(x, y); the
 * caller's, NULL after a failure. */
PS_MUST_CHECK ps_status ps_layers_influence(const ps_compress_job *job, double **out);

/* The diagonal of the sums of the tensor's input, as ps_salient wants it; the caller's. *out NULL:
 * inputs count alike. */
PS_MUST_CHECK ps_status ps_input_squares(const ps_compress_job *job, const ps_plan_tensor *tensor,
                                         float **out);
ps_member ps_plan_member_of(const ps_plan_member *member);

#endif
