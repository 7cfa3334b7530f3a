/* feature_ablation: what f loses when one feature, token or group of features is as in the
 * baseline: φ_S = f(x) − f(x_{S←x′}). Where f is a sum of functions of the groups the values are
 * those functions' parts, and so add up to f(x) − f(x′). One pass forward a row and group. */
#include "worker/explain/ablate.h"
#include "worker/explain/features.h"
#include "worker/explain/rows.h"

#include "common/base/mem.h"

static bool has(const void *user, size_t set, size_t feature)
{
    const ps_explain_groups *groups = user;
    return groups->of[feature] == set;
}

/* Every feature has its group's value. */
static void spread(const ps_explain_groups *groups, size_t rows, const float *drops, float *values)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t f = 0; f < groups->features; f++)
            values[i * groups->features + f] = drops[i * groups->n + groups->of[f]];
}

static ps_status ablate(ps_explaining *x, const ps_explain_items *items,
                        const ps_explain_groups *groups, ps_explain_part *out)
{
    float *drops = ps_try_alloc_raw(items->n * groups->n * sizeof *drops);
    float *values = ps_try_alloc_raw(items->n * groups->features * sizeof *values);
    const ps_ablation ablation = {.sets = groups->n, .has = has, .user = groups};
    bool grouped = groups->n != groups->features;
    ps_status st = drops && values ? ps_ablate(x, items, &ablation, drops)
                                   : ps_fail(PS_NO_MEMORY, "values of %zu groups", groups->n);
    if (!st)
        spread(groups, items->n, drops, values);
    if (!st && grouped)
        st = ps_explain_put_values(out, "groups", "group", items->n, groups->n, drops);
    if (!st)
        st = ps_explain_put_values(out, "values", x->language ? "token" : "feature", items->n,
                                   groups->features, values);
    ps_free(&drops);
    ps_free(&values);
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
