/* Happy path: weights are fetched, factors found, and given back. */
#include "worker/tasks/fold.h"

#include "common/base/mem.h"
#include "common/base/require.h"

ps_compress_problem ps_fold_problem(const ps_compress_job *job, const ps_plan_tensor *tensor,
                                    const float *rows, const ps_hessian *hessian,
                                    const ps_hessian *held_out)
{
    const ps_plan_tensor *t = tensor;
    return (ps_compress_problem){.name = t->stored.name,
                                 .weights = rows,
                                 .rows = ps_model_form_rows(&t->stored),
                                 .columns = ps_model_form_columns(&t->stored),
                                 .hessian = hessian,
                                 .held_out = held_out,
                                 .form = t->stored.form,
                                 .options = {.damp = job->spec->compress->quantise->damp,
                                             .order = true,
                                             .one_range = t->matrix}};
}

/* Weights that the input goes into, in the plan's order. */
typedef struct group {
    float **rows;
    ps_compress_problem *problems;
    const ps_method_row *method;
    size_t n;
} group;

static ps_status open_group(const ps_compress_job *job, size_t input, const ps_hessian *hessian,
                            const ps_form *form, group *g)
{
    const ps_plan *plan = job->plan;
    ps_status st = PS_OK;
    g->rows = ps_alloc_array(plan->n_tensors, sizeof(float *));
    g->problems = ps_alloc_array(plan->n_tensors, sizeof *g->problems);
    for (size_t i = 0; !st && i < plan->n_tensors; i++) {
        const ps_plan_tensor *t = &plan->tensors[i];
        if (t->input != input)
            continue;
        st = ps_compress_parent_weights(job, t, &g->rows[g->n]);
        if (st)
            return st;
        g->method = t->method;
        g->problems[g->n] = ps_fold_problem(job, t, g->rows[g->n], hessian, NULL);
        if (form)
            g->problems[g->n].form = *form;
        g->n++;
    }
    return st;
}

static void close_group(group *g)
{
    for (size_t i = 0; i < g->n; i++)
        ps_free(&g->rows[i]);
    ps_free(&g->rows);
    ps_free(&g->problems);
}

static ps_status find(const ps_compress_job *job, size_t input, const ps_hessian *hessian,
                      const ps_form *form, float *scales, ps_scale_report *report)
{
    const ps_plan_input *in = &job->plan->inputs[input];
    group g = {0};
    ps_status st = open_group(job, input, hessian, form, &g);
    const ps_method *method = st ? NULL : ps_method_find(g.method->name);
    if (!st && !method)
        st = ps_fail(PS_UNIMPLEMENTED, "this worker has no method %s", g.method->name);
    if (!st)
        st = ps_method_scale(method, g.problems, g.n, (ps_scale_share){in->span, in->repeat},
                             scales, report);
    close_group(&g);
    return st;
}

static ps_status take_sums(const ps_compress_job *job, size_t input, ps_compress_sums *out)
{
    size_t i = 0;
    while (job->plan->tensors[i].input != input)
        i++; /* it is some tensor's */
    return ps_compress_sums_take(job, &job->plan->tensors[i], out);
}

ps_status ps_fold_factors(const ps_compress_job *job, size_t input, const ps_compress_sums *sums,
                          const ps_form *form, float **scales, ps_scale_report *report)
{
    const ps_plan_input *in = &job->plan->inputs[input];
    PS_REQUIRE(in->factors);
    ps_compress_sums taken = {0};
    float *found = ps_try_alloc_raw((size_t)in->columns * sizeof *found);
    ps_status st = found ? PS_OK : ps_fail(PS_NO_MEMORY, "factors of the inputs of %s", in->name);
    if (!st && !sums)
        st = take_sums(job, input, &taken);
    if (!st)
        st = find(job, input, sums ? &sums->hessians[0] : &taken.hessians[0], form, found, report);
    ps_compress_sums_free(&taken);
    if (st)
        ps_free(&found);
    *scales = found;
    return st;
}

void ps_fold_sums(const ps_plan *plan, size_t input, const float *scales, ps_compress_sums *sums)
{
    for (size_t i = 0; i < 2; i++)
        if (sums->memory[i])
            ps_scale_sums(sums->memory[i], plan->inputs[input].columns, scales);
}

void ps_fold_apply(const ps_plan *plan, const ps_plan_tensor *tensor, const float *in,
                   const float *out, float *rows)
{
    uint64_t columns = ps_plan_from_columns(tensor), n = ps_plan_from_rows(tensor);
    if (in)
        ps_scale_columns(rows, n, columns, in, false);
    if (!out)
        return;
    const ps_plan_input *of = &plan->inputs[tensor->folds];
    PS_REQUIRE(tensor->folds_from + of->columns / of->repeat <= n);
    ps_scale_rows(rows, tensor->folds_from, columns, (ps_scale_share){of->span, of->repeat}, out,
                  of->columns);
}

/* NULL of NULL; freed by the caller. */
static float *inverse_of(const float *scales, uint64_t n)
{
    float *out = scales ? ps_alloc_array(n, sizeof *out) : NULL;
    for (uint64_t i = 0; scales && i < n; i++)
        out[i] = 1 / scales[i];
    return out;
}

void ps_fold_curvature(const ps_plan *plan, const ps_plan_tensor *tensor, const float *in,
                       const float *out, float *curvature)
{
    float *by_in = inverse_of(in, in ? plan->inputs[tensor->input].columns : 0);
    float *by_out = inverse_of(out, out ? plan->inputs[tensor->folds].columns : 0);
    for (int twice = 0; twice < 2; twice++)
        ps_fold_apply(plan, tensor, by_in, by_out, curvature);
    ps_free(&by_in);
    ps_free(&by_out);
}
