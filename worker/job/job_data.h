/* job_data: a job's data set, opened as its model needs it. */
#ifndef PS_JOB_JOB_DATA_H
#define PS_JOB_JOB_DATA_H

#include "worker/conf/worker_options.h"
#include "worker/data/activations.h"
#include "worker/data/survey.h"

typedef struct ps_job_data_request {
    const ps_job_spec *spec;
    const ps_spec_model *model; /* the job's, or the stored one's */
    bool train;                 /* data.train; else data.test */
    bool unlabelled;            /* predict: labels are not wanted */
    uint64_t tokenizer;         /* of the stored model that reads the files (stored_tokenizer.h); 0:
                                   not known */
    /* Format activations: what makes them (frozen.h), and its model; NULL for others. */
    const ps_dataset_source *source;
    const ps_spec_model *origin;
    const ps_worker_conf *conf; /* whose data_roots count */
} ps_job_data_request;

/* Checks the paths against data_roots, opens, and compares with the model's widths or vocabulary,
 * and with its tokenizer where that of the data is known.
 * PS_NOT_FOUND, PS_PERMISSION_DENIED (data_roots), PS_NO_ACCESS, PS_INVALID_ARGUMENT, PS_CORRUPT.
 */
PS_MUST_CHECK ps_status ps_job_data_open(const ps_job_data_request *request, ps_dataset **out);
/* What a training job leaves to its data, before they are opened; the model is the job's own. *out
 * is freed with ps_survey_free in any case. */
PS_MUST_CHECK ps_status ps_job_data_survey(const ps_job_data_request *request,
                                           ps_survey_wants wants, ps_survey *out);

#endif
