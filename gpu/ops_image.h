/* ops_image: the arguments of what networks for images compute: a part of gpu/ops.h, which includes
 * it, and says what holds for all. */
#ifndef PS_GPU_OPS_IMAGE_H
#define PS_GPU_OPS_IMAGE_H

#include "gpu/tensor.h"

/* Convolution of images, as PyTorch's conv2d; all F32. With what lies outside of an image as 0,
 *     y[n,o,r,s] = bias[o] + Σ over c, i, j of weight[o,c,i,j] · x[n,c,r·stride + i - padding,
 *                                                                  s·stride + j - padding]
 * Which of the tensors an operation writes to, and which are gradients, it says. */
typedef struct ps_conv {
    ps_tensor y;      /* [images,out,(h + 2·padding - kh) / stride + 1, likewise of w] */
    ps_tensor x;      /* [images,in,h,w] */
    ps_tensor weight; /* [out,in,kh,kw] */
    ps_tensor bias;   /* [out]; may be not there */
    int64_t stride;   /* from 1 */
    int64_t padding;  /* less than kh and kw */
    float beta;       /* of conv_backward_weight */
} ps_conv;

typedef enum ps_pool_kind {
    PS_POOL_MAX, /* the first of equals; NaN is larger than any number */
    PS_POOL_AVERAGE,
} ps_pool_kind;

/* Each plane [h,w] of an image becomes smaller: a number for each window of it. What is left over
 * below and on the right is not looked at, as in PyTorch. F32. */
typedef struct ps_pool {
    ps_pool_kind kind;
    ps_tensor y;     /* [images,channels,(h - window_h) / stride + 1, likewise of w] */
    ps_tensor x;     /* [images,channels,h,w] */
    ps_tensor index; /* of MAX: U8 [as y], where in its window the number was, i·window_w + j; may
                        be not there, but for the backward pass */
    int64_t window_h, window_w; /* of MAX at most 256 numbers */
    int64_t stride;
} ps_pool;

/* Channels of an image in groups of neighbours, each normalised as one (Wu, He 2018; PyTorch's
 * GroupNorm), rstd as in ps_norm:
 *     y = (x - mean of the group) · rstd of the group · gain[channel] + bias[channel]
 * F32. */
typedef struct ps_group_norm {
    ps_tensor y, x;       /* [images,channels,…]; not the same memory */
    ps_tensor gain, bias; /* [channels] */
    ps_tensor mean, rstd; /* [images · groups] */
    int64_t groups;       /* divides channels */
    float epsilon;
} ps_group_norm;

typedef struct ps_group_norm_backward {
    ps_tensor dx;           /* [images,channels,…]; may be dy's memory */
    ps_tensor dgain, dbias; /* [channels] = its gradient + beta · what it holds (0: not read); or
                               neither is there */
    ps_tensor dy, x, gain, mean, rstd;
    int64_t groups;
    float beta;
} ps_group_norm_backward;

#endif
