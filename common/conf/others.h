/* others: the stored models that a job uses beside the one that it works on: the one that teaches
 * it, or that it is compared with, and checkpoints that are explained together. psd looks up a
 * version of each when the job comes, keeps it as long as the job is there, and lets its workers
 * read it. Any thread. */
#ifndef PS_CONF_OTHERS_H
#define PS_CONF_OTHERS_H

#include "common/conf/job_spec.h"

enum { PS_JOB_OTHERS_MAX = 1 + PS_EXPLAIN_CHECKPOINTS_MAX, PS_JOB_OTHER_KEY = 96 };

typedef struct ps_job_other {
    const char *name;           /* borrowed from the spec, */
    const char *version;        /* as well; "": the one of now */
    char key[PS_JOB_OTHER_KEY]; /* "explain.influence[0].checkpoints[1]": of one of these */
} ps_job_other;

/* Each name once, ps_job_spec_teacher's first: how many; those that are too many are left out. psd
 * reads a job file again after a restart, and finds the versions in this order. */
size_t ps_job_spec_others(const ps_job_spec *spec, ps_job_other out[PS_JOB_OTHERS_MAX]);

#endif
