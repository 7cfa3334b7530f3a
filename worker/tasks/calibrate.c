/* calibrate: rows [row_begin, row_end) of data.train, in the files' order, through the model as far
 * as window `epoch` of the plan (store_plan.h); of the inputs of its products, ΣXXᵀ or the sums of
 * their squares are pushed to psd, once for all rows of the task: those behind the calibration's
 * are held out, and summed apart.
 *
 * Sums are made on the device, in float32, of the inputs before each product (`at` of
 * ps_model_hooks); of q, k and v, which share one, once. With compress.calibrate.sequential the
 * parameters that were solved in the turns before are what psd has of them by now, so that a window
 * sees what its inputs will be; they stay in the model for the next task.
 *
 * Where whole layers are to go, it is what each of them does to the residual stream (influence.h).
 *
 * Fails: rows that are not there; sums that are not finite; a lease that has ended. Nothing of a
 * task that fails is in psd's sums. */
#include "common/base/mem.h"
#include "common/form/factors.h"
#include "gpu/op.h"
#include "worker/data/prefetch.h"
#include "worker/tasks/compress_job.h"
#include "worker/tasks/influence.h"
#include "worker/tasks/pass.h"
#include "worker/tasks/pruning.h"
#include "worker/tasks/task_kind.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* One input of the window. */
typedef struct slot {
    const ps_plan_input *input;
    ps_tap tap; /* where a pass has it */
    ps_buffer *memory;
    ps_tensor sum; /* F32 [columns, columns], or [columns] */
} slot;

typedef struct calibrating {
    ps_compress_job job;
    const ps_plan_window *window;
    bool measures; /* for what forms would cost: nothing is solved yet */
    ps_dataset *data;
    ps_model *model;
    slot *slots; /* [window->end - window->first] */
    size_t n;
    size_t seen;             /* in this pass */
    ps_influence *influence; /* of a window that has that instead of inputs; NULL */
    ps_status failed;        /* what a hook could not say */
    bool begun;              /* the sums on the device are not zeros */
    float tokens[2];
} calibrating;

/* ---- the window's inputs ---- */

static void add_to_sum(ps_stream *s, ps_tensor sum, ps_tensor x, float beta)
{
    int64_t columns = x.shape[1];
    if (sum.rank == 2) {
        ps_op_matmul(s, sum, x, true, x, false, beta);
        return;
    }
    /* Σx² of each column is a product of one row and one column, as many times as there are */
    ps_op_gemm(s, &(ps_gemm){.transpose_a = true,
                             .m = 1,
                             .n = 1,
                             .k = x.shape[0],
                             .alpha = 1,
                             .beta = beta,
                             .a = x,
                             .b = x,
                             .c = sum,
                             .ld_a = columns,
                             .ld_b = columns,
                             .ld_c = 1,
                             .batch = columns,
                             .stride_a = 1,
                             .stride_b = 1,
                             .stride_c = 1});
}

/* Rows of what products take are dense. */
static void add_to_sums(calibrating *c, ps_tap tap, ps_tensor x)
{
    for (size_t i = 0; i < c->n; i++) {
        if (!ps_tap_equal(c->slots[i].tap, tap))
            continue;
        add_to_sum(ps_model_stream(c->model), c->slots[i].sum, x, c->begun ? 1 : 0);
        c->seen++;
    }
}

static void add_to_influence(calibrating *c, ps_tap tap, ps_tensor x)
{
    ps_stream *s = ps_model_stream(c->model);
    if (tap.kind == PS_TAP_RESID_PRE && tap.layer == 0)
        c->failed = ps_influence_begin(c->influence, s, x);
    if (tap.kind != PS_TAP_RESID_POST || c->failed)
        return;
    c->failed = ps_influence_add(c->influence, s, (size_t)tap.layer, x);
    c->seen += (uint64_t)tap.layer + 1 == c->slots[0].input->columns;
}

static void at(void *user, ps_tap tap, ps_tensor x, int64_t ld)
{
    (void)ld;
    calibrating *c = user;
    if (c->influence)
        add_to_influence(c, tap, x);
    else
        add_to_sums(c, tap, x);
}

/* What comes behind the window need not be computed. */
static ps_status before_use(void *user, size_t parameter, bool *changed)
{
    const calibrating *c = user;
    (void)parameter;
    (void)changed;
    if (c->failed)
        return c->failed;
    return c->seen == c->n ? PS_END : PS_OK;
}

