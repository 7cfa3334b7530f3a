/* first_layer: what the first layer of a model of layers gives of points, and its weights, for
 * methods whose points differ in a way that it need not be computed for: it is linear, z = W·x + b.
 * Where it is the widest, as it usually is, that is most of a pass (of 784-512-256-10 three
 * quarters of it). On the thread of the task (not asserted: the model's, which asserts it). */
#ifndef PS_EXPLAIN_FIRST_LAYER_H
#define PS_EXPLAIN_FIRST_LAYER_H

#include "worker/explain/method.h"

/* Is what the model takes what its first layer takes? Not tokens, and not images. The others are
 * for such models. */
bool ps_first_layer_takes_inputs(const ps_explaining *x);
size_t ps_first_layer_units(const ps_explaining *x);

/* z at points that are made as features, [points->n, units]; the points' own `take` is called as
 * ever. They have no hooks and want no gradients. Fails as ps_explain_evaluate. */
PS_MUST_CHECK ps_status ps_first_layer_answers(ps_explaining *x, const ps_explain_items *items,
                                               const ps_explain_points *points, float *z);
/* W[units, features], the caller's to free. PS_NO_MEMORY; fails as the device does. */
PS_MUST_CHECK ps_status ps_first_layer_weights(ps_explaining *x, float **out);

#endif
