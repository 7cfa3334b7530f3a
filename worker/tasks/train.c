/* train: rows [row_begin, row_end) of the epoch's permutation, one gradient a step.
 *
 * A step: pull (what has changed; the forward pass waits for each layer as it comes to it) →
 * forward → loss → backward (each gradient leaves as it is made) → the clock's end, which waits
 * where the job's consistency model wants that. With accumulate, forward to backward are done for
 * so many batches; the first waits for the pull, the last one's gradients leave. A step allocates
 * nothing of the model's size. Where clocks wait, so does the task before its first step: until the
 * clock at which it enters has begun.
 *
 *           its clock is open           rows left          the step's last batch
 *   OPENED -------------------> BETWEEN ---------> FORWARD → BACKWARD -------> CLOCK -> BETWEEN ..
 *                                |   ^                ^-accumulate-'             |
 *   no rows left, or the worker  |   |                     psd is at another clock, at any point
 *   stops, or what else fails    |   '--- SYNCHRONISING <-- of a step -----------'
 *                                v
 *                               OVER (from all of them)
 *
 * Failing: a gradient that psd refuses because of its clock is computed again, from the parameters
 * of the clock that is open (Clock says which); a loss that is not finite fails the task, since
 * what comes after would only be worse; a broken connection is waited out (remote.h); a cancelled
 * task gives up what is under way. A worker that is stopping ends after the step at hand, and the
 * position it reports says where the next one goes on. */
#include "common/base/log.h"
#include "common/base/require.h"
#include "common/base/sm.h"
#include "worker/data/prefetch.h"
#include "worker/job/job_model.h"
#include "worker/tasks/on_policy.h"
#include "worker/tasks/pass.h"
#include "worker/tasks/task_kind.h"

#include <inttypes.h>
#include <math.h>

enum { OPENED, BETWEEN, FORWARD, BACKWARD, CLOCK, SYNCHRONISING, OVER, PHASES };
static const char *const phase_names[] = {"opened", "between",       "forward", "backward",
                                          "clock",  "synchronising", "over"};
static const ps_sm_set phase_next[] = {
    [OPENED] = PS_SM(BETWEEN) | PS_SM(OVER),
    [BETWEEN] = PS_SM(FORWARD) | PS_SM(SYNCHRONISING) | PS_SM(OVER),
    [FORWARD] = PS_SM(BACKWARD) | PS_SM(SYNCHRONISING) | PS_SM(OVER),
    [BACKWARD] = PS_SM(FORWARD) | PS_SM(CLOCK) | PS_SM(SYNCHRONISING) | PS_SM(OVER),
    [CLOCK] = PS_SM(BETWEEN) | PS_SM(SYNCHRONISING) | PS_SM(OVER),
    /* itself: it failed where the clock ends, and is tried once more */
    [SYNCHRONISING] = PS_SM(SYNCHRONISING) | PS_SM(BETWEEN) | PS_SM(OVER),
    [OVER] = 0,
};
static const ps_sm phases = {.tag = "train",
                             .names = phase_names,
                             .next = phase_next,
                             .count = PHASES,
                             .level = PS_LOG_TRACE};

typedef struct training {
    unsigned phase;
    ps_task_run *run;
    ps_job_entry *entry;
    const ps_spec_train *spec;
    ps_dataset *data;
    ps_model *model;
    const ps_model_teaching *teaching; /* NULL: nobody teaches it */
    ps_on_policy *policy;              /* NULL: all batches are the data's */
    ps_model_teaching alone; /* of batches that are not: by the teacher alone, for their labels are
                                the student's own */
    ps_exchange *exchange;
    bool clocks_wait; /* else they are only told */
    uint64_t clock;
    uint64_t first; /* row of the task that the next step begins with */
    uint64_t steps;
    bool pushes; /* a step of the task has begun to push */
} training;

static void move(training *t, unsigned to)
{
    ps_sm_go(&phases, &t->phase, to, "job=%" PRIu64 " lease=%" PRIu64 " clock=%" PRIu64,
             t->run->task->job_id, t->run->task->lease_id, t->clock);
}