static ps_status make_slot(calibrating *c, size_t i)
{
    slot *s = &c->slots[i];
    s->input = &c->job.plan->inputs[c->window->first + i];
    if (s->input->influence) {
        ps_influence_new((size_t)s->input->columns, &c->influence);
        return PS_OK;
    }
    int64_t columns = (int64_t)s->input->columns;
    bool squares = s->input->squares;
    size_t weight;
    ps_status st = ps_model_find(c->model, s->input->name, &weight);
    if (!st)
        st = ps_model_tap_before(c->model, weight, &s->tap);
    if (!st)
        st = ps_buffer_new(c->job.run->env->backend,
                           (size_t)(squares ? columns : columns * columns) * sizeof(float),
                           &s->memory);
    if (st)
        return ps_wrap(st, "sums over the inputs of %s", s->input->name);
    s->sum = squares ? ps_tensor_1d(s->memory, 0, PS_DTYPE_F32, columns)
                     : ps_tensor_2d(s->memory, 0, PS_DTYPE_F32, columns, columns);
    return PS_OK;
}

static ps_status make_slots(calibrating *c)
{
    c->n = c->window->end - c->window->first;
    c->slots = ps_alloc_array(c->n, sizeof *c->slots);
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < c->n; i++)
        st = make_slot(c, i);
    return st;
}

/* ---- the model, as far as it is compressed ---- */

/* Its bytes as numbers of the parent's shape, in one of a and b, which have room for these. */
static const float *as_the_model_has_them(const ps_plan *plan, const ps_plan_tensor *t,
                                          const uint8_t *bytes, float *a, float *b)
{
    const ps_model_form *form = &t->stored;
    if (form->form.rank)
        ps_factors_rows((const float *)(const void *)bytes, form->form.rank,
                        ps_model_form_rows(form), ps_model_form_columns(form), 0,
                        ps_model_form_rows(form), a);
    else if (form->form.row)
        ps_form_decode(form->form, bytes, ps_model_form_rows(form), ps_model_form_columns(form), a);
    else
        memcpy(a, bytes, (size_t)ps_model_form_bytes(form));
    if (form->transposed) {
        ps_compress_transpose(a, ps_model_form_rows(form), ps_model_form_columns(form), b);
        float *turned = b;
        b = a;
        a = turned;
    }
    if (!t->n_members)
        return a;
    ps_prune_expand(plan, t, a, b);
    return b;
}

static ps_status apply_tensor(calibrating *c, const ps_plan_tensor *t, const uint8_t *bytes)
{
    size_t i;
    const ps_model_form *form = &t->stored;
    ps_status st = ps_model_find(c->model, form->name, &i);
    size_t n = (size_t)ps_model_form_numbers(&t->from);
    if (!st && ps_tensor_bytes(ps_model_parameter(c->model, i)) != n * sizeof(float))
        st = ps_fail(PS_UNIMPLEMENTED,
                     "tensor %s of the model is not float32: use "
                     "compress.calibrate.sequential: false",
                     form->name);
    if (st)
        return st;
    float *numbers = ps_try_alloc_raw(n * sizeof *numbers * 2);
    if (!numbers)
        return ps_fail(PS_NO_MEMORY, "numbers of tensor %s", form->name);
    const float *values = as_the_model_has_them(c->job.plan, t, bytes, numbers, numbers + n);
    ps_tensor to = ps_model_parameter(c->model, i);
    ps_copy_to_device(ps_model_stream(c->model), to, values, ps_tensor_bytes(to));
    st = ps_stream_sync(ps_model_stream(c->model));
    ps_free(&numbers);
    return st;
}

static ps_status apply_words(calibrating *c, const ps_plan_tensor *t)
{
    ps_some_tensors *words = NULL;
    ps_status st = ps_compress_tensors(&c->job, &t->stored.name, 1, ps_plan_words(t), &words);
    if (!st)
        st = ps_some_tensors_elements(words, 0) == ps_plan_words(t)
                 ? ps_some_tensors_pull(words)
                 : ps_fail(PS_FAILED_PRECONDITION, "tensor %s has other bytes at psd",
                           t->stored.name);
    if (!st)
        st = apply_tensor(c, t, ps_some_tensors_memory(words, 0));
    ps_some_tensors_close(&words);
    return st;
}

/* *mark: turns whose tensors the model has, of the `turns` that it is to have. */
static ps_status apply_turns(calibrating *c, uint64_t *mark, uint64_t turns)
{
    ps_status st = PS_OK;
    const ps_plan *plan = c->job.plan;
    if (*mark == turns)
        return PS_OK;
    for (size_t i = 0; !st && i < plan->n_tensors; i++) {
        const ps_plan_tensor *t = &plan->tensors[i];
        size_t turn = ps_plan_solves(t) ? ps_plan_turn(plan, t) : SIZE_MAX;
        if (turn >= *mark && turn < turns)
            st = apply_words(c, t);
    }
    if (st)
        return st;
    ps_model_refresh(c->model);
    *mark = turns;
    return PS_OK;
}

