/* job_file: a job file as psd knows it: with the stored model that the job works on (evaluate,
 * predict, generate) or begins from (train with initialize_from), of one version. Any thread; reads
 * the catalog, so never under the scheduler's mutex once jobs run. */
#ifndef PS_SCHED_JOB_FILE_H
#define PS_SCHED_JOB_FILE_H

#include "common/conf/job_spec.h"
#include "server/catalog/jobs.h"

typedef struct ps_job_file {
    ps_job_spec *spec; /* of kind train: with its model */
    char *version;     /* of the stored model: ps_model_record.path; "": it has none */
    char *config;      /* and its configuration; "" */
} ps_job_file;

/* version "": the file's model_version, or the one that is the model's now. origin starts messages.
 * PS_INVALID_ARGUMENT: the file; PS_NOT_FOUND: the model, or that version of it. */
PS_MUST_CHECK ps_status ps_job_file_read(ps_catalog *catalog, ps_slice yaml, const char *origin,
                                         const char *version, ps_job_file *out);
void ps_job_file_clear(ps_job_file *file);

#endif
