/* activation: y = f(x), element by element; what each f is, gpu/ops.h says. */
#ifndef PS_LAYERS_ACTIVATION_H
#define PS_LAYERS_ACTIVATION_H

#include "gpu/op.h"

/* "relu", "gelu", "tanh", "gelu_tanh", "silu"; NULL is relu. PS_INVALID_ARGUMENT names what there
 * is. */
PS_MUST_CHECK ps_status ps_activation_parse(const char *name, ps_activation *out);

/* Whether backward reads forward's input: where not, forward may run in place. */
bool ps_activation_keeps_input(ps_activation kind);

/* x[...] -> y[...] of the same shape */
void ps_activation_forward(ps_stream *s, ps_activation kind, ps_tensor y, ps_tensor x);

/* d[...] = d·f'(x), in place, from forward's x and y (the same tensor if it ran in place) */
void ps_activation_backward(ps_stream *s, ps_activation kind, ps_tensor d, ps_tensor x,
                            ps_tensor y);

#endif
