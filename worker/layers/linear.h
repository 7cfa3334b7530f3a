/* linear: y = x·Wᵀ + b, with the weight stored [out,in] as PyTorch's nn.Linear, or [in,out] as
 * GPT-2's Conv1D; or as two factors, W = L·R (common/form/factors.h), and y = (x·Rᵀ)·Lᵀ + b.
 *
 * Only enqueues. Weight, bias, x, y and their gradients are of one type, F32 or BF16; gradients of
 * parameters are F32. y and dy may be columns of wider rows: ld_y and ld_dy are the elements from
 * one row to the next, 0 where rows are dense. */
#ifndef PS_LAYERS_LINEAR_H
#define PS_LAYERS_LINEAR_H

#include "gpu/op.h"

typedef struct ps_linear {
    ps_tensor weight;          /* [out,in], or [in,out] */
    ps_tensor bias;            /* [out]; may be not there */
    ps_tensor weight_gradient; /* as weight */
    ps_tensor bias_gradient;   /* as bias */
    bool input_major;          /* the weight is stored [in,out] */
    ps_tensor ones;      /* [rows or more] of 1; for a bias where y are columns of wider rows */
    ps_form_matrix form; /* [out,in]: where it is there, in the weight's place; no backward */
    bool exact;          /* of products with a form (gpu/ops.h) */
    int64_t rank;        /* of a weight that is two factors, [out + in,rank]; no backward. Or 0 */
    ps_tensor between;   /* then: room for F32 [rows,rank] */
} ps_linear;

/* x[rows,in] -> y[rows,out] */
void ps_linear_forward(ps_stream *s, const ps_linear *l, ps_tensor y, int64_t ld_y, ps_tensor x);

/* The parameters' gradients + beta times what they hold, from dy[rows,out] and forward's
 * x[rows,in]. The bias's and the weight's come apart so that each may be sent as soon as it is
 * there. */
void ps_linear_backward_bias(ps_stream *s, const ps_linear *l, ps_tensor dy, int64_t ld_dy,
                             float beta);
void ps_linear_backward_weight(ps_stream *s, const ps_linear *l, ps_tensor dy, int64_t ld_dy,
                               ps_tensor x, float beta);
/* The input's gradient dx[rows,in] + beta · dx; reads the weight. */
void ps_linear_backward_input(ps_stream *s, const ps_linear *l, ps_tensor dx, ps_tensor dy,
                              int64_t ld_dy, float beta);

#endif
