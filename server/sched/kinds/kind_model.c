/* Jobs on a stored model: evaluate, predict and generate. One task: over all the rows; psd does not
 * know how many there are, so the task's row_end is 0, which means to the end; or the rows that the
 * job asks for. A predict task
 * leaves its artifact, predictions.jsonl, with psd before it answers. A generate task says tokens
 * while it runs; when its worker is lost the next one goes on behind what was said, so nothing that
 * somebody has read is taken back. A restart of psd begins the task anew.
 *
 * The model is of the version of the job's submission, whatever is done to it meanwhile.
 *
 * Fails: the model does not exist (at submission) or cannot do it, the task fails three times or
 * says that no other worker would do better. */
#include "server/sched/kinds/kind_model.h"

#include "common/arch/arch.h"
#include "common/base/mem.h"
#include "server/sched/job.h"
#include "server/sched/kinds/result.h"
#include "server/sched/kinds/retry.h"
#include "server/sched/worker.h"

#include <inttypes.h>
#include <string.h>

typedef struct work {
    bool out;
    ps_row_range piece;
    uint64_t samples; /* reported */
} work;

static const char artifact_name[] = "predictions.jsonl";

static ps_status check_prompt(const ps_spec_generate *how, const ps_spec_model *model)
{
    if (!ps_spec_model_is_language(model))
        return ps_fail(PS_INVALID_ARGUMENT,
                       "architecture %s generates no tokens; language models do: %s",
                       model->architecture, ps_arch_list_language().text);
    if (how->n_prompt > (size_t)model->context_length)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "the prompt has %zu tokens, the model's context is %" PRId64
                       "; shorten the prompt",
                       how->n_prompt, model->context_length);
    for (size_t i = 0; i < how->n_prompt; i++)
        if (how->prompt[i] >= model->vocab_size)
            return ps_fail(PS_INVALID_ARGUMENT,
                           "generate.prompt[%zu]: token %" PRId64 ", the vocabulary has %" PRId64
                           "; is it this model's tokenizer?",
                           i, how->prompt[i], model->vocab_size);
    return PS_OK;
}

static ps_status check_generate(const ps_job_spec *spec, const ps_spec_model *model)
{
    ps_status st = check_prompt(spec->generate, model);
    return st ? ps_wrap(st, "model %s", spec->model_name) : PS_OK;
}

static void start(ps_job *job)
{
    work *w = ps_new(work);
    w->piece.begin = (uint64_t)job->spec->rows.begin;
    w->piece.end = (uint64_t)job->spec->rows.end;
    job->work = w;
}

static void start_generate(ps_job *job)
{
    start(job);
    job->record->progress.samples_total = (uint64_t)job->spec->generate->max_tokens;
}

static void work_free(void *of)
{
    free(of);
}

static bool next(ps_job *job, ps_worker *worker, ps_lease *task)
{
    work *w = job->work;
    ps_task_kind kind = job->kind->task;
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

static void progress(ps_job *job, ps_lease *lease, const ps_task_report *report)
{
    work *w = job->work;
    w->samples += report->samples;
    if (report->rows_total) /* a worker's word; show() keeps the two in order */
        job->record->progress.samples_total = report->rows_total;
    ps_meter_rows(&job->meter, ps_core_now(job->sched), report->samples);
    ps_job_changed(job);
}

static void done(ps_job *job, ps_lease *lease, ps_task_result *result)
{
    work *w = job->work;
    const ps_evaluation *e = result->evaluation;
    ps_job_progress *p = &job->record->progress;
    bool predicts = job->kind->task == PS_TASK_PREDICT;
    if (!predicts && (!e || e->samples == 0)) {
        ps_job_fail(job, "worker %s: an evaluate task without a result", lease->worker->name);
        return;
    }
    if (e)
        w->samples = p->samples_total = e->samples;
    if (!predicts) {
        p->has_test = true;
        p->test_loss = e->loss;
        job->record->test_metrics = e->metrics;
    }
    ps_buf json = PS_BUF_EMPTY;
    double seconds = (double)(ps_core_now(job->sched) - job->began_ns) / 1e9;
    ps_result_model_task(e, seconds, predicts ? artifact_name : NULL, &json);
    ps_job_move(job, PS_JOB_DONE, "", ps_buf_cstr(&json));
    ps_buf_free(&json);
}

static void output(ps_job *job, ps_lease *lease, const ps_tokens *more)
{
    work *w = job->work;
    size_t n = ps_output_add(&job->output, more, (size_t)job->spec->generate->max_tokens);
    w->samples = job->output.n;
    lease->piece.losses = 0;
    ps_meter_rows(&job->meter, ps_core_now(job->sched), n);
    if (n)
        ps_job_wake(job);
}

static void generated(ps_job *job, ps_lease *lease, ps_task_result *result)
{
    const ps_generation *g = result->generation;
    if (!g || g->tokens != job->output.n) {
        ps_job_fail(job, "worker %s: a generate task whose tokens have not all come",
                    lease->worker->name);
        return;
    }
    job->record->progress.samples_total = job->output.n;
    ps_buf json = PS_BUF_EMPTY;
    double seconds = (double)(ps_core_now(job->sched) - job->began_ns) / 1e9;
    ps_result_generate(g, &job->output, job->spec->generate->n_prompt, seconds, &json);
    ps_job_move(job, PS_JOB_DONE, "", ps_buf_cstr(&json));
    ps_buf_free(&json);
}

static void back(ps_job *job, ps_lease *lease, bool failed, const char *message)
{
    work *w = job->work;
    if (!ps_task_retry(job, lease, failed, message))
        return;
    w->piece = lease->piece;
    w->out = false;
    w->samples = job->output.n; /* none but of generate */
}

static void show(ps_job *job)
{
    const work *w = job->work;
    ps_job_progress *p = &job->record->progress;
    p->samples = w->samples;
    if (p->samples_total && p->samples > p->samples_total)
        p->samples_total = p->samples;
}

#define ON_STORED_MODEL \
    .inference = true, .free = work_free, .next = next, .back = back, .show = show

const ps_job_kind ps_job_kind_evaluate = {
    .name = "evaluate",
    .task = PS_TASK_EVALUATE,
    ON_STORED_MODEL,
    .start = start,
    .progress = progress,
    .done = done,
};

const ps_job_kind ps_job_kind_predict = {
    .name = "predict",
    .task = PS_TASK_PREDICT,
    ON_STORED_MODEL,
    .start = start,
    .progress = progress,
    .done = done,
};

const ps_job_kind ps_job_kind_generate = {
    .name = "generate",
    .task = PS_TASK_GENERATE,
    ON_STORED_MODEL,
    .keeps_model = true,
    .check = check_generate,
    .start = start_generate,
    .output = output,
    .done = generated,
};