/* Some batches are to be the student's own. */
static ps_status open_policy(training *t)
{
    const ps_job_spec *spec = ps_job_entry_spec(t->entry);
    const ps_spec_model *model = ps_job_entry_model_spec(t->entry);
    if (!t->teaching || !(spec->distil->on_policy > 0))
        return PS_OK;
    ps_model_config config = ps_job_model_config(model);
    int64_t own = ps_model_outputs(t->model), its = ps_model_outputs(t->teaching->teacher);
    t->alone = *t->teaching;
    t->alone.alpha = 1;
    return ps_on_policy_create(&(ps_on_policy_options){.backend = t->run->env->backend,
                                                       .config = &config,
                                                       .rows = t->spec->batch_size,
                                                       .length = spec->data.sequence_length
                                                                     ? spec->data.sequence_length
                                                                     : model->context_length,
                                                       .words = own < its ? own : its,
                                                       .share = spec->distil->on_policy,
                                                       .seed = (uint64_t)t->spec->seed,
                                                       .epoch = t->run->task->epoch,
                                                       .gate = t->run->remote->gate},
                               &t->policy);
}

static ps_status open_all(ps_task_run *run, training *t)
{
    *t = (training){.run = run, .clock = run->task->first_clock, .first = run->task->row_begin};
    ps_status st = ps_job_cache_get(run, &t->entry);
    if (st)
        return st;
    const ps_job_spec *spec = ps_job_entry_spec(t->entry);
    if (!spec->train)
        return ps_fail(PS_INVALID_ARGUMENT, "a job of kind %s is not trained",
                       ps_job_spec_kind(spec)->name);
    t->spec = spec->train;
    t->clocks_wait = ps_spec_mode(spec->train)->waits;
    st = ps_job_entry_data(t->entry, run, PS_JOB_TRAIN_DATA, &t->data);
    if (!st)
        st = ps_pass_check_rows(run->task, t->data);
    if (!st)
        st = ps_job_entry_model(t->entry, run, &t->model);
    if (!st)
        st = ps_job_entry_teaching(t->entry, run, &t->teaching);
    if (!st)
        st = open_policy(t);
    if (!st)
        st = ps_job_entry_exchange(t->entry, run, &t->exchange);
    return st;
}

static ps_status check_loss(const training *t, const ps_model_result *result)
{
    bool loss = !isfinite(result->loss);
    if (!loss && isfinite(result->divergence))
        return PS_OK;
    return ps_fail(PS_OUT_OF_RANGE,
                   "the %s is %s at step %" PRIu64 " of epoch %u (clock %" PRIu64
                   "); try a lower learning rate than %g",
                   loss ? "loss" : "divergence from the teacher",
                   isnan(loss ? result->loss : result->divergence) ? "NaN" : "infinite",
                   t->steps + 1, t->run->task->epoch + 1, t->clock,
                   t->spec->optimizer.learning_rate);
}

/* ---- clocks ---- */

static ps_status wait_for_clock(training *t, uint64_t ended, uint64_t *open)
{
    return ps_exchange_clock_wait(t->exchange, t->run->task->lease_id, ended, open);
}

/* Parameters that are pulled before the task's first clock has begun would be those of another. */
static ps_status enter_clock(training *t)
{
    uint64_t open;
    if (!t->clocks_wait || t->clock == 0)
        return PS_OK;
    return wait_for_clock(t, t->clock - 1, &open);
}

/* psd says that the job is at another clock than we are: we go on with that one. Fails as psd did
 * when the clock is not what it minds. */
static ps_status synchronise(training *t, ps_status st)
{
    ps_error error;
    uint64_t open = t->clock;
    if (st != PS_FAILED_PRECONDITION || !t->clocks_wait)
        return st;
    move(t, SYNCHRONISING);
    ps_error_save(&error, st);
    ps_exchange_stop(t->exchange);
    if (wait_for_clock(t, 0, &open) || open == t->clock)
        return ps_error_raise(&error);
    ps_log_info("train", "job=%" PRIu64 " clock=%" PRIu64 " goes on at clock=%" PRIu64 ": %s",
                t->run->task->job_id, t->clock, open, error.message);
    t->clock = open;
    move(t, BETWEEN);
    return PS_OK;
}

