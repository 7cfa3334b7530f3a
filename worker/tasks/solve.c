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
 * Of one that loses units, what stays comes first, and is what becomes bytes (pruning.h):
 *
 *     {…,"prune":{"inputs_kept":384,"inputs":512,"importance_lost":0.1,"cut":0.05,"repaired":0.01,
 *                 "held_out_cut":0.05,"held_out_repaired":0.011,"damp":1e-4,"tokens":65536}}
 *
 * Of one that becomes a product of two, what is lost by that (shares as above):
 *
 *     {…,"lowrank":{"rank":64,"of":128,"error":0.011,"held_out":0.013,"mse":1e-5}}
 *
 * Where its input has factors (fold.h), they come first, and the report has the power of the
 * inputs' sizes that they are, and what rounding would lose without them:
 * "power":0.35,"plain":0.014. Of one that only folds them, a norm, it is {"method":"fold"}.
 *
 * The same bytes come out whoever solves it, and again when it is solved once more. */
#include "common/base/mem.h"
#include "common/json/json.h"
#include "worker/tasks/fold.h"
#include "worker/tasks/moments.h"
#include "worker/tasks/moving.h"
#include "worker/tasks/pruning.h"
#include "worker/tasks/task_kind.h"
#include "worker/tasks/thinning.h"

#include <inttypes.h>
#include <string.h>

typedef struct solving {
    ps_compress_job job;
    const ps_plan_tensor *tensor;
    float *weights; /* [rows, columns] */
    ps_compress_sums sums;
    ps_tensor_moments moments; /* with compress.saliency: moments */
    double predicted;
    bool scaled; /* by factors of its input */
    ps_scale_report scale;
    ps_moved moved;            /* of a tensor of a layer that stays */
    ps_pruning_report pruning; /* of a tensor that loses units */
    ps_thinning thinning;      /* of one that becomes two */
    ps_compress_report report; /* of one in a form */
} solving;

static ps_status take_weights(solving *s)
{
    if (!s->tensor->moves)
        return ps_compress_parent_weights(&s->job, s->tensor, &s->weights);
    ps_status st = ps_moved_find(&s->job, s->tensor, &s->moved);
    return st ? st : ps_moved_weights(&s->job, s->tensor, &s->moved, &s->weights);
}

static ps_status choose(solving *s)
{
    uint64_t at = s->job.run->task->row_begin;
    if (at >= s->job.plan->n_tensors || !ps_plan_solves(&s->job.plan->tensors[at]))
        return ps_fail(PS_INVALID_ARGUMENT, "tensor %" PRIu64 " of %zu is none to be solved", at,
                       s->job.plan->n_tensors);
    s->tensor = &s->job.plan->tensors[at];
    return PS_OK;
}

/* What goes with units, or with ranks, is no matter of rounding, and not predicted; nor is it where
 * layers go, whose inputs become others. */
static ps_status take_moments(solving *s)
{
    if (s->job.spec->compress->saliency != PS_SALIENCY_MOMENTS || !s->tensor->method ||
        s->tensor->n_members || s->tensor->rank || s->tensor->moves)
        return PS_OK;
    return ps_tensor_moments_get(&s->job, s->tensor, &s->moments);
}

/* Of its own input, and what is summed becomes what its input will be. */
static ps_status find_factors(solving *s, float **in)
{
    const ps_plan *plan = s->job.plan;
    size_t input = s->tensor->input;
    if (input == PS_PLAN_NO_INPUT || !plan->inputs[input].factors)
        return PS_OK;
    ps_status st = ps_fold_factors(&s->job, input, &s->sums, NULL, in, &s->scale);
    if (!st)
        ps_fold_sums(plan, input, *in, &s->sums);
    s->scaled = !st;
    return st;
}

static void apply_factors(const solving *s, const float *in, const float *out)
{
    ps_fold_apply(s->job.plan, s->tensor, in, out, s->weights);
    if (s->moments.curvature)
        ps_fold_curvature(s->job.plan, s->tensor, in, out, s->moments.curvature);
}

