/* look: passes of a model over the tokens or features of items, into which a method looks by hooks
 * (worker/models/tap.h), and what hooks take out of them. One thread (not asserted: the model's,
 * which asserts it). */
#ifndef PS_EXPLAIN_LOOK_H
#define PS_EXPLAIN_LOOK_H

#include "worker/explain/method.h"

/* One pass forward of all items. What a hook has failed with is its own to keep. */
PS_MUST_CHECK ps_status ps_explain_look(ps_explaining *x, const ps_explain_items *items,
                                        const ps_model_hooks *hooks);
/* One backward, after it, from the gradients of what is explained. */
PS_MUST_CHECK ps_status ps_explain_look_back(ps_explaining *x, const ps_explain_items *items,
                                             const ps_model_hooks *hooks);
/* The same, and what is explained of each item then, into scores[n]. Waits for the device. */
PS_MUST_CHECK ps_status ps_explain_look_scores(ps_explaining *x, const ps_explain_items *items,
                                               const ps_model_hooks *hooks, double *scores);
/* Of what a hook sees, the rows of the items' last tokens, from which the answer is read, into
 * out[n, columns]. Waits for the device. */
PS_MUST_CHECK ps_status ps_explain_last(const ps_explaining *x, const ps_explain_items *items,
                                        ps_tensor seen, int64_t ld, float *out);
/* Blocks of the model; heads of each. */
static inline size_t ps_explain_layers(const ps_explaining *x)
{
    return (size_t)x->model_spec->num_layers;
}
static inline size_t ps_explain_heads(const ps_explaining *x)
{
    return (size_t)x->model_spec->num_heads;
}

#endif
