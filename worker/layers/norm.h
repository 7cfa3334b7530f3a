/* norm: LayerNorm, and RMSNorm where there is no bias; what each computes, gpu/ops.h says.
 *
 * Only enqueues. Statistics of the forward pass belong to who keeps x: one pair a use of the
 * layer. */
#ifndef PS_LAYERS_NORM_H
#define PS_LAYERS_NORM_H

#include "gpu/op.h"

typedef struct ps_norm_layer {
    ps_tensor gain, bias;                   /* [columns]; bias not there: RMSNorm */
    ps_tensor gain_gradient, bias_gradient; /* F32; not there: backward is of the input alone */
    float epsilon;
    float gain_offset;  /* the gain is so much more than `gain` (gpu/ops.h) */
    bool constant_rstd; /* to backward (gpu/ops.h) */
} ps_norm_layer;

/* What forward leaves for backward, F32 [rows or more]; mean is not used by RMSNorm. */
typedef struct ps_norm_state {
    ps_tensor mean, rstd;
} ps_norm_state;

/* x[rows,columns] -> y[rows,columns] */
void ps_norm_layer_forward(ps_stream *s, const ps_norm_layer *l, ps_norm_state state, ps_tensor y,
                           ps_tensor x);
/* dx += the input's gradient (dx is a residual's), parameters' gradients + beta times what they
 * hold; from dy and forward's x. */
void ps_norm_layer_backward(ps_stream *s, const ps_norm_layer *l, ps_norm_state state, ps_tensor dx,
                            ps_tensor dy, ps_tensor x, float beta);
/* dx = the input's gradient; not dy's memory. */
void ps_norm_layer_backward_to(ps_stream *s, const ps_norm_layer *l, ps_norm_state state,
                               ps_tensor dx, ps_tensor dy, ps_tensor x, float beta);
/* dx = the input's gradient, in dy's place. */
void ps_norm_layer_backward_in_place(ps_stream *s, const ps_norm_layer *l, ps_norm_state state,
                                     ps_tensor dy, ps_tensor x, float beta);

/* Of each head's numbers, RMSNorm (Henry 2020): y and x are columns of longer rows, in which
 * `heads` of them lie one after the other; [rows, heads · head size], rows ld_* elements apart. */
typedef struct ps_norm_heads {
    int64_t heads;
    ps_tensor y, x;
    int64_t ld_y, ld_x;
} ps_norm_heads;
void ps_norm_layer_heads(ps_stream *s, const ps_norm_layer *l, ps_norm_state state,
                         const ps_norm_heads *h);
/* The gradient of y, which is h->y now, becomes that of x, in place; h->x as forward had it. */
void ps_norm_layer_heads_backward(ps_stream *s, const ps_norm_layer *l, ps_norm_state state,
                                  const ps_norm_heads *h, float beta);

#endif
