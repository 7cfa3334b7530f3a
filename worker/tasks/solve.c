/* solve: one tensor of the plan, its number being row_begin: its parent's numbers, and the sums
 * over its inputs that calibration has left at psd, become the bytes of its form by the job's
 * method (worker/compress). The bytes go to psd as words of 32 bits; what was lost by them is the
 * report:
 *
 *     {"method":"gptq","error":0.011,"held_out":0.013,"mse":1e-5,"predicted":0.002,"damp":0.01,
 *      "tokens":65536,"fallback":"none","seconds":0.8}
 *
 * predicted, with compress.saliency: moments, is what the model's loss rises by.
 *
 * The same bytes come out whoever solves it, and again when it is solved once more. */
#include "common/base/mem.h"
#include "common/json/json.h"
#include "worker/compress/method.h"
#include "worker/tasks/moments.h"
#include "worker/tasks/task_kind.h"

#include <inttypes.h>
#include <string.h>

typedef struct solving {
    ps_compress_job job;
    const ps_plan_tensor *tensor;
    float *weights; /* [rows, columns] */
    float *sums[2]; /* as ps_hessian has them: calibration, held out; NULL: none */
    ps_hessian hessians[2];
    ps_tensor_moments moments; /* with compress.saliency: moments */
    double predicted;
    ps_compress_report report;
} solving;

static ps_status choose(solving *s)
{
    uint64_t at = s->job.run->task->row_begin;
    if (at >= s->job.plan->n_tensors || !ps_plan_solves(&s->job.plan->tensors[at]))
        return ps_fail(PS_INVALID_ARGUMENT, "tensor %" PRIu64 " of %zu is none to be solved", at,
                       s->job.plan->n_tensors);
    s->tensor = &s->job.plan->tensors[at];
    return PS_OK;
}

/* As it is stored: a row is what one output is multiplied with. */
static ps_status take_weights(solving *s)
{
    const ps_model_form *form = &s->tensor->stored;
    ps_status st = ps_compress_parent_numbers(&s->job, s->tensor, &s->weights);
    if (st || !form->transposed)
        return st;
    float *turned = ps_try_alloc_raw((size_t)ps_model_form_numbers(form) * sizeof *turned);
    if (!turned)
        return ps_fail(PS_NO_MEMORY, "numbers of tensor %s", form->name);
    ps_compress_transpose(s->weights, form->shape[0], form->shape[1], turned);
    ps_free(&s->weights);
    s->weights = turned;
    return PS_OK;
}

/* The upper triangle, row by row, to where a matrix has it. */
static void unpack(const float *packed, uint64_t columns, float *out)
{
    for (uint64_t r = 0; r < columns; r++, packed += columns - r + 1)
        memcpy(out + r * columns + r, packed, (columns - r) * sizeof *out);
}

static ps_status take_sum(solving *s, const ps_plan_input *input, const float *packed, size_t i)
{
    bool squares = input->numbers == input->columns;
    uint64_t numbers = squares ? input->columns : input->columns * input->columns;
    s->sums[i] = ps_try_alloc((size_t)numbers * sizeof(float));
    if (!s->sums[i])
        return ps_fail(PS_NO_MEMORY, "sums over the inputs of %s", input->name);
    if (squares)
        memcpy(s->sums[i], packed, numbers * sizeof(float));
    else
        unpack(packed, input->columns, s->sums[i]);
    s->hessians[i].sums = s->sums[i];
    s->hessians[i].squares = squares;
    return PS_OK;
}

static ps_status take_sums(solving *s)
{
    const ps_plan *plan = s->job.plan;
    if (s->tensor->input == PS_PLAN_NO_INPUT)
        return PS_OK;
    const ps_plan_input *input = &plan->inputs[s->tensor->input];
    size_t slot = s->tensor->input - plan->windows[ps_plan_window_of(plan, s->tensor->input)].first;
    size_t kinds = plan->held_out_rows ? 2 : 1;
    char names[2][PS_SUM_NAME];
    const char *wanted[] = {PS_TOKENS_NAME, ps_plan_sum_name(slot, false, names[0]),
                            ps_plan_sum_name(slot, true, names[1])};
    ps_some_tensors *tensors = NULL;
    ps_status st =
        ps_compress_tensors(&s->job, wanted, 1 + kinds, ps_plan_slot_numbers(plan, slot), &tensors);
    if (!st)
        st = ps_some_tensors_pull(tensors);
    for (size_t i = 0; !st && i < kinds; i++) {
        s->hessians[i].tokens = (uint64_t)((const float *)ps_some_tensors_memory(tensors, 0))[i];
        if (ps_some_tensors_elements(tensors, 1 + i) < input->numbers)
            st = ps_fail(PS_FAILED_PRECONDITION, "psd has fewer sums than input %s", input->name);
        else
            st = take_sum(s, input, ps_some_tensors_memory(tensors, 1 + i), i);
    }
    ps_some_tensors_close(&tensors);
    return st;
}

