/* teacher: the stored model that teaches a training job (distil in its file), as a worker has it:
 * beside the student, for inference, with room for the same batches. The task's thread. */
#ifndef PS_JOB_TEACHER_H
#define PS_JOB_TEACHER_H

#include "common/conf/job_spec.h"
#include "worker/job/job_model.h"
#include "worker/models/model.h"
#include "worker/task/task.h"

typedef struct ps_teacher ps_teacher;

/* Of the run's task, which came with its configuration. PS_INVALID_ARGUMENT. */
PS_MUST_CHECK ps_status ps_teacher_create(const ps_task_run *run, ps_teacher **out);
void ps_teacher_free(ps_teacher **teacher); /* NULL is nothing */

/* Can it teach the job, whose model is settled? By the headers of both files: its own, and that of
 * the model that the job begins from, of which the tokenizers are compared. Asked once. Fails as
 * ps_spec_distil_match and ps_stored_model_check. */
PS_MUST_CHECK ps_status ps_teacher_check(ps_teacher *teacher, ps_task_run *run,
                                         const ps_job_spec *spec);

/* What the memory of a checked one is asked for with, beside the student; borrows all of it. */
typedef struct ps_teacher_room {
    ps_model_config config;
    ps_model_options options;
    ps_job_model_need need;
} ps_teacher_room;
/* room->need, filled; NULL: there is no teacher. */
const ps_job_model_need *ps_teacher_need(const ps_teacher *teacher, const ps_job_spec *spec,
                                         ps_teacher_room *room);

/* It is made and loaded when first asked for; options: the student's. Fails as
 * ps_stored_model_load. *out is valid as long as the teacher. */
PS_MUST_CHECK ps_status ps_teacher_get(ps_teacher *teacher, ps_task_run *run,
                                       const ps_job_spec *spec, const ps_model_options *options,
                                       const ps_model_teaching **out);
bool ps_teacher_failed(const ps_teacher *teacher); /* the device under it has */

#endif
