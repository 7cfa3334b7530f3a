/* A job of kind compress.
 *
 *  (measuring comes between creating and solving where there is a target, or zeros are sought among
 *   all numbers: the same turns, in which what each form would cost, or how salient numbers are, is
 *   found out; then it is chosen: kind_compress_measure.c)
 *
 *   creating ──▶ solving ──▶ writing ──▶ evaluating ──▶ finishing ──▶ (done, or failed by limits)
 *   psd makes    a task      psd: the     a task:        psd leaves the report, and publishes
 *   the store    a tensor    draft        parent and     the draft
 *                 │   ▲                   draft, compared
 *                 ▼   │ calibrating: tasks of rows
 *              clearing: psd zeroes the sums
 *
 * What is done to which tensor is the plan (common/compress/plan.h). Tensors are solved in turns:
 * first those for which no inputs are summed, then window by window those whose inputs are: workers
 * run calibration rows through the model and push what they sum; when all rows are in, tasks of a
 * tensor each pull the sums and push the tensor's new bytes. Before the next window the sums are
 * zeroed. A calibration task is the same rows and one push however many workers there are, and the
 * order in which sums are added does not matter (server/params/sum_block.c): so the new model does
 * not depend on who took part, or was lost.
 *
 * With compress.calibrate.from psd makes the store with the sums that another job has kept, all in
 * one window: nothing is calibrated, nor cleared. With compress.importance workers have a file of
 * them, and psd has none.
 *
 * Fails: psd cannot make the store, a task fails three times, or the new model is worse than
 * compress.limits allow: then nothing is published, and the report stays. */
#include "server/sched/kinds/kind_compress.h"

#include "common/base/mem.h"
#include "server/sched/book.h"
#include "server/sched/create.h"
#include "server/sched/finish.h"
#include "server/sched/job.h"
#include "server/sched/kinds/kinds.h"
#include "server/sched/kinds/retry.h"
#include "server/sched/send.h"
#include "server/sched/stage.h"
#include "server/sched/worker.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static ps_compress *work_of(const ps_job *job)
{
    PS_REQUIRE(job->work);
    return job->work;
}

/* The same parts whoever computes them: by the job alone, and whole batches of the forward pass. */
static uint64_t rows_per_task(const ps_job_spec *spec, const ps_plan *plan)
{
    enum { TASKS = 16 };
    uint64_t rows = (uint64_t)spec->shards.rows_per_task;
    return rows ? rows : (ps_compress_rows(plan) + TASKS - 1) / TASKS;
}

static void draft(ps_job *job)
{
    ps_compress_move(job, PS_COMPRESS_DRAFTING);
    ps_job_say(job, PS_LOG_INFO, "psd", "all tensors are solved, writing the new model");
    ps_finish_begin(job, &(ps_job_outcome){.drafts = true});
}

static void say_plan(ps_job *job, const ps_compress *w)
{
    const ps_plan *plan = w->plan;
    char sums[64];
    if (plan->from)
        (void)snprintf(sums, sizeof sums, "by the sums of job %" PRIu64, plan->from);
    else if (plan->importance)
        (void)snprintf(sums, sizeof sums, "by an importance matrix");
    else
        (void)snprintf(sums, sizeof sums, "in %zu windows of calibration", plan->n_windows);
    ps_job_say(job, PS_LOG_INFO, "psd",
               "%zu of %zu tensors are solved, %s; %" PRIu64 " bytes become %" PRIu64, w->n_solve,
               plan->n_tensors, sums, plan->parent_data, plan->data);
}

static void start(ps_job *job)
{
    PS_REQUIRE(!job->work && job->file->plan);
    const ps_plan *plan = job->file->plan;
    ps_compress *w = ps_compress_new(plan);
    job->work = w;
    w->seconds = job->past ? job->past->seconds : 0;
    if (ps_compress_calibrates(w))
        ps_epoch_rows_init(&w->rows, ps_compress_rows(plan), ps_plan_epochs(plan),
                           rows_per_task(job->spec, plan), false);
    say_plan(job, w);
    if (w->n_solve == 0 && job->file->stage > 0) { /* what came before is the new model */
        draft(job);
        return;
    }
    if (w->n_solve == 0) {
        ps_job_fail(job, "no tensor of model %s would change: compress.quantise.keep names all",
                    job->spec->model_name);
        return;
    }
    ps_data_plan *store = ps_compress_store(plan);
    ps_create_begin(job, &store);
}

/* ---- giving tasks ---- */

static const ps_task_kind measure_task, solve_task;

/* A worker has one task of a job that pushes: it is one member of the controller. */
static bool may_push(const ps_job *job, const ps_worker *worker)
{
    int64_t pushing = 0;
    ps_list_each(node, &job->leases)
    {
        const ps_lease *lease = ps_container(node, ps_lease, of_job);
        if (lease->kind->trains && lease->worker == worker)
            return false;
        pushing += lease->kind->trains;
    }
    return pushing < job->spec->workers;
}

