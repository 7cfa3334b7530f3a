/* measure: one tensor of the plan, its number being row_begin, is made into each of the forms that
 * it may get, as solve would, and what each costs is the report, in their order:
 *
 *     {"losses":[0.19,0.04,0.009,0.0001],"seconds":0.9}
 *
 * By compress.saliency: what the model's loss rises by; the share of the power of the product's
 * output that is lost; or the sum of squares of what numbers are off by. What goes with units and
 * ranks, is gone before, in whatever form: it is no part of that. Where the input has factors, they
 * are those of each form; the factors of what follows are left out: a row that is divided as a
 * whole gets the same codes.
 *
 * Or, where the least of all tensors become 0, how many of its numbers are how salient (plan.h):
 *
 *     {"counts":[0,…],"seconds":0}
 *
 * Nothing is pushed. */
#include "common/base/mem.h"
#include "common/json/json.h"
#include "worker/tasks/fold.h"
#include "worker/tasks/moments.h"
#include "worker/tasks/pruning.h"
#include "worker/tasks/task_kind.h"
#include "worker/tasks/thinning.h"

#include <inttypes.h>
#include <string.h>

/* What a form is tried on. */
typedef struct trial {
    float *weights; /* [rows, columns] of the product, as the new model has it */
    ps_compress_sums sums;
    ps_tensor_moments moments; /* with compress.saliency: moments */
} trial;

typedef struct measuring {
    ps_compress_job job;
    const ps_plan_tensor *tensor;
    trial whole;            /* without factors */
    double *found, seconds; /* [n_measures] */
} measuring;

static void trial_free(trial *t)
{
    ps_tensor_moments_free(&t->moments);
    ps_free(&t->weights);
    ps_compress_sums_free(&t->sums);
}

static ps_status take(measuring *m)
{
    const ps_plan_tensor *t = m->tensor;
    ps_status st = ps_compress_parent_weights(&m->job, t, &m->whole.weights);
    if (!st && t->n_choices && t->input != PS_PLAN_NO_INPUT)
        st = ps_compress_sums_take(&m->job, t, &m->whole.sums);
    if (!st && t->n_choices && m->job.spec->compress->saliency == PS_SALIENCY_MOMENTS)
        st = ps_tensor_moments_get(&m->job, t, &m->whole.moments);
    return st;
}

/* As solve does. */
static ps_status cut(measuring *m)
{
    const ps_plan_tensor *t = m->tensor;
    trial *w = &m->whole;
    ps_pruning_report pruning = {0};
    ps_thinning thinning = {0};
    ps_status st = PS_OK;
    if (t->n_members)
        st = ps_prune_tensor(&m->job, t, w->weights, w->moments.curvature, &w->sums, &pruning);
    if (!st && t->rank)
        st = ps_thin_tensor(&m->job, t, w->weights, &w->sums, &thinning);
    ps_pruning_report_clear(&pruning);
    ps_thinning_free(&thinning);
    return st;
}

static ps_status open_tensor(measuring *m)
{
    uint64_t at = m->job.run->task->row_begin;
    if (at >= m->job.plan->n_tensors || !m->job.plan->tensors[at].n_measures)
        return ps_fail(PS_INVALID_ARGUMENT, "of tensor %" PRIu64 " of %zu nothing is measured", at,
                       m->job.plan->n_tensors);
    m->tensor = &m->job.plan->tensors[at];
    m->found = ps_alloc_array(m->tensor->n_measures, sizeof *m->found);
    ps_status st = take(m);
    return st ? st : cut(m);
}

/* ---- factors of its input, which are of one form ---- */

static ps_status copy(const char *name, const float *from, uint64_t n, float **out)
{
    if (!from)
        return PS_OK;
    *out = ps_try_alloc_raw((size_t)n * sizeof **out);
    if (!*out)
        return ps_fail(PS_NO_MEMORY, "numbers of tensor %s", name);
    memcpy(*out, from, (size_t)n * sizeof **out);
    return PS_OK;
}

static ps_status copy_whole(const measuring *m, trial *out)
{
    const trial *w = &m->whole;
    const char *name = m->tensor->stored.name;
    uint64_t n = ps_model_form_numbers(&m->tensor->stored);
    uint64_t columns = m->job.plan->inputs[m->tensor->input].columns;
    ps_status st = copy(name, w->weights, n, &out->weights);
    if (!st)
        st = copy(name, w->moments.curvature, n, &out->moments.curvature);
    out->moments.examples = w->moments.examples;
    for (size_t i = 0; !st && i < 2; i++) { /* of a method that has factors: whole matrices */
        st = copy(name, w->sums.memory[i], columns * columns, &out->sums.memory[i]);
        out->sums.hessians[i] = w->sums.hessians[i];
        out->sums.hessians[i].sums = out->sums.memory[i];
    }
    return st;
}

