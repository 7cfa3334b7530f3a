/* Parent and new model on data.test. Happy path: one worker compares them, so that both figures are
 * of the same rows, on the same machine, and what lies between them is known with its error.
 *
 * Two models may be more than any worker has room for: where comparing fails, each is evaluated by
 * itself, and the report says why there is no more. A worker that was lost is no reason for it. */
#include "common/base/mem.h"
#include "server/sched/core.h"
#include "server/sched/job.h"
#include "server/sched/kinds/compress_line.h"
#include "server/sched/kinds/kind_compress.h"
#include "server/sched/kinds/retry.h"
#include "server/sched/send.h"
#include "server/sched/stage.h"
#include "server/sched/worker.h"

#include <math.h>
#include <string.h>

static const ps_task_kind evaluate_task, compare_task;

bool ps_compress_may_take(const ps_job *job, const ps_row_range *piece, ps_worker *worker,
                          const ps_task_kind *kind)
{
    ps_sched *s = job->sched;
    return ps_worker_does(worker, kind) && piece->ready_ns <= ps_core_now(s) &&
           (strcmp(piece->avoid, worker->name) != 0 || !ps_worker_others(worker, s, kind));
}

static bool take(const ps_job *job, ps_compress_test *test, ps_worker *worker,
                 const ps_task_kind *kind, ps_lease *task)
{
    if (test->out || test->done || !ps_compress_may_take(job, &test->piece, worker, kind))
        return false;
    test->out = true;
    task->kind = kind;
    task->piece = test->piece;
    return true;
}

bool ps_compress_next_parent(ps_job *job, ps_worker *worker, ps_lease *task)
{
    ps_core_require_locked(job->sched);
    ps_compress *w = job->work;
    w->tests[PS_COMPRESS_PARENT].piece.epoch = PS_COMPRESS_PARENT;
    return take(job, &w->tests[PS_COMPRESS_PARENT], worker, &evaluate_task, task);
}

bool ps_compress_next_test(ps_job *job, ps_worker *worker, ps_lease *task)
{
    ps_core_require_locked(job->sched);
    ps_compress *w = job->work;
    if (!w->apart)
        return take(job, &w->both, worker, &compare_task, task);
    w->tests[PS_COMPRESS_CHILD].piece.epoch = PS_COMPRESS_CHILD;
    return ps_compress_next_parent(job, worker, task) ||
           take(job, &w->tests[PS_COMPRESS_CHILD], worker, &evaluate_task, task);
}

bool ps_compress_tested(const ps_job *job)
{
    const ps_compress *w = job->work;
    bool each = w->tests[PS_COMPRESS_PARENT].done && w->tests[PS_COMPRESS_CHILD].done;
    return !job->spec->data.test || (each && (w->apart || w->compared));
}

static void say(ps_job *job, ps_compress_which which)
{
    const ps_compress *w = job->work;
    ps_job_say(job, PS_LOG_INFO, "psd", "%s: test loss %.6g",
               which == PS_COMPRESS_CHILD ? job->spec->name : ps_stage_first(job)->spec->model_name,
               w->tests[which].found.loss);
}

/* ---- both at once ---- */

static const char *config_of(const ps_job *job)
{
    const char *own = job->file->plan->config;
    return own ? own : job->file->config;
}

/* What the job began with, where its last stage works on something else. */
static void fill_parent(const ps_job *job, ps_task *task)
{
    const ps_job_file *first = ps_stage_first(job);
    if (first == job->file)
        return;
    task->model_name = first->spec->model_name;
    task->model_version = first->version;
    task->model_config = first->config;
}

static void fill_compare(const ps_lease *lease, ps_parcel *parcel)
{
    fill_parent(lease->job, &parcel->task);
    parcel->task.teacher_version = lease->job->draft;
    parcel->task.teacher_config = config_of(lease->job);
}

/* false: it does not say how many rows there were, and what the loss is. */
static bool read_side(const char *line, ps_compress_which which, ps_evaluation *out)
{
    static const char *const metrics[] = {"perplexity", "accuracy"};
    const char *side = which == PS_COMPRESS_CHILD ? "other" : "model";
    double value;
    *out = (ps_evaluation){0};
    if (!ps_compress_line_number(line, "samples", &value) || !(value >= 1 && value <= 0x1p53))
        return false;
    out->samples = (uint64_t)value;
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++)
        if (ps_compress_line_part_number(line, side, metrics[i], &value))
            ps_metric_list_add(&out->metrics, metrics[i], value);
    return ps_compress_line_part_number(line, side, "loss", &out->loss);
}

static void go_apart(ps_job *job, const char *why)
{
    ps_compress *w = job->work;
    w->apart = true;
    ps_job_say(job, PS_LOG_WARNING, "psd",
               "the two models could not be compared, and each is evaluated by itself: %s", why);
    ps_job_changed(job);
}

static void compared(ps_job *job, ps_lease *lease, ps_task_result *result)
{
    ps_compress *w = job->work;
    ps_evaluation found[2];
    w->both.out = false;
    for (unsigned i = 0; i < 2; i++)
        if (!read_side(result->report, i, &found[i])) {
            go_apart(job, "its result has no figures");
            return;
        }
    for (unsigned i = 0; i < 2; i++) {
        w->tests[i].found = found[i];
        w->tests[i].done = true;
        say(job, i);
    }
    w->both.done = true;
    w->compared = result->own_report;
    result->own_report = NULL;
    ps_job_changed(job);
    ps_compress_advance(job);
}

static void compare_back(ps_job *job, ps_lease *lease, bool failed, const char *message)
{
    ps_compress *w = job->work;
    if (failed)
        go_apart(job, message);
    else if (!ps_task_retry(job, lease, failed, message))
        return;
    w->both.piece = lease->piece;
    w->both.out = false;
}

/* ---- one by itself ---- */

static void fill_evaluate(const ps_lease *lease, ps_parcel *parcel)
{
    const ps_job *job = lease->job;
    if (lease->piece.epoch != PS_COMPRESS_CHILD) {
        fill_parent(job, &parcel->task);
        return;
    }
    parcel->task.model_name = job->spec->name;
    parcel->task.model_version = job->draft;
    parcel->task.model_config = config_of(job);
}

static void evaluated(ps_job *job, ps_lease *lease, ps_task_result *result)
{
    ps_compress *w = job->work;
    ps_compress_test *test = &w->tests[lease->piece.epoch];
    test->out = false;
    if (!ps_result_evaluation(result, &test->found)) {
        ps_job_fail(job, "worker %s: an evaluate task without a result", lease->worker->name);
        return;
    }
    test->done = true;
    say(job, lease->piece.epoch);
    ps_job_changed(job);
    ps_compress_advance(job);
}

static void evaluate_back(ps_job *job, ps_lease *lease, bool failed, const char *message)
{
    ps_compress_test *test = &((ps_compress *)job->work)->tests[lease->piece.epoch];
    if (!ps_task_retry(job, lease, failed, message))
        return;
    test->piece = lease->piece;
    test->out = false;
}

static const ps_task_kind evaluate_task = {.name = "evaluate",
                                           .phrase = "an evaluate task",
                                           .fill = fill_evaluate,
                                           .done = evaluated,
                                           .back = evaluate_back};

static const ps_task_kind compare_task = {.name = "compare",
                                          .phrase = "a compare task",
                                          .fill = fill_compare,
                                          .done = compared,
                                          .back = compare_back};