static bool next_calibrate(ps_job *job, ps_worker *worker, ps_lease *task)
{
    bool others = ps_worker_others(worker, job->sched, &ps_compress_calibrate_task);
    if (!may_push(job, worker) || !ps_worker_does(worker, &ps_compress_calibrate_task) ||
        ps_epoch_rows_take(&work_of(job)->rows, worker->name, others, true, ps_core_now(job->sched),
                           &task->piece))
        return false;
    task->kind = &ps_compress_calibrate_task;
    return true;
}

/* Of tensors in this turn. */
static bool is_due(const ps_compress *w, size_t i)
{
    const ps_compress_item *item = &w->items[i];
    if (!item->solves || item->turn != w->turn)
        return false;
    return w->measuring ? ps_compress_measures(w, i) : !item->done;
}

static bool next_tensor(ps_job *job, ps_worker *worker, ps_lease *task)
{
    ps_compress *w = work_of(job);
    const ps_task_kind *kind = w->measuring ? &measure_task : &solve_task;
    if (!may_push(job, worker))
        return false;
    for (size_t i = 0; i < w->plan->n_tensors; i++) {
        ps_compress_item *item = &w->items[i];
        if (!is_due(w, i) || item->out || !ps_compress_may_take(job, &item->piece, worker, kind))
            continue;
        item->out = true;
        task->kind = kind;
        task->piece = item->piece;
        return true;
    }
    return false;
}

static bool next(ps_job *job, ps_worker *worker, ps_lease *task)
{
    switch ((ps_compress_phase)work_of(job)->phase) {
    case PS_COMPRESS_CALIBRATING:
        return next_calibrate(job, worker, task);
    case PS_COMPRESS_MEASURING:
        return next_tensor(job, worker, task) || (ps_compress_wants_parent(work_of(job)) &&
                                                  ps_compress_next_parent(job, worker, task));
    case PS_COMPRESS_SOLVING:
        return next_tensor(job, worker, task);
    case PS_COMPRESS_EVALUATING:
        return ps_compress_next_test(job, worker, task);
    default: /* psd's own */
        return false;
    }
}

static uint32_t sets_tensor(const ps_lease *lease)
{
    return work_of(lease->job)->items[lease->piece.begin].words;
}

static void fill_tensor(const ps_lease *lease, ps_parcel *parcel)
{
    parcel->task.epoch = (uint32_t)work_of(lease->job)->turn;
    ps_compress_fill_choices(lease, parcel);
}

/* ---- from phase to phase ---- */

/* What the figures say goes into the report, and so does the model into the catalog. */
static void finish(ps_job *job)
{
    ps_compress *w = work_of(job);
    ps_buf json = PS_BUF_EMPTY;
    ps_compress_move(job, PS_COMPRESS_FINISHING);
    w->refused = ps_compress_refusal(job);
    ps_compress_report(job, &json);
    w->report = ps_strdup(ps_buf_cstr(&json));
    ps_buf_free(&json);
    ps_compress_keep(job);
    ps_job_outcome outcome = {.draft = w->refused ? NULL : job->draft,
                              .report = w->report,
                              .calibration = w->kept,
                              .seconds = ps_compress_seconds(job),
                              .has_test = job->spec->data.test != NULL};
    if (outcome.has_test) {
        outcome.test_loss = w->tests[PS_COMPRESS_CHILD].found.loss;
        outcome.test_metrics = w->tests[PS_COMPRESS_CHILD].found.metrics;
    }
    ps_finish_begin(job, &outcome);
}

static bool turn_is_over(const ps_compress *w)
{
    for (size_t i = 0; i < w->plan->n_tensors; i++)
        if (is_due(w, i))
            return false;
    return true;
}

static void calibrate(ps_job *job)
{
    ps_compress *w = work_of(job);
    w->turn++;
    ps_compress_move(job, PS_COMPRESS_CALIBRATING);
    ps_job_say(job, PS_LOG_INFO, "psd", "calibrating window %zu of %zu", w->turn,
               w->plan->n_windows);
}

static void after_turn(ps_job *job)
{
    ps_compress *w = work_of(job);
    bool fresh = w->measuring || !w->plan->measures;
    if (w->turn == w->plan->n_windows && w->measuring) {
        ps_compress_settle(job);
    } else if (w->turn == w->plan->n_windows) {
        draft(job);
    } else if (ps_plan_is_given(w->plan)) { /* the sums have been there from the beginning */
        w->turn++;
        ps_compress_advance(job);
    } else if (w->turn == 0 && fresh) { /* nothing has been summed yet */
        calibrate(job);
    } else {
        ps_compress_move(job, PS_COMPRESS_CLEARING);
        ps_clear_begin(job);
    }
}

