/* run_job: what evaluate and predict have in common: a stored model and files become a job, which
 * is followed to its end. One thread (not asserted: psctl has no other). */
#ifndef PS_FOLLOW_RUN_JOB_H
#define PS_FOLLOW_RUN_JOB_H

#include "client/call/client.h"
#include "common/conf/job_spec.h"
#include "psd/v1/jobs.pb-c.h"

/* How the files are to be read; NULL and false: as the model's training job says, or by what the
 * files' names look like when there is none. */
typedef struct ps_run_job_options {
    const char *format;       /* "idx", "csv", "tokens" */
    const char *label_column; /* csv */
    const char *delimiter;    /* csv */
    bool header;              /* csv */
    const char *missing;      /* csv: "error", "zero", "mean" */
    const char *normalise;    /* a flow mapping: "{scale: 1, mean: 0, std: 1}" */
} ps_run_job_options;

/* The flags of ps_run_job_options, for a command whose struct of options starts with one. */
#define PS_INFER_FLAGS                                                         \
    {.name = "format",                                                         \
     .type = PS_FLAG_TEXT,                                                     \
     .offset = offsetof(ps_run_job_options, format),                           \
     .value = "idx|csv|tokens",                                                \
     .words = ps_run_job_formats,                                              \
     .help = "of the files"},                                                  \
        {.name = "header",                                                     \
         .type = PS_FLAG_SWITCH,                                               \
         .offset = offsetof(ps_run_job_options, header),                       \
         .help = "csv: the first line names the columns"},                     \
        {.name = "label-column",                                               \
         .type = PS_FLAG_TEXT,                                                 \
         .offset = offsetof(ps_run_job_options, label_column),                 \
         .value = "COLUMN",                                                    \
         .help = "csv: last, first, a number from 0, a name, {name: N}"},      \
        {.name = "delimiter",                                                  \
         .type = PS_FLAG_TEXT,                                                 \
         .offset = offsetof(ps_run_job_options, delimiter),                    \
         .value = "C",                                                         \
         .help = "csv: what stands between two values"},                       \
        {.name = "missing",                                                    \
         .type = PS_FLAG_TEXT,                                                 \
         .offset = offsetof(ps_run_job_options, missing),                      \
         .value = "error|zero|mean",                                           \
         .words = ps_run_job_missing,                                          \
         .help = "csv: what a missing feature is"},                            \
    {                                                                          \
        .name = "normalise", .type = PS_FLAG_TEXT,                             \
        .offset = offsetof(ps_run_job_options, normalise), .value = "MAPPING", \
        .help = "'{scale: 1, mean: 0, std: 1}'"                                \
    }
extern const char *const ps_run_job_formats[];
extern const char *const ps_run_job_missing[];

/* The job file for `kind` ("evaluate", "predict"): model, features and, unless NULL, labels.
 * section, unless NULL: the model's section, which ps_spec_model_free frees; NULL where it cannot
 * be read. More keys may be put behind it. */
PS_MUST_CHECK ps_status ps_run_job_spec(ps_client *client, const ps_run_job_options *options,
                                        const char *kind, const char *model, const char *features,
                                        const char *labels, ps_buf *spec, ps_spec_model **section);
/* Submits it and waits until it is done, with a bar on standard error if that is a terminal. *job
 * is the caller's. PS_ABORTED when the job failed. Ctrl-C ends the job, too. */
PS_MUST_CHECK ps_status ps_run_job(ps_client *client, const char *spec, Psd__V1__Job **job);
/* The two halves of it, for who has other jobs to submit in between. */
PS_MUST_CHECK ps_status ps_run_job_submit(ps_client *client, const char *spec, uint64_t *id);
PS_MUST_CHECK ps_status ps_run_job_finish(ps_client *client, uint64_t id, Psd__V1__Job **job);

#endif
