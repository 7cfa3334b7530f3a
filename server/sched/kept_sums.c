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

/* spec: of that job. */
static ps_status none_left(const ps_job_record *job, const ps_job_spec *spec)
{
    const ps_spec_calibrate *c = spec->compress ? &spec->compress->calibrate : NULL;
    if (c && c->from)
        return ps_fail(PS_FAILED_PRECONDITION,
                       KEY ": job %" PRIu64 " has taken the sums of job %" PRId64
                           ", and left none; name that one",
                       job->id, c->from);
    if (!c || !c->keep)
        return ps_fail(PS_FAILED_PRECONDITION,
                       KEY ": job %" PRIu64 " keeps no sums of a calibration; a compress job with "
                           "compress.calibrate.keep: true does",
                       job->id);
    if (job->state < PS_JOB_DONE)
        return ps_fail(PS_FAILED_PRECONDITION,
                       KEY ": job %" PRIu64 " has not ended; what it keeps is there when it has",
                       job->id);
    return ps_fail(PS_FAILED_PRECONDITION,
                   KEY ": job %" PRIu64 " %s; run it again, and name that one", job->id,
                   job->state == PS_JOB_DONE ? "has no " PS_CALIBRATION_FILE " any more"
                                             : "did not come to its end, and has left no sums");
}

static ps_status check_left(ps_catalog *catalog, const ps_job_record *job, const ps_job_spec *spec)
{
    ps_artifact_record *found = NULL;
    ps_status st = ps_catalog_artifact_get(catalog, job->id, PS_CALIBRATION_FILE, &found);
    ps_artifact_record_free(&found);
    if (st == PS_NOT_FOUND || !(spec->compress && spec->compress->calibrate.keep))
        return none_left(job, spec); /* a worker may have put a file of that name */
    return st;
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

/* Its file by itself: its model may be another one. */
static ps_status check_job(ps_catalog *catalog, const ps_job_record *job,
                           const ps_model_record *model)
{
    ps_job_spec *spec = NULL;
    ps_status st = ps_job_spec_parse(ps_slice_str(job->spec), "job", &spec);
    if (!st)
        st = check_left(catalog, job, spec);
    if (!st)
        st = check_model(job, spec, model);
    if (spec)
        ps_job_spec_free(&spec);
    return st;
}

static ps_status check_inputs(const ps_job_record *job, const ps_model_record *model, ps_plan *plan)
{
    ps_job_spec *spec = NULL;
    ps_plan *kept = NULL;
    ps_status st = ps_job_spec_parse_from(ps_slice_str(job->spec), "job", model->config, &spec);
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
    st = check_job(catalog, job, model);
    if (!st)
        st = check_inputs(job, model, plan);
    ps_job_record_free(&job);
    return st;
}