static ps_status scale(const measuring *m, ps_form form, trial *t)
{
    const ps_plan *plan = m->job.plan;
    float *in = NULL;
    ps_scale_report report;
    ps_status st = copy_whole(m, t);
    if (!st)
        st = ps_fold_factors(&m->job, m->tensor->input, &m->whole.sums, &form, &in, &report);
    if (st)
        return st;
    ps_fold_sums(plan, m->tensor->input, in, &t->sums);
    ps_fold_apply(plan, m->tensor, in, NULL, t->weights);
    if (t->moments.curvature)
        ps_fold_curvature(plan, m->tensor, in, NULL, t->moments.curvature);
    ps_free(&in);
    return PS_OK;
}

/* ---- what a form costs ---- */

/* A form without codes is rounded, whatever the method. */
static ps_status run_method(const measuring *m, const trial *t, ps_form form, uint8_t *bytes,
                            ps_compress_report *report)
{
    const char *name = form.row->plain ? "round" : m->tensor->method->name;
    const ps_method *method = ps_method_find(name);
    ps_compress_problem problem = ps_fold_problem(&m->job, m->tensor, t->weights,
                                                  t->sums.memory[0] ? &t->sums.hessians[0] : NULL,
                                                  ps_compress_sums_held_out(&t->sums));
    problem.form = form;
    return method ? ps_method_solve(method, &problem, bytes, report)
                  : ps_fail(PS_UNIMPLEMENTED, "this worker has no method %s", name);
}

static ps_status loss_of(measuring *m, const trial *t, ps_form form, uint8_t *bytes, double *loss)
{
    const ps_model_form *stored = &m->tensor->stored;
    ps_compress_report report;
    ps_status st = run_method(m, t, form, bytes, &report);
    if (st)
        return st;
    m->seconds += report.seconds;
    switch (ps_spec_compress_saliency(m->job.spec->compress)) {
    case PS_SALIENCY_MOMENTS:
        return ps_tensor_moments_predict(&t->moments, stored, form, t->weights, bytes, loss);
    case PS_SALIENCY_ACTIVATIONS:
        *loss = report.error;
        return PS_OK;
    default:
        *loss = report.mse * (double)ps_model_form_numbers(stored);
        return PS_OK;
    }
}

static ps_status try_form(measuring *m, ps_form form, uint8_t *bytes, double *loss)
{
    size_t input = m->tensor->input;
    bool factors = input != PS_PLAN_NO_INPUT && m->job.plan->inputs[input].factors;
    trial scaled = {0};
    ps_status st = factors && !form.row->plain ? scale(m, form, &scaled) : PS_OK;
    if (!st)
        st = loss_of(m, scaled.weights ? &scaled : &m->whole, form, bytes, loss);
    trial_free(&scaled);
    return st;
}

static ps_status measure(measuring *m)
{
    const ps_plan_tensor *t = m->tensor;
    if (!t->n_choices)
        return ps_prune_count(&m->job, t, m->whole.weights, m->found);
    uint8_t *bytes = ps_try_alloc_raw((size_t)t->room);
    ps_status st = bytes ? PS_OK : ps_fail(PS_NO_MEMORY, "bytes of tensor %s", t->stored.name);
    for (size_t i = 0; !st && i < t->n_choices; i++)
        st = try_form(m, t->choices[i], bytes, &m->found[i]);
    ps_free(&bytes);
    return st;
}

static void tell(const measuring *m, Psd__V1__TaskResult *result)
{
    ps_buf json = PS_BUF_EMPTY;
    ps_json_writer w = ps_json_writer_to(&json);
    ps_json_object(&w);
    ps_json_key(&w, m->tensor->n_choices ? "losses" : "counts");
    ps_json_array(&w);
    for (size_t i = 0; i < m->tensor->n_measures; i++)
        ps_json_double(&w, m->found[i]);
    ps_json_array_end(&w);
    ps_json_put_double(&w, "seconds", m->seconds);
    ps_json_object_end(&w);
    ps_result_report(result, ps_buf_cstr(&json));
    ps_buf_free(&json);
}

static ps_status run_task(ps_task_run *run, Psd__V1__TaskResult *result)
{
    measuring m = {0};
    ps_status st = ps_compress_open(run, &m.job);
    if (st)
        return st;
    st = open_tensor(&m);
    if (!st)
        st = measure(&m);
    if (!st)
        tell(&m, result);
    trial_free(&m.whole);
    ps_free(&m.found);
    return st;
}

const ps_worker_kind ps_worker_kind_measure = {.name = "measure", .run = run_task, .fenced = true};
