/* job_progress: a job's progress as the message Progress, as which the catalog stores it and
 * services send it. Any thread. */
#ifndef PS_CATALOG_JOB_PROGRESS_H
#define PS_CATALOG_JOB_PROGRESS_H

#include "psd/v1/jobs.pb-c.h"
#include "server/catalog/jobs.h"

typedef struct ps_job_lists {
    ps_metric_view metrics, test_metrics;
} ps_job_lists;

/* With its lists; all of it borrows the record and the views. */
Psd__V1__Progress ps_job_progress_message(const ps_job_record *record, ps_job_lists *lists);
/* Progress and lists of the record. */
void ps_job_progress_read(const Psd__V1__Progress *message, ps_job_record *out);

#endif
