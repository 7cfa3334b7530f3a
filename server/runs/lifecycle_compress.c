/* What is done with the parameters of a job of kind compress: sums are cleared between two windows,
 * the new model is drafted, and in the end published or not. Each is a step on the pool that
 * answers the scheduler, which asks again for what the disk did not take. */
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/base/whole_file.h"
#include "common/loop/off_loop.h"
#include "server/files/artifact_file.h"
#include "server/files/calibration_file.h"
#include "server/files/model_draft.h"
#include "server/runs/lifecycle_internal.h"

#include <string.h>

#define REPORT_NAME "report.json"

typedef ps_lifecycle_step step;

/* ---- between two windows ---- */

/* Not between the two halves of a checkpoint, how far the job is and what its parameters are: one
 * that says that the sums are still needed has them. */
static ps_status clear_sums(const step *s)
{
    ps_run *run = NULL;
    ps_status st = ps_runs_find(s->lifecycle->conf.runs, s->job_id, &run);
    if (!st)
        st = ps_run_checkpoint_begin(run, true);
    if (!st) {
        ps_param_store_clear_sums(ps_run_store(run));
        ps_run_checkpoint_done(run);
    }
    ps_run_unref(&run);
    return st;
}

static void clear_run(ps_off_loop *off)
{
    step *s = ps_container(off, step, off);
    ps_error error;
    ps_status st = clear_sums(s);
    ps_error_save(&error, st);
    ps_sched_store_created(s->lifecycle->sched, s->job_id, st ? &error : NULL);
    ps_lifecycle_step_free(s);
}

void ps_lifecycle_clear_out(void *lifecycle, uint64_t job_id)
{
    ps_lifecycle *l = lifecycle;
    ps_off_loop_submit(l->conf.loop, &ps_lifecycle_step_new(l, job_id)->off, clear_run);
}

/* ---- at the end ---- */

static void draft_run(ps_off_loop *off)
{
    step *s = ps_container(off, step, off);
    ps_lifecycle *l = s->lifecycle;
    ps_model_draft draft = {0};
    ps_error error;
    ps_run *run = NULL;
    ps_status st = ps_runs_find(l->conf.runs, s->job_id, &run);
    if (!st)
        st = ps_model_draft_write(&l->conf.files, ps_run_store(run), s->job_id, s->file, &draft);
    ps_error_save(&error, st);
    ps_run_unref(&run);
    ps_stored_files_collect(&l->conf.files); /* one that it had drafted before a restart, say */
    ps_sched_drafted(l->sched, s->job_id, st ? &error : NULL,
                     &(ps_draft){.version = draft.version,
                                 .bytes = draft.bytes,
                                 .sha256 = draft.sha256,
                                 .parent_sha256 = draft.parent_sha256});
    ps_model_draft_free(&draft);
    ps_lifecycle_step_free(s);
}

static ps_status fill_report(void *user, ps_safetensors_sink sink)
{
    ps_slice *text = user;
    return sink.write(sink.state, text->data, text->len);
}

static ps_status leave_report(const step *s)
{
    const ps_stored_files *files = &s->lifecycle->conf.files;
    ps_slice text = ps_slice_str(s->outcome.report);
    return ps_artifact_file_make(files, s->job_id, REPORT_NAME, fill_report, &text);
}

static ps_status leave_sums(const step *s)
{
    ps_run *run = NULL;
    ps_status st = ps_runs_find(s->lifecycle->conf.runs, s->job_id, &run);
    if (!st)
        st = ps_calibration_file_store(&s->lifecycle->conf.files, ps_run_store(run), s->job_id,
                                       s->outcome.calibration);
    ps_run_unref(&run);
    return st;
}

/* The report first: whoever sees the model finds it, and the sums. */
static void end_run(ps_off_loop *off)
{
    step *s = ps_container(off, step, off);
    ps_error error;
    ps_status st = s->outcome.report ? leave_report(s) : PS_OK;
    if (!st && s->outcome.calibration)
        st = leave_sums(s);
    if (!st && s->outcome.draft)
        st = ps_model_draft_publish(&s->lifecycle->conf.files, s->file, &s->outcome);
    ps_error_save(&error, st);
    ps_sched_finished(s->lifecycle->sched, s->job_id, st ? &error : NULL);
    ps_lifecycle_step_free(s);
}

void ps_lifecycle_compressed_out(ps_lifecycle *l, uint64_t job_id, ps_job_file *file,
                                 const ps_job_outcome *outcome)
{
    step *s = ps_lifecycle_step_new(l, job_id);
    s->file = ps_job_file_ref(file);
    ps_lifecycle_step_outcome(s, outcome);
    ps_off_loop_submit(l->conf.loop, &s->off, outcome->drafts ? draft_run : end_run);
}
