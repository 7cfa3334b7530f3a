/* layer_rule: passes of a model of layers that go back by a rule of a method's own, in place of the
 * activations' slopes: at every unit the gradient is times a factor of what came in and what went
 * out (Ancona 2018: DeepLIFT and LRP are gradients with another slope). On the thread of the model,
 * which asserts it. */
#ifndef PS_EXPLAIN_LAYER_RULE_H
#define PS_EXPLAIN_LAYER_RULE_H

#include "worker/explain/method.h"

/* Of a unit of a layer, from 0: it had z before the activation and a behind it; of the last layer,
 * which has none, a is z. NAN: the gradient stays what it is. */
typedef double ps_layer_rule_factor(const void *user, size_t layer, size_t unit, double z,
                                    double a);

typedef struct ps_layer_rule ps_layer_rule;

/* Borrows the model. PS_NO_MEMORY. */
PS_MUST_CHECK ps_status ps_layer_rule_make(const ps_explaining *x, ps_layer_rule **out);
void ps_layer_rule_free(ps_layer_rule **rule); /* NULL is nothing */
/* Of passes from now on: for ps_explain_points.hooks. user is borrowed. */
const ps_model_hooks *ps_layer_rule_use(ps_layer_rule *rule, ps_layer_rule_factor *factor,
                                        const void *user);
/* What a pass failed with in a hook; to be asked behind ps_explain_evaluate. */
PS_MUST_CHECK ps_status ps_layer_rule_status(const ps_layer_rule *rule);

size_t ps_layer_rule_layers(const ps_layer_rule *rule);
size_t ps_layer_rule_units(const ps_layer_rule *rule, size_t layer);
/* Of the last pass forward, [rows, units]: before and behind the activation. */
const float *ps_layer_rule_before(const ps_layer_rule *rule, size_t layer);
const float *ps_layer_rule_behind(const ps_layer_rule *rule, size_t layer);

#endif
