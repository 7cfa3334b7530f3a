/* measure: one tensor of the plan, its number being row_begin, is made into each of the forms that
 * it may get, as solve would, and what each costs is the report, in their order:
 *
 *     {"losses":[0.19,0.04,0.009,0.0001],"seconds":0.9}
 *
 * By compress.saliency: what the model's loss rises by; the share of the power of the product's
 * output that is lost; or the sum of squares of what numbers are off by. Nothing is pushed. */
#include "common/base/mem.h"
#include "common/json/json.h"
#include "worker/tasks/fold.h"
#include "worker/tasks/moments.h"
#include "worker/tasks/task_kind.h"

#include <inttypes.h>

typedef struct measuring {
    ps_compress_job job;
    const ps_plan_tensor *tensor;
    float *weights; /* [rows, columns] of the product */
    ps_compress_sums sums;
    ps_tensor_moments moments; /* with compress.saliency: moments */
    double losses[PS_SPEC_SCHEMES], seconds;
} measuring;

static ps_status open_tensor(measuring *m)
{
    uint64_t at = m->job.run->task->row_begin;
    if (at >= m->job.plan->n_tensors || !m->job.plan->tensors[at].n_choices)
        return ps_fail(PS_INVALID_ARGUMENT, "tensor %" PRIu64 " of %zu has no forms to choose from",
                       at, m->job.plan->n_tensors);
    m->tensor = &m->job.plan->tensors[at];
    ps_status st = ps_compress_parent_weights(&m->job, m->tensor, &m->weights);
    if (!st && m->tensor->input != PS_PLAN_NO_INPUT)
        st = ps_compress_sums_take(&m->job, m->tensor, &m->sums);
    if (!st && m->job.spec->compress->saliency == PS_SALIENCY_MOMENTS)
        st = ps_tensor_moments_get(&m->job, m->tensor, &m->moments);
    return st;
}

/* A form without codes is rounded, whatever the method. */
static ps_status run_method(measuring *m, ps_form form, uint8_t *bytes, ps_compress_report *report)
{
    const char *name = form.row->plain ? "round" : m->tensor->method->name;
    const ps_method *method = ps_method_find(name);
    ps_compress_problem problem = ps_fold_problem(&m->job, m->tensor, m->weights,
                                                  m->sums.memory[0] ? &m->sums.hessians[0] : NULL,
                                                  ps_compress_sums_held_out(&m->sums));
    problem.form = form;
    return method ? ps_method_solve(method, &problem, bytes, report)
                  : ps_fail(PS_UNIMPLEMENTED, "this worker has no method %s", name);
}

static ps_status loss_of(measuring *m, ps_form form, uint8_t *bytes, double *loss)
{
    const ps_model_form *t = &m->tensor->stored;
    ps_compress_report report;
    ps_status st = run_method(m, form, bytes, &report);
    if (st)
        return st;
    m->seconds += report.seconds;
    switch (ps_spec_compress_saliency(m->job.spec->compress)) {
    case PS_SALIENCY_MOMENTS:
        return ps_tensor_moments_predict(&m->moments, t, form, m->weights, bytes, loss);
    case PS_SALIENCY_ACTIVATIONS:
        *loss = report.error;
        return PS_OK;
    default:
        *loss = report.mse * (double)ps_model_form_numbers(t);
        return PS_OK;
    }
}

static ps_status measure(measuring *m)
{
    const ps_plan_tensor *t = m->tensor;
    uint8_t *bytes = ps_try_alloc_raw((size_t)t->room);
    ps_status st = bytes ? PS_OK : ps_fail(PS_NO_MEMORY, "bytes of tensor %s", t->stored.name);
    for (size_t i = 0; !st && i < t->n_choices; i++)
        st = loss_of(m, t->choices[i], bytes, &m->losses[i]);
    ps_free(&bytes);
    return st;
}

static void tell(const measuring *m, Psd__V1__TaskResult *result)
{
    ps_buf json = PS_BUF_EMPTY;
    ps_json_writer w = ps_json_writer_to(&json);
    ps_json_object(&w);
    ps_json_key(&w, "losses");
    ps_json_array(&w);
    for (size_t i = 0; i < m->tensor->n_choices; i++)
        ps_json_double(&w, m->losses[i]);
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
    ps_tensor_moments_free(&m.moments);
    ps_free(&m.weights);
    ps_compress_sums_free(&m.sums);
    ps_compress_close(&m.job);
    return st;
}

const ps_worker_kind ps_worker_kind_measure = {.name = "measure", .run = run_task, .fenced = true};