static ps_status take_model(calibrating *c)
{
    if (!c->job.spec->compress->calibrate.sequential || c->measures)
        return ps_job_entry_model(c->job.entry, c->job.run, &c->model);
    uint64_t turns = (uint64_t)(c->window - c->job.plan->windows) + 1, *mark;
    ps_status st = ps_job_entry_model_to_change(c->job.entry, c->job.run, turns, &mark, &c->model);
    return st ? st : apply_turns(c, mark, turns);
}

/* ---- rows ---- */

static ps_status run_batch(calibrating *c, const ps_batch *batch, bool held_out)
{
    const ps_model_hooks hooks = {.before_use = before_use, .at = at, .user = c};
    ps_model_batch input = ps_pass_model_batch(batch);
    c->seen = 0;
    ps_status st = ps_model_forward(c->model, &input, &hooks);
    if (!st || st == PS_END)
        st = c->failed;
    if (st)
        return st;
    c->begun = true;
    c->tokens[held_out] += (float)(batch->rows * (batch->tokens ? batch->length : 1));
    return c->seen == c->n
               ? PS_OK
               : ps_fail(PS_FAILED_PRECONDITION, "the model has other products than the plan");
}

static ps_status run_rows(calibrating *c, uint64_t begin, uint64_t end, bool held_out)
{
    ps_prefetch *prefetch;
    ps_prefetch_options options = {.dataset = c->data,
                                   .begin = begin,
                                   .end = end,
                                   .batch_size = ps_job_entry_batch(c->job.entry),
                                   .max_bytes = c->job.run->env->conf->memory_bytes};
    ps_status st = ps_prefetch_start(&options, &prefetch);
    const ps_batch *batch;
    if (st)
        return st;
    while (!(st = ps_prefetch_next(prefetch, &batch))) {
        st = ps_gate_check(c->job.run->remote->gate);
        if (!st && ps_task_stopping(c->job.run))
            st = ps_fail(PS_CANCELLED, "the worker is stopping");
        if (!st)
            st = run_batch(c, batch, held_out);
        if (!st) {
            Psd__V1__TaskProgress numbers = PSD__V1__TASK_PROGRESS__INIT;
            numbers.samples = batch->rows;
            ps_task_report(c->job.run, c->job.run->task->row_begin, &numbers); /* none is in yet */
        }
        ps_prefetch_give_back(prefetch, batch);
        if (st)
            break;
    }
    ps_prefetch_free(&prefetch);
    return st == PS_END ? PS_OK : st;
}

/* ---- the push ---- */

/* A matrix's upper triangle, row by row. */
static void pack(const float *in, uint64_t columns, float *out)
{
    for (uint64_t r = 0; r < columns; r++) {
        memcpy(out, in + r * columns + r, (columns - r) * sizeof *out);
        out += columns - r;
    }
}

static ps_status check_finite(const float *sums, uint64_t n, const char *name)
{
    for (uint64_t i = 0; i < n; i++)
        if (!isfinite(sums[i]))
            return ps_fail(PS_OUT_OF_RANGE,
                           "the inputs of %s are not finite, or too large to be squared; has the "
                           "model NaN or infinity in it?",
                           name);
    return PS_OK;
}

/* The slot's sums on the device to where they are pushed from, packed. */
static ps_status fetch(calibrating *c, const slot *s, float *out)
{
    if (s->input->influence) {
        for (uint64_t i = 0; i < s->input->numbers; i++)
            out[i] = (float)ps_influence_sums(c->influence)[i];
        return check_finite(out, s->input->numbers, s->input->name);
    }
    size_t bytes = ps_tensor_bytes(s->sum);
    float *whole = ps_try_alloc_raw(bytes);
    if (!whole)
        return ps_fail(PS_NO_MEMORY, "sums over the inputs of %s", s->input->name);
    ps_status st = ps_copy_to_host(ps_model_stream(c->model), whole, s->sum, bytes);
    if (!st && s->sum.rank == 2)
        pack(whole, s->input->columns, out);
    else if (!st)
        memcpy(out, whole, bytes);
    ps_free(&whole);
    return st ? st : check_finite(out, s->input->numbers, s->input->name);
}

/* Rows [begin, end), and their sums to tensors first, first + 1, … of those that are pushed. */
static ps_status sum_rows(calibrating *c, uint64_t begin, uint64_t end, bool held_out,
                          const ps_some_tensors *to, size_t first)
{
    c->begun = false;
    if (c->influence)
        ps_influence_clear(c->influence);
    ps_status st = run_rows(c, begin, end, held_out);
    for (size_t i = 0; !st && i < c->n; i++) {
        if (ps_some_tensors_elements(to, first + i) < c->slots[i].input->numbers)
            st = ps_fail(PS_FAILED_PRECONDITION, "psd has fewer sums than input %s",
                         c->slots[i].input->name);
        else
            st = fetch(c, &c->slots[i], ps_some_tensors_memory(to, first + i));
    }
    return st;
}