/* Goes as far as it can. */
void ps_compress_advance(ps_job *job)
{
    ps_compress *w = work_of(job);
    if (w->phase == PS_COMPRESS_CALIBRATING &&
        w->rows.done_epochs >= ps_compress_epochs(w, w->turn)) {
        ps_compress_move(job, w->measuring ? PS_COMPRESS_MEASURING : PS_COMPRESS_SOLVING);
        ps_job_say(job, PS_LOG_INFO, "psd", "%s window %zu of %zu",
                   w->measuring ? "measuring" : "solving", w->turn, w->plan->n_windows);
    }
    bool tensors = w->phase == PS_COMPRESS_SOLVING || w->phase == PS_COMPRESS_MEASURING;
    if (tensors && turn_is_over(w)) {
        after_turn(job);
        if (w->phase == PS_COMPRESS_CALIBRATING) /* it may have been done before a restart */
            ps_compress_advance(job);
    } else if (w->phase == PS_COMPRESS_EVALUATING && ps_compress_tested(job))
        finish(job);
}

/* ---- what comes of tasks ---- */

/* Nothing is pushed under it any more. */
static ps_compress_item *close_tensor(ps_job *job, ps_lease *lease)
{
    ps_row_set left = {0};
    ps_book_end(lease, false, &left);
    ps_row_set_free(&left);
    ps_compress_item *item = &work_of(job)->items[lease->piece.begin];
    PS_REQUIRE(item->out && !item->done);
    item->out = false;
    return item;
}

/* What an honest worker says of a tensor: a few figures, and which of its units stay. Lines are
 * kept for the report, of each tensor one. */
static size_t line_max(const ps_plan *plan, const ps_plan_tensor *t)
{
    enum { FIGURES = 16 << 10, UNIT = 32 };
    uint64_t units = 0;
    for (size_t i = 0; i < t->n_members; i++)
        units += plan->units[t->members[i].units].units;
    if (t->moves)
        units += plan->units[0].units;
    return (size_t)(FIGURES + UNIT * units);
}

static void solved(ps_job *job, ps_lease *lease, ps_task_result *result)
{
    ps_compress *w = work_of(job);
    const ps_plan_tensor *tensor = &w->plan->tensors[lease->piece.begin];
    size_t most = line_max(w->plan, tensor);
    ps_compress_item *item = close_tensor(job, lease);
    if (result->own_report && strlen(result->own_report) > most) {
        ps_job_fail(job, "worker %s: %zu bytes about tensor %s, allowed are %zu",
                    lease->worker->name, strlen(result->own_report), tensor->stored.name, most);
        return;
    }
    item->done = true;
    item->line = result->own_report;
    result->own_report = NULL;
    w->n_solved++;
    ps_job_changed(job);
    ps_compress_advance(job);
}

static void measured(ps_job *job, ps_lease *lease, ps_task_result *result)
{
    (void)close_tensor(job, lease);
    if (!ps_compress_measured(work_of(job), lease->piece.begin, result->report)) {
        ps_job_fail(job, "worker %s: a measure task without a result", lease->worker->name);
        return;
    }
    ps_job_changed(job);
    ps_compress_advance(job);
}

/* Doing it again gives the same. */
static void tensor_back(ps_job *job, ps_lease *lease, bool failed, const char *message)
{
    ps_compress_item *item = close_tensor(job, lease);
    if (ps_task_retry(job, lease, failed, message))
        item->piece = lease->piece;
}

static const ps_task_kind measure_task = {.name = "measure",
                                          .phrase = "a measure task",
                                          .trains = true,
                                          .fill = fill_tensor,
                                          .done = measured,
                                          .back = tensor_back,
                                          .waited_for = ps_compress_waited_for};

static const ps_task_kind solve_task = {.name = "solve",
                                        .phrase = "a solve task",
                                        .trains = true,
                                        .sets = sets_tensor,
                                        .fill = fill_tensor,
                                        .done = solved,
                                        .back = tensor_back,
                                        .waited_for = ps_compress_waited_for};

/* ---- what psd answers ---- */

/* The next stage has the draft, and what is known of it. */
static void hand_on(ps_job *job)
{
    const ps_compress *w = work_of(job);
    ps_buf json = PS_BUF_EMPTY;
    ps_compress_told(job, &json);
    bool distils = ps_job_stage_after(job->file->stages, job->file->stage) == PS_STAGE_DISTIL;
    ps_job_say(job, PS_LOG_INFO, "psd", "pruned, the rest is %s",
               distils ? "distilled" : "quantised");
    ps_stage_next(job, &(ps_stage_end){.told = ps_buf_cstr(&json),
                                       .sha256 = w->parent_sha256,
                                       .seconds = w->seconds});
    ps_buf_free(&json);
}

