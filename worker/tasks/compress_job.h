/* compress_job: what tasks of a job of kind compress have in common: the plan, which every worker
 * makes as psd did, and the parent's header, by which a tensor is fetched alone. The task's
 * thread's (not asserted: it is a local of the task). */
#ifndef PS_TASKS_COMPRESS_JOB_H
#define PS_TASKS_COMPRESS_JOB_H

#include "common/compress/store_plan.h"
#include "worker/compress/method.h"
#include "worker/exchange/some_tensors.h"
#include "worker/job/job_cache.h"
#include "worker/job/stored_range.h"

typedef struct ps_compress_job {
    ps_task_run *run;
    ps_job_entry *entry;
    const ps_job_spec *spec;
    /* the job's entry has these, for the tasks that follow: */
    const ps_safetensors *parent; /* its header, */
    const ps_model_form *stored;  /* and how its tensors are stored, [parent->n_tensors] */
    const ps_plan *plan;
} ps_compress_job;

/* Valid for this task; nothing is to be closed. PS_INVALID_ARGUMENT: the job has no section
 * compress. */
PS_MUST_CHECK ps_status ps_compress_open(ps_task_run *run, ps_compress_job *out);

/* Some of the job's tensors at psd, by name; of at most `max` elements each. */
PS_MUST_CHECK ps_status ps_compress_tensors(const ps_compress_job *job, const char *const *names,
                                            size_t n, uint64_t max, ps_some_tensors **out);
/* The parent's numbers of that tensor of the plan, in psd's order; freed by the caller. */
PS_MUST_CHECK ps_status ps_compress_parent_numbers(const ps_compress_job *job,
                                                   const ps_plan_tensor *tensor, float **out);
/* Likewise, as a product has them: a row is what one output is multiplied with. */
PS_MUST_CHECK ps_status ps_compress_parent_weights(const ps_compress_job *job,
                                                   const ps_plan_tensor *tensor, float **out);

/* What calibration has left at psd of a tensor's input: of its rows, and of those held out. */
typedef struct ps_compress_sums {
    float *memory[2]; /* as ps_hessian has it; NULL: none */
    ps_hessian hessians[2];
} ps_compress_sums;

/* Of a tensor that has an input in the plan, in its turn. */
PS_MUST_CHECK ps_status ps_compress_sums_take(const ps_compress_job *job,
                                              const ps_plan_tensor *tensor, ps_compress_sums *out);
/* Of an input of the plan; PS_INVALID_ARGUMENT: the plan has no such. */
PS_MUST_CHECK ps_status ps_compress_sums_of(const ps_compress_job *job, size_t input,
                                            ps_compress_sums *out);
void ps_compress_sums_free(ps_compress_sums *sums);
/* NULL: there are none of any token. */
static inline const ps_hessian *ps_compress_sums_held_out(const ps_compress_sums *sums)
{
    return sums->memory[1] && sums->hessians[1].tokens ? &sums->hessians[1] : NULL;
}

/* [rows, columns] of a matrix to [columns, rows]. */
void ps_compress_transpose(const float *in, uint64_t rows, uint64_t columns, float *out);

#endif