static ps_status take_moments(solving *s)
{
    if (s->job.spec->compress->saliency != PS_SALIENCY_MOMENTS)
        return PS_OK;
    return ps_tensor_moments_get(&s->job, s->tensor, &s->moments);
}

static ps_status predict(solving *s, const uint8_t *bytes)
{
    const ps_model_form *t = &s->tensor->stored;
    if (!s->moments.curvature)
        return PS_OK;
    return ps_tensor_moments_predict(&s->moments, t, t->form, s->weights, bytes, &s->predicted);
}

static ps_status push(const solving *s, ps_some_tensors *words)
{
    return ps_some_tensors_push(words, s->job.run->task->lease_id, 0, 0);
}

static ps_status solve(solving *s)
{
    const ps_plan_tensor *t = s->tensor;
    const char *name = t->stored.name;
    ps_some_tensors *words = NULL;
    const ps_compress_problem problem = {
        .name = name,
        .weights = s->weights,
        .rows = ps_model_form_rows(&t->stored),
        .columns = ps_model_form_columns(&t->stored),
        .hessian = s->sums[0] ? &s->hessians[0] : NULL,
        .held_out = s->sums[1] && s->hessians[1].tokens ? &s->hessians[1] : NULL,
        .form = t->stored.form,
        .options = {
            .damp = s->job.spec->compress->quantise->damp, .order = true, .one_range = t->matrix}};
    const ps_method *method = ps_method_find(t->method->name);
    if (!method)
        return ps_fail(PS_UNIMPLEMENTED, "this worker has no method %s", t->method->name);
    ps_status st = ps_compress_tensors(&s->job, &name, 1, ps_plan_words(t), &words);
    if (!st && ps_some_tensors_elements(words, 0) != ps_plan_words(t))
        st = ps_fail(PS_FAILED_PRECONDITION, "tensor %s has other bytes at psd", name);
    if (!st)
        st = ps_method_solve(method, &problem, ps_some_tensors_memory(words, 0), &s->report);
    if (!st)
        st = predict(s, ps_some_tensors_memory(words, 0));
    if (!st)
        st = push(s, words);
    ps_some_tensors_close(&words);
    return st;
}

static void tell(const solving *s, Psd__V1__TaskResult *result)
{
    const ps_compress_report *r = &s->report;
    ps_buf json = PS_BUF_EMPTY;
    ps_json_writer w = ps_json_writer_to(&json);
    ps_json_object(&w);
    ps_json_put_string(&w, "method", s->tensor->method->name);
    if (s->sums[0])
        ps_json_put_double(&w, "error", r->error);
    if (s->sums[1] && s->hessians[1].tokens)
        ps_json_put_double(&w, "held_out", r->held_out);
    ps_json_put_double(&w, "mse", r->mse);
    if (s->moments.curvature)
        ps_json_put_double(&w, "predicted", s->predicted);
    if (r->damp > 0)
        ps_json_put_double(&w, "damp", r->damp);
    if (s->sums[0])
        ps_json_put_uint(&w, "tokens", s->hessians[0].tokens);
    ps_json_put_string(&w, "fallback", ps_compress_step_text(r->fallback));
    if (r->why != PS_REASON_NONE)
        ps_json_put_string(&w, "why", ps_compress_reason_text(r->why));
    ps_json_put_double(&w, "seconds", r->seconds);
    ps_json_object_end(&w);
    ps_result_report(result, ps_buf_cstr(&json));
    ps_buf_free(&json);
}

/* What was wrong by less than it could be is said to who follows the job. */
static void warn(const solving *s)
{
    if (s->report.few_tokens)
        ps_task_log(s->job.run, PS_LOG_WARNING,
                    "tensor %s: calibrated on %" PRIu64 " tokens, fewer than its %" PRIu64
                    " columns; more rows would make it better",
                    s->tensor->stored.name, s->hessians[0].tokens,
                    ps_model_form_columns(&s->tensor->stored));
    if (s->report.fallback != PS_STEP_NONE)
        ps_task_log(s->job.run, PS_LOG_WARNING, "tensor %s: %s: %s", s->tensor->stored.name,
                    ps_compress_step_text(s->report.fallback),
                    ps_compress_reason_text(s->report.why));
}

static ps_status run_task(ps_task_run *run, Psd__V1__TaskResult *result)
{
    solving s = {0};
    ps_status st = ps_compress_open(run, &s.job);
    if (st)
        return st;
    st = choose(&s);
    if (!st)
        st = take_weights(&s);
    if (!st)
        st = take_sums(&s);
    if (!st)
        st = take_moments(&s);
    if (!st)
        st = solve(&s);
    if (!st) {
        warn(&s);
        tell(&s, result);
    }
    ps_tensor_moments_free(&s.moments);
    ps_free(&s.weights);
    ps_free(&s.sums[0]);
    ps_free(&s.sums[1]);
    ps_compress_close(&s.job);
    return st;
}

const ps_worker_kind ps_worker_kind_solve = {.name = "solve", .run = run_task, .fenced = true};
