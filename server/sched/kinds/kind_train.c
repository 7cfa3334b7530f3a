/* A training job.
 *
 *   plan ──▶ creating ──▶ training ──▶ finishing ──▶ (done)
 *   one      psd makes    epochs of     psd writes
 *   task     the store    train tasks   the model
 *                         + evaluate
 *
 * Training: an epoch's rows are given out in tasks (epoch_rows.h). Under asp those of the next are
 * given out when all of this one's are out; under bsp when this epoch is done and evaluated, so
 * that every epoch begins with all workers at the same parameters. After each epoch its test data
 * are evaluated: beside training under asp, by the first worker that is free (a newer epoch's takes
 * the place of one that nobody has begun); the last epoch's only when all is trained, so that it
 * says what the model came to. A worker has at most one train task of a job: its clock is one.
 *
 * Fails: a plan without sense, no store, a third failure of a task; finish.c repeats a write. */
#include "server/sched/kinds/kind_train.h"

#include "common/base/mem.h"
#include "server/sched/book.h"
#include "server/sched/create.h"
#include "server/sched/finish.h"
#include "server/sched/job.h"
#include "server/sched/kinds/kinds.h"
#include "server/sched/kinds/plan.h"
#include "server/sched/kinds/result.h"
#include "server/sched/kinds/retry.h"
#include "server/sched/send.h"
#include "server/sched/stage.h"
#include "server/sched/worker.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static ps_train *work_of(const ps_job *job)
{
    PS_REQUIRE(job->work);
    return job->work;
}

static void work_free(void *of)
{
    ps_train *w = of;
    ps_epoch_rows_free(&w->rows);
    free(w->settled);
    free(w);
}

bool ps_train_merges(const ps_job *job)
{
    return ps_spec_mode(job->spec->train)->merges;
}

static void start(ps_job *job)
{
    PS_REQUIRE(!job->work && job->spec->train);
    ps_train *w = ps_new(ps_train);
    job->work = w;
    w->seconds = job->past ? job->past->seconds : 0;
    job->record->progress.epochs = (uint32_t)job->spec->train->epochs;
    ps_job_say(job, PS_LOG_INFO, "psd", "looking at the data and the model");
}

/* ---- giving tasks ---- */

/* Each worker gets several tasks an epoch, so that one that is slow, late or lost costs little; a
 * task is whole batches. */
static uint64_t rows_per_task(const ps_job_spec *spec, uint64_t n_rows)
{
    enum { TASKS_A_WORKER = 8 };
    uint64_t batch = ps_spec_step_rows(spec->train);
    uint64_t rows = (uint64_t)spec->shards.rows_per_task;
    if (rows == 0)
        rows = n_rows / ((uint64_t)spec->workers * TASKS_A_WORKER);
    rows = (rows + batch - 1) / batch * batch;
    return rows ? rows : batch;
}

/* Below, with what becomes of them. */
static const ps_task_kind plan_task, train_task, evaluate_task;

static bool take(const ps_row_range *piece, ps_worker *worker, ps_sched *s,
                 const ps_task_kind *kind)
{
    return ps_worker_does(worker, kind) && piece->ready_ns <= ps_core_now(s) &&
           (strcmp(piece->avoid, worker->name) != 0 || !ps_worker_others(worker, s, kind));
}

/* The epoch whose end is to be evaluated now: the newest that is done. */
static bool evaluation_due(const ps_train *w)
{
    return w->test_rows > 0 && w->evaluated < w->rows.done_epochs;
}

static bool next_evaluate(ps_job *job, ps_worker *worker, ps_lease *task)
{
    ps_train *w = work_of(job);
    if (w->evaluate_out || !evaluation_due(w))
        return false;
    if (w->evaluate.epoch != w->rows.done_epochs - 1) /* a newer one takes its place */
        w->evaluate = (ps_row_range){.epoch = w->rows.done_epochs - 1};
    if (!take(&w->evaluate, worker, job->sched, &evaluate_task))
        return false;
    w->evaluate_out = true;
    task->kind = &evaluate_task;
    task->piece = w->evaluate;
    task->piece.begin = 0;
    task->piece.end = w->test_rows;
    return true;
}

static bool may_train(const ps_job *job, const ps_worker *worker)
{
    int64_t training = 0;
    ps_list_each(node, &job->leases)
    {
        const ps_lease *lease = ps_container(node, ps_lease, of_job);
        if (lease->kind != &train_task)
            continue;
        if (lease->worker == worker)
            return false;
        training++;
    }
    return training < job->spec->workers && ps_worker_does(worker, &train_task);
}

