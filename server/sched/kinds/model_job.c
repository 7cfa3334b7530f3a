/* Happy path: the task goes to the first worker that does such tasks, and its result is the kind's
 * to read. */
#include "server/sched/kinds/model_job.h"

#include "common/base/mem.h"
#include "server/sched/job.h"
#include "server/sched/kinds/result.h"
#include "server/sched/kinds/retry.h"
#include "server/sched/worker.h"

#include <string.h>

ps_status ps_model_job_check_classes(const ps_job_spec *spec, const ps_spec_model *model)
{
    if (!ps_spec_model_is_encoder(model) || model->choices.num_classes)
        return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT,
                   "model %s tells no classes apart (its num_classes is 0): psctl embed gives what "
                   "stands for a text, and a training that begins from it can teach it classes",
                   spec->model_name);
}

void ps_model_job_start(ps_job *job)
{
    ps_core_require_locked(job->sched);
    PS_REQUIRE(!job->work);
    ps_model_job *w = ps_new(ps_model_job);
    w->piece.begin = (uint64_t)job->spec->rows.begin;
    w->piece.end = (uint64_t)job->spec->rows.end;
    job->work = w;
}

void ps_model_job_free(void *work)
{
    free(work);
}

bool ps_model_job_next(ps_job *job, ps_worker *worker, ps_lease *task)
{
    ps_core_require_locked(job->sched);
    PS_REQUIRE(job->work);
    ps_model_job *w = job->work;
    const ps_task_kind *kind = job->kind->task;
    bool avoided =
        strcmp(w->piece.avoid, worker->name) == 0 && ps_worker_others(worker, job->sched, kind);
    if (w->out || avoided || w->piece.ready_ns > ps_core_now(job->sched) ||
        !ps_worker_does(worker, kind))
        return false;
    w->out = true;
    task->kind = kind;
    task->piece = w->piece;
    return true;
}

void ps_model_task_progress(ps_job *job, ps_lease *lease, const ps_task_report *report)
{
    ps_core_require_locked(job->sched);
    ps_model_job *w = job->work;
    w->samples += report->samples;
    if (report->rows_total) /* a worker's word; show() keeps the two in order */
        job->record->progress.samples_total = report->rows_total;
    ps_meter_rows(&job->meter, ps_core_now(job->sched), report->samples);
    ps_job_changed(job);
}

void ps_model_task_done(ps_job *job, ps_lease *lease, ps_task_result *result)
{
    ps_core_require_locked(job->sched);
    ps_buf json = PS_BUF_EMPTY;
    ps_result_said(result, ps_model_job_seconds(job), &json);
    ps_job_move(job, PS_JOB_DONE, "", ps_buf_cstr(&json));
    ps_buf_free(&json);
}

void ps_model_task_back(ps_job *job, ps_lease *lease, bool failed, const char *message)
{
    ps_core_require_locked(job->sched);
    ps_model_job *w = job->work;
    if (!ps_task_retry(job, lease, failed, message))
        return;
    PS_REQUIRE(w->out);
    w->piece = lease->piece;
    w->out = false;
    w->samples = job->output.n; /* none but of generate */
}

void ps_model_job_show(ps_job *job)
{
    ps_core_require_locked(job->sched);
    const ps_model_job *w = job->work;
    ps_job_progress *p = &job->record->progress;
    p->samples = w->samples;
    if (p->samples_total && p->samples > p->samples_total)
        p->samples_total = p->samples;
}

double ps_model_job_seconds(const ps_job *job)
{
    return (double)(ps_core_now(job->sched) - job->began_ns) / 1e9;
}
