/* pass: the rows of a task through a model, batch by batch: what evaluate and predict share. */
#ifndef PS_TASKS_PASS_H
#define PS_TASKS_PASS_H

#include "worker/data/prefetch.h"
#include "worker/job/job_cache.h"

typedef struct ps_pass {
    ps_task_run *run;
    ps_job_entry *entry;
    ps_dataset *data;
    ps_model *model;
    const ps_model_teaching *teaching; /* NULL: nobody teaches the job */
    uint64_t begin, end;
} ps_pass;

/* Opens the task's test data and model, and fills its parameters: from psd's parameters of the job,
 * or from the stored model. Rows behind the end of the data are left out of a job on a stored model
 * (PS_OUT_OF_RANGE when none are left); a training job's must be there (PS_INVALID_ARGUMENT). */
PS_MUST_CHECK ps_status ps_pass_open(ps_task_run *run, ps_pass *out);

/* For every batch in order. */
typedef ps_status (*ps_pass_batch)(void *user, const ps_pass *pass, const ps_batch *batch);
PS_MUST_CHECK ps_status ps_pass_run(const ps_pass *pass, ps_pass_batch each, void *user);

ps_model_batch ps_pass_model_batch(const ps_batch *batch);

/* How many rows a batch counts for in a mean: where some of its tokens have no label, as many as
 * its labels make. */
double ps_pass_weight(const ps_batch *batch, const ps_model_result *result);
/* Adds what a batch's result says beside its loss, times its weight. */
void ps_pass_add_metrics(const ps_model_result *result, double weight, ps_metric_list *sums);

/* PS_INVALID_ARGUMENT unless begin <= end <= rows. */
PS_MUST_CHECK ps_status ps_pass_check_rows(const Psd__V1__Task *task, const ps_dataset *data);

#endif