static bool next_train(ps_job *job, ps_worker *worker, ps_lease *task)
{
    ps_train *w = work_of(job);
    if (!may_train(job, worker))
        return false;
    bool fresh = !ps_train_merges(job) || !(evaluation_due(w) || w->evaluate_out);
    bool others = ps_worker_others(worker, job->sched, &train_task);
    ps_row_range piece;
    if (ps_epoch_rows_take(&w->rows, worker->name, others, fresh, ps_core_now(job->sched), &piece))
        return false;
    task->kind = &train_task;
    task->piece = piece;
    return true;
}

static bool next(ps_job *job, ps_worker *worker, ps_lease *task)
{
    ps_train *w = work_of(job);
    switch ((ps_train_phase)w->phase) {
    case PS_PLANNING:
        if (w->plan_out || !take(&w->plan, worker, job->sched, &plan_task))
            return false;
        w->plan_out = true;
        task->kind = &plan_task;
        task->piece = w->plan;
        return true;
    case PS_TRAINING:
        return next_evaluate(job, worker, task) || ps_train_next_probe(job, worker, true, task) ||
               next_train(job, worker, task) || ps_train_next_probe(job, worker, false, task);
    case PS_CREATING:
    case PS_FINISHING:
        break;
    }
    return false;
}

/* ---- what comes of them ---- */

double ps_train_seconds(const ps_job *job)
{
    return work_of(job)->seconds + (double)(ps_core_now(job->sched) - job->began_ns) / 1e9;
}

static ps_job_outcome outcome_of(const ps_job *job)
{
    const ps_train *w = work_of(job);
    return (ps_job_outcome){.epochs = w->rows.done_epochs,
                            .samples = ps_epoch_rows_count_done(&w->rows),
                            .seconds = ps_train_seconds(job),
                            .drafts = ps_stage_follows(job),
                            .has_test = w->has_test,
                            .test_loss = w->test_loss,
                            .test_metrics = w->test_metrics};
}

void ps_train_finish_if_done(ps_job *job)
{
    ps_train *w = work_of(job);
    if (w->phase != PS_TRAINING || !ps_epoch_rows_all_done(&w->rows) || w->evaluate_out ||
        evaluation_due(w) || ps_book_segments_left(job))
        return;
    ps_train_move(job, PS_FINISHING);
    ps_job_outcome outcome = outcome_of(job);
    ps_job_say(job, PS_LOG_INFO, "psd", "training is done, writing the model");
    ps_finish_begin(job, &outcome);
}

/* So many rows more of the lease's task are done. */
static void count_rows(ps_job *job, ps_lease *lease, uint64_t count)
{
    ps_train *w = work_of(job);
    uint32_t before = w->rows.done_epochs;
    if (count == 0)
        return;
    lease->piece.failures = lease->piece.losses = 0; /* those were of rows that are done now */
    ps_epoch_rows_done(&w->rows, lease->piece.epoch, count);
    for (uint32_t epoch = before; epoch < w->rows.done_epochs; epoch++) /* two may end at once */
        ps_job_say(job, PS_LOG_INFO, "psd", "epoch %u of %u is done", epoch + 1, w->rows.n_epochs);
}

/* Rows before `position` of the lease's task are done. Never goes back. */
static uint64_t advance(ps_job *job, ps_lease *lease, uint64_t position)
{
    if (position <= lease->piece.begin || position > lease->piece.end)
        return 0;
    uint64_t count = position - lease->piece.begin;
    lease->piece.begin = position;
    count_rows(job, lease, count);
    return count;
}

/* The lease is over: what of its rows is in the parameters is done, *left is not. */
static uint64_t close_book(ps_job *job, ps_lease *lease, bool done, ps_row_set *left)
{
    ps_book_end(lease, done, left);
    PS_REQUIRE(left->rows <= lease->piece.end - lease->piece.begin);
    uint64_t count = lease->piece.end - lease->piece.begin - left->rows;
    count_rows(job, lease, count);
    return count;
}

static void give_back(ps_job *job, const ps_lease *lease, ps_row_set *left)
{
    ps_row_range piece = lease->piece;
    for (size_t i = 0; i < left->n; i++) {
        piece.begin = left->list[i].begin;
        piece.end = left->list[i].end;
        ps_epoch_rows_back(&work_of(job)->rows, &piece);
    }
    ps_row_set_free(left);
}

static void progress(ps_job *job, ps_lease *lease, const ps_task_report *report)
{
    uint64_t count = advance(job, lease, ps_book_report(lease, report->position));
    ps_meter_report(&job->meter, ps_core_now(job->sched), count, report);
    ps_epoch_means_report(&work_of(job)->means, lease->piece.epoch, report);
    ps_job_changed(job);
}

