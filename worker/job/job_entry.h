/* job_entry: what job_cache.h keeps of a job, for the files of this folder that fill it. The task's
 * thread (not asserted: its cache's). */
#ifndef PS_JOB_JOB_ENTRY_H
#define PS_JOB_JOB_ENTRY_H

#include "worker/job/frozen.h"
#include "worker/job/job_cache.h"
#include "worker/job/teacher.h"

struct ps_job_entry {
    uint64_t job_id; /* 0: free */
    uint64_t used;
    char *text, *model_name, *model_config, *model_version, *settled; /* as the task had them */
    uint32_t stage;                                                   /* likewise */
    ps_job_spec *spec;
    ps_spec_model *stored; /* the stored model that the job works on; NULL: the job's own model */
    uint64_t tokenizer;    /* that it came with, */
    bool has_tokenizer;    /* once it was asked for */
    bool checked;          /* it is what its architecture says, */
    ps_form *forms;        /* and its parameters are in these; NULL: float32 */
    ps_dataset *data[PS_JOB_DATA_COUNT];
    ps_model *model, *beside; /* beside: ps_job_entry_beside */
    char *
        holds; /* whose numbers model has, by its version: ps_job_entry_become; NULL: the job's own.
                  "": nobody's, for loading them has failed */
    char sha256[PS_DIGEST_TEXT], beside_sha256[PS_DIGEST_TEXT]; /* of their files */
    ps_teacher *teacher;                                        /* NULL: the job has none */
    ps_frozen *frozen; /* whose activations its data are; NULL: they are files' */
    uint64_t mark;     /* ps_job_entry_model_to_change; 0: it is the stored one */
    ps_exchange *exchange;
    ps_remote *remote; /* of the thread */
    struct sequence *sequence;
    void *note; /* ps_job_entry_note */
    ps_job_kept kept;
};

#endif
