/* job_sources: which files of data a task has read, into the message that says what it came to: so
 * that the model which comes of it knows what it has learnt from. The task's thread. */
#ifndef PS_JOB_JOB_SOURCES_H
#define PS_JOB_JOB_SOURCES_H

#include "worker/job/job_cache.h"

/* Of the data that a job which makes a model has open here, by path, size and digest
 * (data_digest.h). A file that cannot be read any more is left out: what was read of it is in the
 * numbers all the same. */
void ps_job_sources_tell(ps_task_run *run, Psd__V1__TaskResult *result);

#endif
