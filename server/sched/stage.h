/* stage: a job in stages (common/conf/job_stages.h): each is as a job of its kind, with a file, a
 * model and parameters of its own; between two the kind changes, and the model that one has drafted
 * is the next one's. With the mutex. */
#ifndef PS_SCHED_STAGE_H
#define PS_SCHED_STAGE_H

#include "server/sched/core.h"

/* Does a stage follow the one under way? */
bool ps_stage_follows(const ps_job *job);
/* The file of the first, which has the model that the job works on; of any other job its own. */
const ps_job_file *ps_stage_first(const ps_job *job);

/* What a stage that is over leaves. */
typedef struct ps_stage_end {
    const char *told;   /* JSON: what it came to */
    const char *sha256; /* of the model's file that it worked on; NULL: the first's is known */
    double seconds;     /* it and those before ran, in processes before this one */
} ps_stage_end;

/* The stage is over, and its model is job->draft: the next one begins, once its file is read. For a
 * hook of the kind, which has no work any more when that is done. Sets job->waiting. */
void ps_stage_next(ps_job *job, const ps_stage_end *end);

/* Around the kind's hooks save and load: which stage it is, and what those before have left. What
 * cannot be read is told to `failed`, with this thread's message, now or when the stage's file has
 * been read. */
PS_MUST_CHECK ps_status ps_stage_save(ps_job *job, ps_buf *blob);
void ps_stage_load(ps_job *job, ps_slice blob, void (*failed)(ps_job *job));
/* Back to the first, of a job without work. */
void ps_stage_anew(ps_job *job);

void ps_stage_tick(ps_job *job, uint64_t now); /* reads again what could not be read */

#endif