/* Takes the plan over, if it can be. */
static void planned(ps_job *job, ps_lease *lease, ps_task_result *result)
{
    const ps_data_plan *plan = result->plan;
    ps_train *w = work_of(job);
    char *settled = NULL;
    PS_REQUIRE(w->phase == PS_PLANNING && w->plan_out);
    w->plan_out = false;
    if (!plan) {
        ps_job_fail(job, "worker %s: a plan task without a plan", lease->worker->name);
        return;
    }
    if (ps_plan_check(plan, job->spec, &settled)) {
        ps_job_fail(job, "%s", ps_error_message());
        return;
    }
    ps_job_settle(job, &settled);
    w->test_rows = job->spec->data.test ? plan->test_rows : 0;
    ps_epoch_rows_init(&w->rows, plan->train_rows, (uint32_t)job->spec->train->epochs,
                       rows_per_task(job->spec, plan->train_rows), !ps_train_merges(job));
    ps_train_move(job, PS_CREATING);
    ps_train_say_planned(job, plan);
    ps_create_begin(job, &result->plan);
}

static void evaluated(ps_job *job, ps_lease *lease, ps_task_result *result)
{
    ps_train *w = work_of(job);
    ps_evaluation found;
    if (!ps_result_evaluation(result, &found)) {
        ps_job_fail(job, "worker %s: an evaluate task without a result", lease->worker->name);
        return;
    }
    PS_REQUIRE(w->evaluate_out);
    w->evaluate_out = false;
    ps_train_say_untested(job, w->evaluated, lease->piece.epoch);
    w->evaluated = lease->piece.epoch + 1;
    w->has_test = true;
    w->test_loss = found.loss;
    w->test_metrics = found.metrics;
    ps_train_say_tested(job);
    ps_job_changed(job);
    ps_train_finish_if_done(job);
}

/* A worker that says that all is done, and whose pushes say otherwise, is not believed. */
static void trained(ps_job *job, ps_lease *lease, ps_task_result *result)
{
    ps_row_set left = {0};
    ps_meter_rows(&job->meter, ps_core_now(job->sched), close_book(job, lease, true, &left));
    give_back(job, lease, &left);
    ps_job_changed(job);
    ps_train_finish_if_done(job);
}

/* Whatever became of the worker: rows that are in the parameters are done. */
static void train_back(ps_job *job, ps_lease *lease, bool failed, const char *message)
{
    ps_row_set left = {0};
    (void)close_book(job, lease, false, &left);
    if (left.n == 0)
        ps_train_finish_if_done(job);
    else if (ps_task_retry(job, lease, failed, message))
        give_back(job, lease, &left);
    ps_row_set_free(&left);
}

static void plan_back(ps_job *job, ps_lease *lease, bool failed, const char *message)
{
    ps_train *w = work_of(job);
    if (!ps_task_retry(job, lease, failed, message))
        return;
    w->plan = lease->piece;
    w->plan_out = false;
}

static void evaluate_back(ps_job *job, ps_lease *lease, bool failed, const char *message)
{
    ps_train *w = work_of(job);
    if (!ps_task_retry(job, lease, failed, message))
        return;
    w->evaluate = lease->piece;
    w->evaluate_out = false;
}

/* What its plan settles stays. A plan's own task has none: its answer, which frees what was there,
 * may come before the task has left, from a worker that guesses the number. */
static void fill(const ps_lease *lease, ps_parcel *parcel)
{
    const ps_job *job = lease->job;
    parcel->task.seed = (uint64_t)job->spec->train->seed;
    if (lease->kind != &plan_task)
        parcel->task.settled = job->settled;
}

static const ps_task_kind plan_task = {.name = "plan",
                                       .phrase = "a plan task",
                                       .also = "train",
                                       .fill = fill,
                                       .done = planned,
                                       .back = plan_back};

static const ps_task_kind train_task = {.name = "train",
                                        .phrase = "a train task",
                                        .trains = true,
                                        .fill = fill,
                                        .progress = progress,
                                        .done = trained,
                                        .back = train_back,
                                        .waited_for = ps_train_merges};

static const ps_task_kind evaluate_task = {.name = "evaluate",
                                           .phrase = "an evaluate task",
                                           .late = true,
                                           .fill = fill,
                                           .done = evaluated,
                                           .back = evaluate_back,
                                           .waited_for = ps_train_merges};

