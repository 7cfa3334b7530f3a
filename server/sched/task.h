/* task: the rows that one is of, one as it is sent to a worker, and what that says of it while it
 * runs. Plain structs. */
#ifndef PS_SCHED_TASK_H
#define PS_SCHED_TASK_H

#include "common/format/metric_list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PS_WORKER_MAX 64 /* bytes of a worker's name and its zero */

/* Rows of an epoch, and what became of them on workers so far. */
typedef struct ps_row_range {
    uint32_t epoch; /* from 0 */
    uint64_t begin, end;
    uint32_t failures;         /* times a worker said that it failed */
    uint32_t losses;           /* times its worker went silent before any row of it was done */
    uint64_t ready_ns;         /* not before; 0: at once */
    char avoid[PS_WORKER_MAX]; /* the worker it failed on last; "": none */
} ps_row_range;

/* A stored model that a job uses, of one version. Texts are owned. */
typedef struct ps_job_model {
    char *name;
    char *version; /* ps_model_record.path */
    char *config;
} ps_job_model;

/* As a worker gets it; all of it is borrowed. */
typedef struct ps_task {
    uint64_t lease_id, job_id;
    const char *kind;            /* its name: "train" */
    bool inference;              /* of a job on a stored model */
    const char *spec;            /* the job file, as submitted */
    unsigned stage;              /* of the job, from 0 (common/conf/job_stages.h) */
    const char *settled;         /* the model section that the plan has settled; "": as in spec */
    const char *model_version;   /* the stored model that it works on or begins from; "": none */
    const char *model_config;    /* and its configuration; "" */
    const char *model_name;      /* whose version that is; "": the job file says */
    const char *note;            /* explain_merge: what people are to know of data.train; "" */
    const char *teacher_version; /* the same of the stored model that teaches it */
    const char *teacher_config;
    const ps_job_model *others; /* [n_others]: all that the job uses beside the one it works on */
    size_t n_others;
    uint32_t epoch;
    uint64_t row_begin, row_end; /* row_end 0: to the end */
    uint64_t seed;
    uint64_t first_clock; /* train */
    const uint32_t *said; /* generate: tokens that the job has so far */
    size_t n_said;
    const uint32_t *choices; /* compress: of each tensor of its plan, once settled */
    size_t n_choices;
} ps_task;

/* What a worker says of a task: hostile. Numbers since the report before. */
typedef struct ps_task_report {
    uint64_t lease_id;
    uint64_t position; /* of the task's rows, those before this one are done (absolute) */
    uint64_t samples;
    double loss_sum;            /* over the samples, */
    ps_metric_list metric_sums; /* as these */
    uint64_t rows_total;        /* of the task, where psd does not know; 0: unknown */
    int log_level;              /* syslog's */
    const char *log_text;       /* a line for those who watch; borrowed; NULL: none */
} ps_task_report;

#endif
