/* The table, and the rows that are small enough to stand beside it. */
#include "worker/exchange/stage.h"

#include <math.h>

/* Where all workers' gradients make one update, psd clips that. */
static bool clip_wanted(const ps_spec_train *train)
{
    return train->clip_norm > 0 && !ps_spec_mode(train)->merges;
}

/* Gradient clipping by the global L2 norm (Pascanu, Mikolov, Bengio 2013): all gradients of a step
 * are scaled by min(1, clip_norm / ‖g‖). The norm is added up in float64. */
static ps_status clip_apply(const ps_stage_step *step)
{
    double sum = 0;
    for (size_t i = 0; i < step->count; i++) {
        const float *g = step->gradients[i];
        double tensor = 0;
        for (uint64_t k = 0; k < step->elements[i]; k++)
            tensor += (double)g[k] * (double)g[k];
        sum += tensor;
    }
    double norm = sqrt(sum);
    if (!isfinite(norm))
        return ps_fail(PS_INVALID_ARGUMENT, "the gradients' norm is %s at clock %llu",
                       isnan(norm) ? "NaN" : "infinite", (unsigned long long)step->clock);
    if (norm <= step->train->clip_norm)
        return PS_OK;
    float scale = (float)(step->train->clip_norm / norm);
    for (size_t i = 0; i < step->count; i++)
        for (uint64_t k = 0; k < step->elements[i]; k++)
            step->gradients[i][k] *= scale;
    return PS_OK;
}

static const ps_stage stages[] = {
    {.name = "clip_norm", .whole = true, .wanted = clip_wanted, .apply = clip_apply},
};

bool ps_stages_whole(const ps_spec_train *train)
{
    for (size_t i = 0; i < sizeof(stages) / sizeof(*stages); i++)
        if (stages[i].whole && stages[i].wanted(train))
            return true;
    return false;
}

ps_status ps_stages_apply(const ps_stage_step *step)
{
    for (size_t i = 0; i < sizeof(stages) / sizeof(*stages); i++) {
        if (!stages[i].wanted(step->train))
            continue;
        ps_status st = stages[i].apply(step);
        if (st)
            return ps_wrap(st, "%s", stages[i].name);
    }
    return PS_OK;
}
