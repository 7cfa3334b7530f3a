/* linear: y = x·Wᵀ + b, with the weight stored [out,in] as PyTorch's nn.Linear.
 *
 * Only enqueues; all tensors F32. */
#ifndef PS_LAYERS_LINEAR_H
#define PS_LAYERS_LINEAR_H

#include "gpu/op.h"

typedef struct ps_linear {
    ps_tensor weight;          /* [out,in] */
    ps_tensor bias;            /* [out] */
    ps_tensor weight_gradient; /* [out,in] */
    ps_tensor bias_gradient;   /* [out] */
} ps_linear;

/* x[rows,in] -> y[rows,out] */
void ps_linear_forward(ps_stream *s, const ps_linear *l, ps_tensor y, ps_tensor x);

/* The parameters' gradients, from dy[rows,out] and forward's x[rows,in]. The bias's and the
 * weight's come apart so that each may be sent as soon as it is there. */
void ps_linear_backward_bias(ps_stream *s, const ps_linear *l, ps_tensor dy);
void ps_linear_backward_weight(ps_stream *s, const ps_linear *l, ps_tensor dy, ps_tensor x);
/* The input's gradient dx[rows,in]; reads the weight. */
void ps_linear_backward_input(ps_stream *s, const ps_linear *l, ps_tensor dx, ps_tensor dy);

#endif
