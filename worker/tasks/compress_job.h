/* compress_job: what tasks of a job of kind compress have in common: the plan, which every worker
 * makes as psd did, and the parent's header, by which a tensor is fetched alone. The task's
 * thread's (not asserted: it is a local of the task). */
#ifndef PS_TASKS_COMPRESS_JOB_H
#define PS_TASKS_COMPRESS_JOB_H

#include "common/compress/store_plan.h"
#include "worker/exchange/some_tensors.h"
#include "worker/job/job_cache.h"
#include "worker/job/stored_range.h"

typedef struct ps_compress_job {
    ps_task_run *run;
    ps_job_entry *entry;
    const ps_job_spec *spec;
    ps_safetensors *parent; /* its header, */
    ps_model_form *stored;  /* and how its tensors are stored, [parent->n_tensors] */
    ps_plan *plan;
} ps_compress_job;

/* PS_INVALID_ARGUMENT: the job has no section compress. After a failure nothing is left open. */
PS_MUST_CHECK ps_status ps_compress_open(ps_task_run *run, ps_compress_job *out);
void ps_compress_close(ps_compress_job *job);

/* Some of the job's tensors at psd, by name; of at most `max` elements each. */
PS_MUST_CHECK ps_status ps_compress_tensors(const ps_compress_job *job, const char *const *names,
                                            size_t n, uint64_t max, ps_some_tensors **out);
/* The parent's numbers of that tensor of the plan, in psd's order; freed by the caller. */
PS_MUST_CHECK ps_status ps_compress_parent_numbers(const ps_compress_job *job,
                                                   const ps_plan_tensor *tensor, float **out);
/* [rows, columns] of a matrix to [columns, rows]. */
void ps_compress_transpose(const float *in, uint64_t rows, uint64_t columns, float *out);

#endif
