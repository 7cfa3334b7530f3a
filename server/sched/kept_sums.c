/* Happy path: the job that is named has left sums, worked on this version of the model, and its
 * plan, made again from its file, has the inputs of this one. */
#include "server/sched/kept_sums.h"

#include "common/base/require.h"
#include "common/compress/calibration.h"
#include "common/conf/job_spec.h"
#include "server/catalog/artifacts.h"
#include "server/catalog/jobs.h"
#include "server/sched/model_plan.h"

#include <inttypes.h>
#include <string.h>

#define KEY "compress.calibrate.from"

static ps_status none_left(const ps_job_record *job)
{
    if (job->state < PS_JOB_DONE)
        return ps_fail(PS_FAILED_PRECONDITION,
                       KEY ": job %" PRIu64 " has not ended; what it keeps is there when it has",
                       job->id);
    return ps_fail(PS_FAILED_PRECONDITION,
                   KEY ": job %" PRIu64 " has left no sums of its calibration; a compress job with "
                       "compress.calibrate.keep: true does",
                   job->id);
}

static ps_status check_left(ps_catalog *catalog, const ps_job_record *job)
{
    ps_artifact_record *found = NULL;
    ps_status st = ps_catalog_artifact_get(catalog, job->id, PS_CALIBRATION_FILE, &found);
    ps_artifact_record_free(&found);
    return st == PS_NOT_FOUND ? none_left(job) : st;
}

static ps_status check_model(const ps_job_record *job, const ps_job_spec *spec,
                             const ps_model_record *model)
{
    if (strcmp(spec->model_name, model->name) != 0)
        return ps_fail(PS_FAILED_PRECONDITION,
                       KEY ": the sums of job %" PRIu64 " are of model %s, and not of %s", job->id,
                       spec->model_name, model->name);
    if (strcmp(job->model_version, model->path) != 0)
        return ps_fail(PS_FAILED_PRECONDITION,
                       KEY ": the sums of job %" PRIu64 " are of another version of model %s; "
                           "calibrate this one, or say model_version",
                       job->id, model->name);
    return PS_OK;
}

static ps_status check_inputs(const ps_job_record *job, const ps_model_record *model, ps_plan *plan)
{
    ps_job_spec *spec = NULL;
    ps_plan *kept = NULL;
    ps_status st = ps_job_spec_parse_from(ps_slice_str(job->spec), "job", model->config, &spec);
    if (!st && !(spec->compress && spec->compress->calibrate.keep))
        st = none_left(job); /* a worker may put a file of any name */
    if (!st)
        st = check_model(job, spec, model);
    if (!st)
        st = ps_model_plan(spec, model, &kept);
    if (!st)
        st = ps_plan_check_kept(plan, kept);
    ps_plan_free(&kept);
    if (spec)
        ps_job_spec_free(&spec);
    return st;
}

ps_status ps_kept_sums_check(ps_catalog *catalog, const ps_model_record *model, ps_plan *plan)
{
    PS_REQUIRE(plan->from);
    ps_job_record *job = NULL;
    ps_status st = ps_catalog_job_get(catalog, plan->from, &job);
    if (st)
        return ps_wrap(st, KEY);
    st = check_left(catalog, job);
    if (!st)
        st = check_inputs(job, model, plan);
    ps_job_record_free(&job);
    return st;
}