/* The gradients are psd's by now: whatever it says of the clock, their rows are done. */
static ps_status end_clock(training *t)
{
    if (!t->clocks_wait) {
        ps_exchange_clock_tell(t->exchange, t->run->task->lease_id, t->clock);
    } else {
        uint64_t open;
        ps_status st = wait_for_clock(t, t->clock, &open);
        if (st)
            return synchronise(t, st);
    }
    t->clock++;
    move(t, BETWEEN);
    return PS_OK;
}

/* ---- a step ---- */

/* A step under way: one gradient, of one batch or of several (accumulate). */
typedef struct step {
    uint64_t first, rows; /* of the task's rows */
    uint64_t done;        /* of these */
    uint64_t version;     /* that its parameters have */
    uint64_t told;        /* rows of the data among them: the loss is of these */
    double loss_sum;
    ps_metric_list metric_sums;
} step;

/* Parameters arrive while the first batch computes; then gradients may be written: begin waits
 * until the last step's have been sent from where they go, in the model or on the host. */
static ps_status begin(training *t, step *s, const ps_model_batch *input)
{
    ps_status st = ps_exchange_pull_start(t->exchange);
    if (!st)
        st = ps_model_forward(t->model, input, ps_exchange_hooks(t->exchange));
    if (!st)
        st = ps_exchange_pull_finish(t->exchange, &s->version);
    if (st)
        return st;
    ps_pusher_step about = {.lease = t->run->task->lease_id,
                            .clock = t->clock,
                            .pulled_version = s->version,
                            .weight = (double)s->rows,
                            .position = s->first,
                            .next_position = s->first + s->rows};
    st = ps_exchange_push_begin(t->exchange, &about);
    t->pushes = !st;
    return st;
}

/* Gradients leave while the last batch's backward pass runs. */
static ps_status backward(training *t, const step *s, const ps_model_batch *input)
{
    if (s->done + (uint64_t)input->rows < s->rows)
        return ps_model_backward(t->model, NULL);
    ps_status st = ps_model_backward(t->model, ps_exchange_hooks(t->exchange));
    return st ? st : ps_exchange_push_end(t->exchange);
}

/* The student goes on with the batch's rows, by the parameters that the step begins with. */
static ps_status go_on(training *t, const step *s, const ps_batch *batch, ps_model_batch *input)
{
    uint64_t version;
    ps_status st = s->done ? PS_OK : ps_exchange_pull(t->exchange, &version);
    input->teaching = &t->alone;
    return st ? st : ps_on_policy_write(t->policy, t->model, batch->first, input);
}

static ps_status train_batch(training *t, step *s, const ps_batch *batch)
{
    bool own = t->policy && ps_on_policy_chosen(t->policy, batch->first);
    ps_model_batch input = ps_pass_model_batch(batch);
    input.train = true;
    input.teaching = t->teaching;
    input.add_gradients = s->done > 0;
    input.weight = (double)batch->rows / (double)s->rows;
    ps_model_result result = {.loss = 0};
    move(t, FORWARD);
    ps_status st = own ? go_on(t, s, batch, &input) : PS_OK;
    if (!st)
        st = s->done ? ps_model_forward(t->model, &input, NULL) : begin(t, s, &input);
    if (!st)
        st = ps_model_loss(t->model, &input);
    if (st)
        return st;
    move(t, BACKWARD);
    st = backward(t, s, &input);
    if (!st)
        st = ps_model_result_get(t->model, &result);
    if (!st)
        st = check_loss(t, &result);
    if (st)
        return st;
    s->done += batch->rows;
    PS_REQUIRE(s->done <= s->rows); /* batches end where steps do */
    if (own)                        /* that it says what it has said tells nothing */
        return PS_OK;
    s->told += batch->rows;
    s->loss_sum += result.loss * (double)batch->rows;
    ps_pass_add_metrics(&result, (double)result.rows, &s->metric_sums);
    return PS_OK;
}

static void report(training *t, const step *s)
{
    Psd__V1__TaskProgress numbers = PSD__V1__TASK_PROGRESS__INIT;
    numbers.samples = s->told;
    numbers.steps = 1;
    numbers.loss_sum = s->loss_sum;
    ps_metric_view metrics;
    numbers.n_metric_sums = ps_metric_list_view(&s->metric_sums, &metrics);
    numbers.metric_sums = metrics.list;
    ps_task_report(t->run, ps_exchange_position(t->exchange), &numbers);
}

