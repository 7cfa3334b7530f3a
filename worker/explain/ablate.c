#include "worker/explain/ablate.h"

#include "worker/explain/baseline.h"

#include <string.h>

typedef struct ablating {
    const ps_explaining *x;
    const ps_explain_items *items;
    const ps_ablation *ablation;
    size_t width, features;
    float *drops;
} ablating;

/* Point i: set i % sets of row i / sets. */
static void make(void *user, size_t i, void *point, size_t *item)
{
    const ablating *a = user;
    float *out = point;
    size_t set = i % a->ablation->sets, each = a->width / a->features;
    *item = i / a->ablation->sets;
    memcpy(out, a->items->points + *item * a->width, a->width * sizeof *out);
    for (size_t f = 0; f < a->features; f++) {
        if (!a->ablation->has(a->ablation->user, set, f))
            continue;
        for (size_t k = f * each; k < (f + 1) * each; k++)
            out[k] = ps_explain_baseline_at(a->x->baseline, k);
    }
}

static void take(void *user, size_t i, double score, const float *gradient)
{
    const ablating *a = user;
    a->drops[i] = (float)(a->items->scores[i / a->ablation->sets] - score);
}

ps_status ps_ablate(ps_explaining *x, const ps_explain_items *items, const ps_ablation *ablation,
                    float *drops)
{
    ablating a = {.x = x,
                  .items = items,
                  .ablation = ablation,
                  .width = ps_explain_width(x, items),
                  .features = ps_explain_features(x, items),
                  .drops = drops};
    const ps_explain_points points = {
        .n = items->n * ablation->sets, .make = make, .take = take, .user = &a};
    return ps_explain_evaluate(x, items, &points);
}