static void drafted(ps_job *job, const ps_draft *made)
{
    ps_compress *w = work_of(job);
    w->draft_bytes = made->bytes;
    memcpy(w->sha256, made->sha256, sizeof w->sha256);
    memcpy(w->parent_sha256, made->parent_sha256, sizeof w->parent_sha256);
    if (ps_stage_follows(job)) {
        hand_on(job);
        return;
    }
    if (ps_compress_tested(job)) {
        finish(job);
        return;
    }
    ps_compress_move(job, PS_COMPRESS_EVALUATING);
    ps_job_say(job, PS_LOG_INFO, "psd", "evaluating the new model and its parent");
}

static void end(ps_job *job)
{
    const ps_compress *w = work_of(job);
    if (w->refused) {
        ps_job_fail(job, "%s", w->refused);
        return;
    }
    ps_buf json = PS_BUF_EMPTY;
    ps_compress_outcome(job, &json);
    ps_job_move(job, PS_JOB_DONE, "", ps_buf_cstr(&json));
    ps_buf_free(&json);
}

static void answered(ps_job *job)
{
    switch ((ps_compress_phase)work_of(job)->phase) {
    case PS_COMPRESS_CREATING:
        ps_compress_move(job,
                         work_of(job)->measuring ? PS_COMPRESS_MEASURING : PS_COMPRESS_SOLVING);
        job->checkpoint_ns = ps_core_now(job->sched);
        ps_compress_advance(job);
        break;
    case PS_COMPRESS_CLEARING:
        calibrate(job);
        break;
    default:
        PS_REQUIRE(work_of(job)->phase == PS_COMPRESS_FINISHING);
        end(job);
    }
}

/* ---- after a restart ---- */

/* Which rows are in the sums, the parameters know. */
static ps_status take_rows(const ps_job *job, ps_compress *w)
{
    ps_ledger_state state = {0};
    if (!ps_compress_calibrates(w))
        return PS_OK;
    bool known = ps_book_state(job, &state);
    bool same = known && state.n_rows == ps_compress_rows(w->plan) &&
                state.n_epochs == ps_plan_epochs(w->plan);
    /* what is solved has been calibrated for; behind it, only a first window needed no clearing */
    bool calibrating = w->phase == PS_COMPRESS_CALIBRATING;
    uint32_t due = ps_compress_epochs(w, w->turn);
    bool first = w->turn == 0 && due == 0 && w->phase != PS_COMPRESS_CLEARING;
    same &= state.done_epochs == due || (calibrating && state.done_epochs + 1 == due) ||
            (first && state.done_epochs == 1);
    if (same)
        ps_epoch_rows_from_state(&state, rows_per_task(job->spec, w->plan), false, &w->rows);
    ps_ledger_state_free(&state);
    return same ? PS_OK : ps_fail(PS_CORRUPT, "progress: other rows than the parameters have");
}

static void go_on(ps_job *job, ps_compress_phase phase)
{
    switch (phase) {
    case PS_COMPRESS_CLEARING:
        ps_compress_move(job, PS_COMPRESS_CLEARING);
        ps_clear_begin(job);
        break;
    case PS_COMPRESS_MEASURING:
    case PS_COMPRESS_SOLVING:
    case PS_COMPRESS_CALIBRATING:
        ps_compress_move(job, phase);
        ps_compress_advance(job);
        break;
    default:
        draft(job); /* once more: what an evaluation found stays */
    }
}

static ps_status load(ps_job *job, ps_slice blob)
{
    PS_REQUIRE(!job->work && job->file->plan);
    ps_compress *w = ps_compress_new(job->file->plan);
    ps_status st = ps_compress_read(blob, w);
    if (!st)
        st = take_rows(job, w);
    if (!st && w->chosen)
        st = ps_plan_settle(job->file->plan, w->chosen, w->plan->n_tensors);
    if (st) {
        ps_compress_free(w);
        return st;
    }
    ps_compress_phase phase = w->phase;
    w->phase = PS_COMPRESS_CREATING;
    job->work = w;
    ps_job_say(job, PS_LOG_NOTICE, "psd",
               "goes on from its checkpoint: %s, %zu of %zu tensors are solved",
               ps_compress_phase_name(phase), w->n_solved, w->n_solve);
    go_on(job, phase);
    return PS_OK;
}

const ps_job_kind ps_job_kind_compress = {
    .name = "compress",
    .task = &solve_task,
    .start = start,
    .free = ps_compress_free,
    .next = next,
    .answered = answered,
    .drafted = drafted,
    .show = ps_compress_show,
    .saves = PS_COMPRESS_PROGRESS,
    .save = ps_compress_save,
    .load = load,
};
