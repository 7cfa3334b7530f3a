/* job_file: a job file as psd knows it: with the stored model that the job works on (model_name) or
 * begins from (initialize_from), of one version. Of a job in stages it is the first's, and each
 * later one has its own. It is read once, never changes, and is held by
 * counted references: the job's, and those of who works for it. Any thread; reading it reads the
 * catalog, so never under the scheduler's mutex once jobs run (not asserted here: jobs.c asks). */
#ifndef PS_SCHED_JOB_FILE_H
#define PS_SCHED_JOB_FILE_H

#include "common/compress/plan.h"
#include "common/conf/job_spec.h"
#include "server/catalog/jobs.h"
#include "server/sched/task.h"

#include <stdatomic.h>

typedef struct ps_job_file {
    atomic_uint refs;
    const ps_job_spec *spec; /* of kind train: with its model */
    char *name;              /* the job's: of one in stages not that of spec */
    char *owner;             /* who submitted it */
    char *version;           /* of the stored model: ps_model_record.path; "": it has none */
    char *config;            /* and its configuration; "" */
    ps_job_model *others;    /* [n_others]: those that it uses beside it (ps_job_spec_others) */
    size_t n_others;
    char *note;             /* what people are to know of its data.train (influence_check.h); "" */
    unsigned stage, stages; /* which it is of, of how many (common/conf/job_stages.h) */
    struct ps_job_file *before; /* the stage's before it, a reference, and what its plan has
                                   settled: a task on its way out still borrows them. NULL: none */
    char *settled_before;
    ps_plan *plan; /* of kind compress; NULL otherwise. Does change once: its scheduler settles a
                      target, before anybody else looks at it (kinds/kind_compress_measure.c) */
} ps_job_file;

/* What it is read from. */
typedef struct ps_job_text {
    ps_slice yaml;
    const char *origin; /* starts messages */
    const char *owner;
    const char *version; /* of the stored model; "": the file's model_version, or the one that is
                            the model's now */
    /* likewise of ps_job_spec_others, in their order; of those behind the last the one of now */
    char *const *others;
    size_t n_others;
    /* Asked when the file is good, before its model is looked up: may this job be? NULL: it may. */
    ps_status (*allowed)(void *user, const ps_job_spec *spec);
    void *user;
} ps_job_text;

/* *out is one reference. PS_INVALID_ARGUMENT: the file, or a model that cannot teach it;
 * PS_NOT_FOUND: a model, or that version of it; what allowed() says, or ps_plan_new. */
PS_MUST_CHECK ps_status ps_job_file_read(ps_catalog *catalog, const ps_job_text *text,
                                         ps_job_file **out);
/* Of a later stage of the job that `first` was read for, from the same bytes; it begins from that
 * version, which the stage before has written. Fails as ps_job_file_read. */
PS_MUST_CHECK ps_status ps_job_file_stage(ps_catalog *catalog, const ps_job_file *first,
                                          ps_slice yaml, unsigned stage, const char *version,
                                          ps_job_file **out);
/* The model that teaches it, or that it is compared with; of a job without one all texts are "". */
const ps_job_model *ps_job_file_teacher(const ps_job_file *file);
/* Of that name; NULL: it uses none. */
const ps_job_model *ps_job_file_other(const ps_job_file *file, const char *name);
/* Of how reading one went: no try of another time would read it, which is the job's failure. */
static inline bool ps_job_file_is_wrong(ps_status st)
{
    return st == PS_INVALID_ARGUMENT || st == PS_NOT_FOUND || st == PS_UNIMPLEMENTED;
}
ps_job_file *ps_job_file_ref(ps_job_file *file);
void ps_job_file_unref(ps_job_file **file); /* *file may be NULL, and is then */

#endif