static void answered(ps_job *job)
{
    ps_train *w = work_of(job);
    if (w->phase == PS_CREATING) {
        ps_train_move(job, PS_TRAINING);
        job->checkpoint_ns = ps_core_now(job->sched);
        ps_job_say(job, PS_LOG_INFO, "psd", "training begins");
    } else {
        PS_REQUIRE(w->phase == PS_FINISHING && ps_epoch_rows_all_done(&w->rows));
        ps_job_outcome outcome = outcome_of(job);
        ps_buf json = PS_BUF_EMPTY;
        ps_result_outcome(&outcome, &json);
        ps_job_move(job, PS_JOB_DONE, "", ps_buf_cstr(&json));
        ps_buf_free(&json);
    }
}

/* Of a stage: the model is the next one's. */
static void drafted(ps_job *job, const ps_draft *draft)
{
    (void)draft;
    ps_buf json = PS_BUF_EMPTY;
    ps_job_outcome outcome = outcome_of(job);
    PS_REQUIRE(work_of(job)->phase == PS_FINISHING);
    ps_result_outcome(&outcome, &json);
    ps_stage_next(job,
                  &(ps_stage_end){.told = ps_buf_cstr(&json), .seconds = work_of(job)->seconds});
    ps_buf_free(&json);
}

/* The one under way, from 1. */
static uint32_t epoch_at(const ps_train *w)
{
    return w->rows.done_epochs < w->rows.n_epochs ? w->rows.done_epochs + 1 : w->rows.n_epochs;
}

static void show(ps_job *job)
{
    const ps_train *w = work_of(job);
    ps_job_progress *p = &job->record->progress;
    p->epochs = (uint32_t)job->spec->train->epochs;
    if (job->file->stages > 1)
        (void)snprintf(p->phase, sizeof p->phase, "distilling");
    p->has_test = w->has_test;
    p->test_loss = w->test_loss;
    job->record->test_metrics = w->test_metrics;
    if (w->phase < PS_TRAINING)
        return;
    p->epoch = epoch_at(w);
    p->samples = ps_epoch_rows_count_done(&w->rows);
    p->samples_total = w->rows.n_rows * w->rows.n_epochs;
    if (w->phase == PS_FINISHING)
        p->has_loss |=
            ps_epoch_means_of(&w->means, w->rows.n_epochs - 1, &p->loss, &job->record->metrics);
}

/* ---- after a restart ---- */

/* What is done, the parameters know: what the job itself had written down may be of a moment
 * before. Parameters of a psd that did not book rows are told. */
static ps_status take_book(const ps_job *job, ps_train *w)
{
    ps_ledger_state state = {0};
    uint64_t per_task = w->rows.per_task = rows_per_task(job->spec, w->rows.n_rows);
    if (!ps_book_state(job, &state)) {
        ps_epoch_rows_state(&w->rows, &state);
        ps_book_adopt(job, &state);
        return PS_OK;
    }
    bool same = state.n_rows == w->rows.n_rows && state.n_epochs == w->rows.n_epochs;
    if (same) {
        ps_epoch_rows_free(&w->rows);
        ps_epoch_rows_from_state(&state, per_task, !ps_train_merges(job), &w->rows);
        if (w->evaluated > w->rows.done_epochs) /* its last rows waited for the end of a clock */
            w->evaluated = w->rows.done_epochs;
    }
    ps_ledger_state_free(&state);
    return same ? PS_OK : ps_fail(PS_CORRUPT, "progress: other rows than the parameters have");
}

static ps_status load(ps_job *job, ps_slice blob)
{
    ps_train *w = ps_new(ps_train);
    ps_status st = ps_train_read(job, blob, w);
    if (st) {
        work_free(w);
        return st;
    }
    st = take_book(job, w);
    if (st) {
        work_free(w);
        return st;
    }
    job->work = w;
    ps_train_move(job, PS_TRAINING);
    ps_job_settle(job, &w->settled);
    ps_job_say(job, PS_LOG_NOTICE, "psd",
               "goes on from its checkpoint: epoch %u, %" PRIu64 " of %" PRIu64 " samples",
               epoch_at(w), ps_epoch_rows_count_done(&w->rows), w->rows.n_rows * w->rows.n_epochs);
    ps_train_finish_if_done(job);
    return PS_OK;
}

const ps_job_kind ps_job_kind_train = {
    .name = "train",
    .task = &train_task,
    .start = start,
    .free = work_free,
    .next = next,
    .answered = answered,
    .drafted = drafted,
    .show = show,
    .saves = PS_TRAIN_PROGRESS,
    .save = ps_train_save,
    .load = load,
};