static ps_status fold(solving *s)
{
    float *in = NULL, *out = NULL;
    ps_scale_report report;
    ps_status st = find_factors(s, &in);
    if (!st && s->tensor->folds != PS_PLAN_NO_INPUT)
        st = ps_fold_factors(&s->job, s->tensor->folds, NULL, NULL, &out, &report);
    if (!st)
        apply_factors(s, in, out);
    ps_free(&in);
    ps_free(&out);
    return st;
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

/* Codes of what stays, by the method. */
static ps_status encode(solving *s, uint8_t *out)
{
    const ps_plan_tensor *t = s->tensor;
    const ps_compress_problem problem =
        ps_fold_problem(&s->job, t, s->weights, s->sums.memory[0] ? &s->sums.hessians[0] : NULL,
                        ps_compress_sums_held_out(&s->sums));
    const ps_method *method = ps_method_find(t->stored.form.row->plain ? "round" : t->method->name);
    if (!method)
        return ps_fail(PS_UNIMPLEMENTED, "this worker has no method %s", t->method->name);
    ps_status st = ps_method_solve(method, &problem, out, &s->report);
    return st ? st : predict(s, out);
}

/* Numbers as psd has them. */
static void put(const solving *s, float *out)
{
    const ps_model_form *is = &s->tensor->stored;
    if (is->form.rank)
        memcpy(out, s->thinning.factors, (size_t)s->tensor->bytes);
    else if (s->tensor->from.transposed)
        ps_compress_transpose(s->weights, is->shape[1], is->shape[0], out);
    else
        memcpy(out, s->weights, (size_t)ps_model_form_numbers(is) * sizeof *out);
}

static ps_status solve(solving *s)
{
    const ps_plan_tensor *t = s->tensor;
    const char *name = t->stored.name;
    ps_some_tensors *words = NULL;
    ps_status st = ps_compress_tensors(&s->job, &name, 1, ps_plan_words(t), &words);
    if (!st && ps_some_tensors_elements(words, 0) != ps_plan_words(t))
        st = ps_fail(PS_FAILED_PRECONDITION, "tensor %s has other bytes at psd", name);
    if (!st && t->method)
        st = encode(s, ps_some_tensors_memory(words, 0));
    else if (!st)
        put(s, ps_some_tensors_memory(words, 0));
    if (!st)
        st = push(s, words);
    ps_some_tensors_close(&words);
    return st;
}

static void tell_codes(const solving *s, ps_json_writer *w)
{
    const ps_compress_report *r = &s->report;
    ps_json_put_string(w, "method", s->tensor->method->name);
    if (s->sums.memory[0])
        ps_json_put_double(w, "error", r->error);
    if (ps_compress_sums_held_out(&s->sums))
        ps_json_put_double(w, "held_out", r->held_out);
    ps_json_put_double(w, "mse", r->mse);
    if (s->moments.curvature)
        ps_json_put_double(w, "predicted", s->predicted);
    if (r->damp > 0)
        ps_json_put_double(w, "damp", r->damp);
    if (s->scaled) {
        ps_json_put_double(w, "power", s->scale.power);
        ps_json_put_double(w, "plain", s->scale.plain);
    }
    if (s->sums.memory[0])
        ps_json_put_uint(w, "tokens", s->sums.hessians[0].tokens);
    ps_json_put_string(w, "fallback", ps_compress_step_text(r->fallback));
    if (r->why != PS_REASON_NONE)
        ps_json_put_string(w, "why", ps_compress_reason_text(r->why));
    ps_json_put_double(w, "seconds", r->seconds);
}

static void tell_pruning(const solving *s, ps_json_writer *w)
{
    const ps_repair_report *r = &s->pruning.repair;
    ps_json_key(w, "prune");
    ps_json_object(w);
    for (int columns = 0; columns < 2; columns++) {
        uint64_t left, all;
        ps_plan_axis(s->job.plan, s->tensor, columns, &left, &all);
        if (!all)
            continue;
        ps_json_put_uint(w, columns ? "inputs_kept" : "outputs_kept", left);
        ps_json_put_uint(w, columns ? "inputs" : "outputs", all);
    }
    if (s->pruning.kept) {
        ps_json_key(w, "kept");
        ps_json_array(w);
        for (size_t i = 0; i < s->pruning.n_kept; i++)
            ps_json_uint(w, s->pruning.kept[i]);
        ps_json_array_end(w);
    }
    ps_json_put_double(w, "importance_lost", s->pruning.importance);
    if (s->pruning.scale > 0)
        ps_json_put_double(w, "scale", s->pruning.scale);
    if (s->pruning.columns) {
        bool held_out = ps_compress_sums_held_out(&s->sums) != NULL;
        ps_json_put_double(w, "cut", r->cut);
        ps_json_put_double(w, "repaired", r->repaired);
        if (held_out)
            ps_json_put_double(w, "held_out_cut", r->held_out_cut);
        if (held_out)
            ps_json_put_double(w, "held_out_repaired", r->held_out);
        ps_json_put_double(w, "damp", r->damp);
        ps_json_put_uint(w, "tokens", s->sums.hessians[0].tokens);
        if (r->why != PS_REASON_NONE)
            ps_json_put_string(w, "why", ps_compress_reason_text(r->why));
    }
    ps_json_object_end(w);
}

static void tell_zeros(const solving *s, ps_json_writer *w)
{
    const ps_pruning_report *r = &s->pruning;
    ps_json_key(w, "prune");
    ps_json_object(w);
    ps_json_put_uint(w, "zeros", r->zeros);
    ps_json_put_uint(w, "numbers", ps_model_form_numbers(&s->tensor->from));
    if (r->error >= 0)
        ps_json_put_double(w, "error", r->error);
    if (r->held_out >= 0)
        ps_json_put_double(w, "held_out", r->held_out);
    ps_json_object_end(w);
}

static void tell_rank(const solving *s, ps_json_writer *w)
{
    const ps_lowrank_report *r = &s->thinning.report;
    const uint64_t *shape = s->tensor->stored.shape;
    ps_json_key(w, "lowrank");
    ps_json_object(w);
    ps_json_put_uint(w, "rank", s->tensor->rank);
    ps_json_put_uint(w, "of", shape[0] < shape[1] ? shape[0] : shape[1]);
    if (r->error >= 0)
        ps_json_put_double(w, "error", r->error);
    if (r->held_out >= 0)
        ps_json_put_double(w, "held_out", r->held_out);
    ps_json_put_double(w, "mse", r->mse);
    ps_json_object_end(w);
}

static void tell(const solving *s, Psd__V1__TaskResult *result)
{
    ps_buf json = PS_BUF_EMPTY;
    ps_json_writer w = ps_json_writer_to(&json);
    ps_json_object(&w);
    if (s->tensor->method)
        tell_codes(s, &w);
    else if (s->tensor->folds != PS_PLAN_NO_INPUT)
        ps_json_put_string(&w, "method", "fold");
    if (s->tensor->n_members)
        tell_pruning(s, &w);
    if (s->tensor->zeros)
        tell_zeros(s, &w);
    if (s->tensor->rank)
        tell_rank(s, &w);
    if (s->tensor->moves) {
        ps_json_key(&w, "prune");
        ps_moved_tell(&s->moved, &w);
    }
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
                    s->tensor->stored.name, s->sums.hessians[0].tokens,
                    ps_model_form_columns(&s->tensor->stored));
    if (s->report.fallback != PS_STEP_NONE)
        ps_task_log(s->job.run, PS_LOG_WARNING, "tensor %s: %s: %s", s->tensor->stored.name,
                    ps_compress_step_text(s->report.fallback),
                    ps_compress_reason_text(s->report.why));
    if (s->pruning.columns && s->pruning.repair.why != PS_REASON_NONE)
        ps_task_log(s->job.run, PS_LOG_WARNING, "tensor %s: what is left is not repaired: %s",
                    s->tensor->stored.name, ps_compress_reason_text(s->pruning.repair.why));
}

