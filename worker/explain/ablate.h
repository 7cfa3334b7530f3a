/* ablate: f(x) − f(x with some of its features, or tokens, as in the baseline), for many sets of
 * them: what feature_ablation and occlusion share. */
#ifndef PS_EXPLAIN_ABLATE_H
#define PS_EXPLAIN_ABLATE_H

#include "worker/explain/method.h"

/* Sets of a row's features (or tokens); the same for every row of a run. Its maker fills it in. */
typedef struct ps_ablation {
    size_t sets;
    size_t *begin;     /* [sets + 1]: of a set's features in `members`; made as zeros */
    uint32_t *members; /* [begin[sets]] */
} ps_ablation;

/* Room for sets of so many features in all. PS_INVALID_ARGUMENT: they are too many to be listed.
 * PS_NO_MEMORY. Freed by the caller, also after a failure. */
PS_MUST_CHECK ps_status ps_ablation_make(size_t sets, size_t members, ps_ablation *out);
void ps_ablation_free(ps_ablation *ablation);

/* drops: [items->n, sets]. */
PS_MUST_CHECK ps_status ps_ablate(ps_explaining *x, const ps_explain_items *items,
                                  const ps_ablation *ablation, float *drops);

#endif