static ps_status end_step(training *t, const step *s)
{
    move(t, CLOCK);
    ps_status st = t->clocks_wait ? ps_exchange_drain(t->exchange) : PS_OK;
    if (st)
        return st;
    ps_log_debug("train", "step job=%" PRIu64 " clock=%" PRIu64 " rows=%" PRIu64 " loss=%.9g",
                 t->run->task->job_id, t->clock, s->rows,
                 s->told ? s->loss_sum / (double)s->told : 0);
    t->first += s->rows;
    t->steps++;
    st = end_clock(t);
    report(t, s);
    return st;
}

/* A gradient that psd refused says more with where it came from. */
static ps_status with_step(const training *t, ps_status st)
{
    if (st != PS_INVALID_ARGUMENT)
        return st;
    return ps_wrap(st, "step %" PRIu64 " of epoch %u, learning rate %g", t->steps + 1,
                   t->run->task->epoch + 1, t->spec->optimizer.learning_rate);
}

/* The rows of the next step; 0 when the task has none left. */
static uint64_t rows_of_step(const training *t)
{
    PS_REQUIRE(t->first <= t->run->task->row_end);
    uint64_t left = t->run->task->row_end - t->first;
    uint64_t rows = ps_spec_step_rows(t->spec);
    return rows < left ? rows : left;
}

static ps_status train_step(training *t, step *s, ps_prefetch *prefetch)
{
    ps_status st = PS_OK;
    while (!st && s->done < s->rows) {
        const ps_batch *batch;
        st = ps_prefetch_next(prefetch, &batch);
        if (st)
            break;
        st = train_batch(t, s, batch);
        ps_prefetch_give_back(prefetch, batch);
    }
    return st ? st : end_step(t, s);
}

static ps_status train_steps(training *t, ps_prefetch *prefetch)
{
    uint64_t rows;
    while ((rows = rows_of_step(t)) && !ps_task_stopping(t->run)) {
        step s = {.first = t->first, .rows = rows};
        ps_status st = train_step(t, &s, prefetch);
        if (st)
            return with_step(t, st);
    }
    ps_status st = ps_exchange_drain(t->exchange);
    if (st)
        return st;
    Psd__V1__TaskProgress none = PSD__V1__TASK_PROGRESS__INIT;
    if (t->steps) /* the exchange still has the last task's position until there is a step */
        ps_task_report(t->run, ps_exchange_position(t->exchange), &none);
    return rows ? ps_fail(PS_CANCELLED, "the worker is stopping") : PS_OK;
}

/* From t->first on. */
static ps_status train_rows(training *t)
{
    const Psd__V1__Task *task = t->run->task;
    ps_shuffle shuffle = ps_shuffle_make(ps_dataset_rows(t->data), task->seed, task->epoch);
    ps_prefetch_options options = {.dataset = t->data,
                                   .shuffle = &shuffle,
                                   .begin = t->first,
                                   .end = task->row_end,
                                   .batch_size = (size_t)t->spec->batch_size,
                                   .max_bytes = t->run->env->conf->memory_bytes};
    ps_prefetch *prefetch;
    ps_status st = ps_prefetch_start(&options, &prefetch);
    if (st)
        return st;
    st = train_steps(t, prefetch);
    if (st) { /* the message of what failed must survive the clean-up */
        ps_error error;
        ps_error_save(&error, st);
        /* rows are psd's as soon as a part of their gradient is */
        t->run->begun |= t->pushes && ps_exchange_given(t->exchange);
        ps_exchange_stop(t->exchange);
        st = ps_error_raise(&error);
    }
    ps_prefetch_free(&prefetch);
    return st;
}

static ps_status run_task(ps_task_run *run, Psd__V1__TaskResult *result)
{
    (void)result;
    training t;
    ps_status st = open_all(run, &t);
    if (!st && t.first < run->task->row_end)
        st = enter_clock(&t);
    if (!st)
        move(&t, BETWEEN);
    while (!st && t.first < run->task->row_end) {
        st = train_rows(&t);
        if (st)
            st = synchronise(&t, st);
    }
    move(&t, OVER);
    ps_on_policy_free(&t.policy);
    return st;
}

const ps_worker_kind ps_worker_kind_train = {.name = "train", .run = run_task, .fenced = true};
