#include "worker/tasks/thinning.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/form/factors.h"

/* Whatever it is stored in: an output a row. */
static ps_compress_problem problem_of(const ps_compress_job *job, const ps_plan_tensor *t,
                                      const float *weights, const ps_compress_sums *sums)
{
    const ps_model_form *is = &t->stored;
    bool whiten = job->spec->compress->lowrank->whiten;
    return (ps_compress_problem){.name = is->name,
                                 .weights = weights,
                                 .rows = is->shape[t->from.transposed ? 1 : 0],
                                 .columns = is->shape[t->from.transposed ? 0 : 1],
                                 .hessian = whiten ? &sums->hessians[0] : NULL,
                                 .held_out = whiten ? ps_compress_sums_held_out(sums) : NULL,
                                 .options = PS_COMPRESS_OPTIONS};
}

ps_status ps_thin_tensor(const ps_compress_job *job, const ps_plan_tensor *t, float *weights,
                         const ps_compress_sums *sums, ps_thinning *out)
{
    const ps_compress_problem p = problem_of(job, t, weights, sums);
    PS_REQUIRE(t->rank && job->spec->compress->lowrank);
    *out = (ps_thinning){0};
    out->factors = ps_try_alloc_raw((size_t)((p.rows + p.columns) * t->rank) * sizeof(float));
    if (!out->factors)
        return ps_fail(PS_NO_MEMORY, "tensor %s: its two matrices", p.name);
    ps_status st = ps_lowrank(&p, t->rank, out->factors, &out->report);
    if (!st)
        ps_factors_rows(out->factors, t->rank, p.rows, p.columns, 0, p.rows, weights);
    else
        ps_thinning_free(out);
    return st;
}

void ps_thinning_free(ps_thinning *thinning)
{
    ps_free(&thinning->factors);
}