/* Which of the task's rows are for the calibration; the others are held out. */
typedef struct parts {
    uint64_t begin, middle, end;
} parts;

static ps_status sum_all(calibrating *c, const parts *p, ps_some_tensors *to)
{
    size_t calibrated = p->begin < p->middle ? c->n : 0;
    ps_status st = calibrated ? sum_rows(c, p->begin, p->middle, false, to, 1) : PS_OK;
    if (!st && p->middle < p->end)
        st = sum_rows(c, p->middle, p->end, true, to, 1 + calibrated);
    if (st)
        return st;
    const Psd__V1__Task *task = c->job.run->task;
    memcpy(ps_some_tensors_memory(to, 0), c->tokens, sizeof c->tokens);
    return ps_some_tensors_push(to, task->lease_id, task->row_begin, task->row_end);
}

static ps_status sum_and_push(calibrating *c, const parts *p)
{
    size_t n = 0;
    uint64_t most = 2;
    char(*texts)[PS_SUM_NAME] = ps_alloc_array(2 * c->n, sizeof *texts);
    const char **names = ps_alloc_array(1 + 2 * c->n, sizeof *names);
    names[n++] = PS_TOKENS_NAME;
    for (int held_out = 0; held_out < 2; held_out++)
        for (size_t i = 0; i < c->n; i++)
            if (held_out ? p->middle < p->end : p->begin < p->middle) {
                names[n] = ps_plan_sum_name(i, held_out, texts[n - 1]);
                n++;
            }
    for (size_t i = 0; i < c->n; i++) {
        uint64_t numbers = ps_plan_slot_numbers(c->job.plan, i);
        most = numbers > most ? numbers : most;
    }
    ps_some_tensors *to = NULL;
    ps_status st = ps_compress_tensors(&c->job, names, n, most, &to);
    if (!st)
        st = sum_all(c, p, to);
    ps_some_tensors_close(&to);
    ps_free(&names);
    ps_free(&texts);
    return st;
}

/* ---- the task ---- */

static uint64_t within(uint64_t x, uint64_t least, uint64_t most)
{
    return x < least ? least : x > most ? most : x;
}

/* Where data are fewer than were planned for, a task may have rows that are not there: its part of
 * the sums is nothing then, and it is done all the same. */
static ps_status check_task(calibrating *c, parts *out)
{
    const Psd__V1__Task *task = c->job.run->task;
    const ps_plan *plan = c->job.plan;
    uint64_t rows = plan->calibration_rows + plan->held_out_rows, middle = 0, held_out = 0;
    if (task->epoch >= ps_plan_epochs(plan) || task->row_begin >= task->row_end ||
        task->row_end > rows)
        return ps_fail(PS_INVALID_ARGUMENT, "rows %" PRIu64 " to %" PRIu64 " of window %u of %zu",
                       task->row_begin, task->row_end, task->epoch, plan->n_windows);
    ps_status st = ps_plan_rows(plan, ps_dataset_rows(c->data), &middle, &held_out);
    if (st)
        return st;
    c->window = &plan->windows[task->epoch % plan->n_windows];
    c->measures = plan->target.asked && task->epoch < plan->n_windows;
    *out = (parts){.begin = within(task->row_begin, 0, middle + held_out),
                   .end = within(task->row_end, 0, middle + held_out)};
    out->middle = within(middle, out->begin, out->end);
    return PS_OK;
}

static ps_status calibrate(calibrating *c)
{
    parts p = {0};
    ps_status st = ps_job_entry_data(c->job.entry, c->job.run, PS_JOB_TRAIN_DATA, &c->data);
    if (!st)
        st = check_task(c, &p);
    if (!st)
        st = take_model(c);
    if (!st)
        st = make_slots(c);
    if (!st)
        st = sum_and_push(c, &p);
    for (size_t i = 0; c->slots && i < c->n; i++)
        ps_buffer_free(c->job.run->env->backend, &c->slots[i].memory);
    ps_free(&c->slots);
    ps_influence_free(&c->influence);
    return st;
}

static ps_status run_task(ps_task_run *run, Psd__V1__TaskResult *result)
{
    (void)result;
    calibrating c = {0};
    ps_status st = ps_compress_open(run, &c.job);
    if (st)
        return st;
    st = calibrate(&c);
    return st;
}

const ps_worker_kind ps_worker_kind_calibrate = {
    .name = "calibrate", .run = run_task, .fenced = true};
