#include "worker/layers/linear.h"

/* y[rows,out] = x[rows,in] · W[out,in]ᵀ + b[out] */
void ps_linear_forward(ps_stream *s, const ps_linear *l, ps_tensor y, ps_tensor x)
{
    ps_op_matmul(s, y, x, false, l->weight, true, 0);
    ps_op_bias_add(s, y, l->bias);
}

/* db[out] = sum over rows of dy[rows,out] */
void ps_linear_backward_bias(ps_stream *s, const ps_linear *l, ps_tensor dy)
{
    ps_op_bias_backward(s, l->bias_gradient, dy, 0);
}

/* dW[out,in] = dy[rows,out]ᵀ · x[rows,in] */
void ps_linear_backward_weight(ps_stream *s, const ps_linear *l, ps_tensor dy, ps_tensor x)
{
    ps_op_matmul(s, l->weight_gradient, dy, true, x, false, 0);
}

/* dx[rows,in] = dy[rows,out] · W[out,in] */
void ps_linear_backward_input(ps_stream *s, const ps_linear *l, ps_tensor dx, ps_tensor dy)
{
    ps_op_matmul(s, dx, dy, false, l->weight, false, 0);
}