/* What goes, goes from the parent's numbers. */
static ps_status cut(solving *s)
{
    const ps_plan_tensor *t = s->tensor;
    ps_status st = PS_OK;
    if (t->n_members)
        st = ps_prune_tensor(&s->job, t, s->weights, NULL, &s->sums, &s->pruning);
    else if (t->zeros)
        st = ps_prune_zeros(&s->job, t, s->weights, &s->sums, &s->pruning);
    if (!st && t->rank)
        st = ps_thin_tensor(&s->job, t, s->weights, &s->sums, &s->thinning);
    return st;
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
    if (!st && s.tensor->input != PS_PLAN_NO_INPUT)
        st = ps_compress_sums_take(&s.job, s.tensor, &s.sums);
    if (!st)
        st = take_moments(&s);
    if (!st)
        st = cut(&s);
    if (!st)
        st = fold(&s);
    if (!st)
        st = solve(&s);
    if (!st) {
        warn(&s);
        tell(&s, result);
    }
    ps_tensor_moments_free(&s.moments);
    ps_pruning_report_clear(&s.pruning);
    ps_thinning_free(&s.thinning);
    ps_moved_clear(&s.moved);
    ps_free(&s.weights);
    ps_compress_sums_free(&s.sums);
    return st;
}

const ps_worker_kind ps_worker_kind_solve = {.name = "solve", .run = run_task, .fenced = true};
