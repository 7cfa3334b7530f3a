/* Happy path: bins are filled from the least on, until there are as many numbers as are to go; of
 * the last one each tensor gives its share. So there are exactly as many, and what is on the wrong
 * side of the border is within a sixteenth of it. */
#include "common/compress/parts.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <math.h>

static ps_status check(const ps_plan_tensor *t, const double *counts)
{
    double sum = 0;
    bool whole = true;
    for (size_t b = 0; b < PS_PLAN_BINS; b++) {
        whole &= counts[b] <= floor(counts[b]);
        sum += counts[b];
    }
    uint64_t numbers = ps_model_form_numbers(&t->from);
    return whole && sum >= (double)numbers && sum <= (double)numbers
               ? PS_OK
               : ps_fail(PS_INVALID_ARGUMENT, "tensor %s: what was counted is not its numbers",
                         t->from.name);
}

/* Of all tensors. */
static ps_status add_up(const ps_plan *plan, const double *const *counts, uint64_t *bins,
                        uint64_t *all)
{
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < plan->n_tensors; i++) {
        if (!plan->tensors[i].n_measures)
            continue;
        PS_REQUIRE(counts[i]);
        st = check(&plan->tensors[i], counts[i]);
        for (size_t b = 0; !st && b < PS_PLAN_BINS; b++) {
            bins[b] += (uint64_t)counts[i][b];
            *all += (uint64_t)counts[i][b];
        }
    }
    return st;
}

/* `left` of the numbers in one bin. */
static void share_border(const ps_plan *plan, const double *const *counts, size_t bin,
                         uint64_t in_bin, uint64_t left, uint32_t *chosen)
{
    for (size_t i = 0; i < plan->n_tensors && in_bin; i++) { /* of what is there, what is left */
        double has = counts[i] ? counts[i][bin] : 0;
        uint64_t share = (uint64_t)rint(has * ((double)left / (double)in_bin));
        share = share < left ? share : left;
        chosen[i] += (uint32_t)share;
        left -= share;
        in_bin -= (uint64_t)has;
    }
}

ps_status ps_plan_share_zeros(const ps_plan *plan, const double *const *counts, uint32_t *chosen)
{
    uint64_t *bins = ps_alloc_array(PS_PLAN_BINS, sizeof *bins), all = 0;
    ps_status st = add_up(plan, counts, bins, &all);
    uint64_t left = (uint64_t)rint(plan->zeros * (double)all);
    size_t bin = 0;
    for (size_t i = 0; i < plan->n_tensors; i++)
        chosen[i] = 0;
    for (; !st && bin < PS_PLAN_BINS && left >= bins[bin]; bin++) {
        left -= bins[bin];
        for (size_t i = 0; i < plan->n_tensors; i++)
            chosen[i] += counts[i] ? (uint32_t)counts[i][bin] : 0;
    }
    if (!st && left)
        share_border(plan, counts, bin, bins[bin], left, chosen);
    ps_free(&bins);
    return st;
}

ps_status ps_plan_measures(ps_plan *plan, const ps_job_spec *spec)
{
    const ps_spec_compress *c = spec->compress;
    bool among_all =
        c->prune && ps_spec_prune_is_zeros(c->prune) && c->prune->over == PS_PRUNE_OVER_MODEL;
    plan->zeros = among_all ? c->prune->ratio : 0;
    plan->measures = among_all || (c->quantise && c->quantise->target);
    for (size_t i = 0; i < plan->n_tensors; i++) {
        ps_plan_tensor *t = &plan->tensors[i];
        t->n_measures = t->n_choices;
        if (!among_all || !t->zeros)
            continue;
        t->n_measures = PS_PLAN_BINS;
        if (ps_model_form_numbers(&t->from) > UINT32_MAX)
            return ps_fail(PS_INVALID_ARGUMENT,
                           "compress.prune.over: tensor %s has more numbers than are counted for "
                           "one; say over: tensor",
                           t->from.name);
    }
    return PS_OK;
}
