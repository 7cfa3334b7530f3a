/* feature_ablation: what f loses when one feature, token or group of features is as in the
 * baseline: φ_S = f(x) − f(x_{S←x′}). Where f is a sum of functions of the groups the values are
 * those functions' parts, and so add up to f(x) − f(x′). One pass forward a row and group. */
#include "worker/explain/ablate.h"
#include "worker/explain/features.h"
#include "worker/explain/rows.h"

#include "common/base/mem.h"

/* By counting: begin[g + 1] is where the next feature of group g goes, and in the end where g + 1
 * begins. */
static void list_groups(const ps_explain_groups *groups, ps_ablation *out)
{
    for (size_t f = 0; f < groups->features; f++)
        if (groups->of[f] + 2 <= groups->n)
            out->begin[groups->of[f] + 2]++;
    for (size_t g = 1; g <= groups->n; g++)
        out->begin[g] += out->begin[g - 1];
    for (size_t f = 0; f < groups->features; f++)
        out->members[out->begin[groups->of[f] + 1]++] = (uint32_t)f;
}

static ps_status ablate(ps_explaining *x, const ps_explain_items *items,
                        const ps_explain_groups *groups, ps_explain_part *out)
{
    float *drops = ps_try_alloc_raw(items->n * groups->n * sizeof *drops);
    ps_ablation ablation;
    ps_status st = ps_ablation_make(groups->n, groups->features, &ablation);
    if (!st && !drops)
        st = ps_fail(PS_NO_MEMORY, "values of %zu groups", groups->n);
    if (!st) {
        list_groups(groups, &ablation);
        st = ps_ablate(x, items, &ablation, drops);
    }
    if (!st)
        st = ps_explain_put_groups(x, groups, items->n, drops, out);
    ps_ablation_free(&ablation);
    ps_free(&drops);
    return st;
}

static ps_status run(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                     const ps_explain_items *items, ps_explain_part *out)
{
    ps_explain_groups groups;
    ps_status st = ps_explain_groups_make(&spec->features, ps_explain_features(x, items),
                                          x->language, &groups);
    if (st)
        return st;
    st = ablate(x, items, &groups, out);
    ps_explain_groups_free(&groups);
    return st;
}

const ps_explain_method ps_explain_method_feature_ablation = {.name = "feature_ablation",
                                                              .run = run};
