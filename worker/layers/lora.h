/* lora: a low-rank adapter beside a product (Hu et al. 2021): y += scale · (drop(x)·Aᵀ)·Bᵀ. What it
 * stands beside is another layer's (linear.h), whose weight stays as it is.
 *
 * Only enqueues; nothing is kept between the passes, the two thin products of the forward pass are
 * made again. A, B, x, y and their gradients are of one type, F32 or BF16; gradients of A and B are
 * F32. y and dy may be columns of wider rows: ld_y and ld_dy are the elements from one row to the
 * next, 0 where rows are dense. */
#ifndef PS_LAYERS_LORA_H
#define PS_LAYERS_LORA_H

#include "gpu/op.h"

typedef struct ps_lora {
    ps_tensor a, b;                   /* [rank,in], [out,rank] */
    ps_tensor a_gradient, b_gradient; /* likewise */
    float scale;                      /* alpha / rank */
    ps_tensor between, dbetween;      /* room for [rows,rank] each */
    ps_tensor dropped;                /* room for [rows,in]; not there: nothing is dropped */
    float rate;                       /* then: of dropout, */
    uint64_t seed, offset;            /* whose bits depend on these (gpu/ops.h) */
} ps_lora;

/* y[rows,out] += what x[rows,in] makes */
void ps_lora_forward(ps_stream *s, const ps_lora *l, ps_tensor y, int64_t ld_y, ps_tensor x);
/* Gradients of A and B + beta times what they hold, from dy[rows,out] and forward's x[rows,in]. */
void ps_lora_backward_weights(ps_stream *s, const ps_lora *l, ps_tensor dy, int64_t ld_dy,
                              ps_tensor x, float beta);
/* dx[rows,in] += the input's gradient */
void ps_lora_backward_input(ps_stream *s, const ps_lora *l, ps_tensor dx, ps_tensor dy,
                            int64_t ld_dy);

#endif
