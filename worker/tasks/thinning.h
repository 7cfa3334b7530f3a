/* thinning: what a solve task makes of a matrix that becomes a product of two
 * (worker/compress/lowrank.h). The task's thread's (not asserted: it is a part of the task). */
#ifndef PS_TASKS_THINNING_H
#define PS_TASKS_THINNING_H

#include "worker/compress/lowrank.h"
#include "worker/tasks/compress_job.h"

typedef struct ps_thinning {
    float *factors; /* as they are stored; NULL: the tensor gets no rank */
    ps_lowrank_report report;
} ps_thinning;

/* Of a tensor with a rank: weights, [rows, columns] of the product as the new model has them,
 * become the product of the two. sums are those of its input. PS_NO_MEMORY. */
PS_MUST_CHECK ps_status ps_thin_tensor(const ps_compress_job *job, const ps_plan_tensor *tensor,
                                       float *weights, const ps_compress_sums *sums,
                                       ps_thinning *out);
void ps_thinning_free(ps_thinning *thinning);

#endif
