/* job_stages: a job of kind compress whose file has a section `distil` too is three jobs, one after
 * the other, each as if it had a file of its own:
 *
 *     prune     kind compress: all of compress but what rounds           ─▶ NAME.pruned
 *     distil    kind train: begins from that, taught by the parent, or by distil.teacher, with the
 *               keys of `train`                                          ─▶ NAME.distilled
 *     quantise  kind compress: compress.quantise of that, or nothing     ─▶ NAME, by
 * compress.limits
 *
 * One that removes layers and quantises by what calibration rows say is the first and the last of
 * them: what is left is another model, through which these rows have not run.
 *
 * The two names in between are those of versions that only the job knows. Every other job is one
 * stage. psd gives a task with its stage, so that both sides make the same of the file. Any thread.
 */
#ifndef PS_CONF_JOB_STAGES_H
#define PS_CONF_JOB_STAGES_H

#include "common/conf/job_spec.h"

enum {
    PS_STAGE_PRUNE,
    PS_STAGE_DISTIL,
    PS_STAGE_QUANTISE,
    PS_STAGES,
};
#define PS_STAGE_SUFFIX 10 /* bytes of ".distilled" */

/* How many, of a spec as it was read: PS_STAGES; 2, without distil; or 1. */
unsigned ps_job_spec_stages(const ps_job_spec *spec);
/* The one that follows in a job of so many; PS_STAGES: it is the last. */
unsigned ps_job_stage_after(unsigned stages, unsigned stage);

/* Makes it the spec of that stage; config: of the model that the stage begins from. Of a job that
 * is one stage nothing is changed. PS_INVALID_ARGUMENT: there is no such stage, or config is none.
 */
PS_MUST_CHECK ps_status ps_job_spec_stage(ps_job_spec *spec, unsigned stage, const char *config);

/* Rules of a file that is to be several, for job_check.c. */
PS_MUST_CHECK ps_status ps_job_stages_check(const ps_job_spec *spec, const ps_conf_doc *doc);

#endif
