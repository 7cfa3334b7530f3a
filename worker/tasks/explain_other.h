/* explain_other: the stored model that a job of kind explain compares its own with, for who asks
 * for it (worker/explain/other.h). A member of its task (explaining.h). */
#ifndef PS_TASKS_EXPLAIN_OTHER_H
#define PS_TASKS_EXPLAIN_OTHER_H

#include "worker/explain/baseline.h"
#include "worker/explain/other.h"
#include "worker/job/job_cache.h"

typedef struct ps_explain_second {
    ps_explain_other other;
    ps_task_run *run;
    ps_job_entry *entry;
    ps_explain_baseline baseline; /* its own, once it was asked for */
    ps_stored_model which;
    ps_spec_model *spec;
    ps_safetensors *file; /* its header, once it was asked for */
    ps_model_form *forms;
} ps_explain_second;

/* name: ps_spec_explain_second. PS_INVALID_ARGUMENT: the task does not say what its shape is. */
PS_MUST_CHECK ps_status ps_explain_second_open(ps_task_run *run, ps_job_entry *entry,
                                               const char *name, ps_explain_second *out);
void ps_explain_second_close(ps_explain_second *second); /* of zeros: nothing */

#endif
