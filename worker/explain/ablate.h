/* ablate: f(x) − f(x with some of its features, or tokens, as in the baseline), for many sets of
 * them: what feature_ablation and occlusion share. */
#ifndef PS_EXPLAIN_ABLATE_H
#define PS_EXPLAIN_ABLATE_H

#include "worker/explain/method.h"

/* Sets of a row's features; the same for every row of a run. */
typedef struct ps_ablation {
    size_t sets;
    /* Is the feature (or token) in the set? */
    bool (*has)(const void *user, size_t set, size_t feature);
    const void *user;
} ps_ablation;

/* drops: [items->n, sets]. */
PS_MUST_CHECK ps_status ps_ablate(ps_explaining *x, const ps_explain_items *items,
                                  const ps_ablation *ablation, float *drops);

#endif
