/* convolutions: what a network for images has before its linear layers (mlp.c). Of each
 *
 *     z = conv(x) + bias, n = norm(z), a = f(n), y = pool(a)        [rows,channels,height,width]
 *
 * with n = z where there is no norm, and y = a where there is no pool. Parameters are
 * `convolutions.I.weight` [channels,in,kernel,kernel] and `.bias`, and `norms.I.weight` and
 * `.bias` where there is a norm: the state dict of a PyTorch module that has them in a ModuleList
 * each. They begin as nn.Conv2d's and nn.GroupNorm's do. For the files of this folder.
 *
 * The largest of f's is f of the largest where f does not fall: then f is taken behind the pool, of
 * a quarter of the numbers, and with the same gradients. */
#ifndef PS_MODELS_CONVOLUTIONS_H
#define PS_MODELS_CONVOLUTIONS_H

#include "worker/models/model_row.h"

typedef struct ps_convolution_layer {
    ps_convolution is;
    ps_image_size in, given, left;        /* what comes to it, is convolved, and leaves it */
    ps_tensor weight, bias, gain, offset; /* the last two of the norm; may be not there */
    ps_tensor weight_gradient, bias_gradient, gain_gradient, offset_gradient;
    ps_tensor z, n, a, y; /* [max_batch,…]; some are one */
    ps_tensor index;      /* of a pool of the largest */
    ps_tensor mean, rstd; /* of the norm */
    size_t first;         /* of its parameters */
} ps_convolution_layer;

typedef struct ps_convolutions {
    size_t count; /* 0: the model has none */
    ps_convolution_layer *layers;
    ps_activation activation;
    float epsilon;
    ps_tensor wide[2];  /* as large as any convolution's z: to work in */
    ps_tensor gradient; /* as large as any y: of what the last layer gave, which backward begins
                           with; then of what the layers before gave */
} ps_convolutions;

/* Checks the configuration, adds the parameters to the layout, and says how many numbers of a row
 * are left. */
PS_MUST_CHECK ps_status ps_convolutions_describe(const ps_model_config *config,
                                                 ps_model_layout *layout, int64_t *features);
/* A described one; free with ps_convolutions_fini. */
void ps_convolutions_init(ps_convolutions *c, const ps_model_config *config);
void ps_convolutions_fini(ps_convolutions *c);
/* How many parameters they have: those of the layout's beginning. */
size_t ps_convolutions_parameters(const ps_convolutions *c);
/* Numbers of a row that are left behind the last. */
int64_t ps_convolutions_features(const ps_convolutions *c);
/* Gives every tensor its place, as ps_model_place; buffer may be not there yet. */
void ps_convolutions_place(ps_convolutions *c, const ps_model *m, size_t *end, ps_buffer *buffer);
void ps_convolutions_bind(ps_convolutions *c, const ps_model *m);

/* x[rows,inputs] -> *out [rows,features] */
PS_MUST_CHECK ps_status ps_convolutions_forward(ps_convolutions *c, ps_model *m,
                                                const ps_model_hooks *hooks, ps_tensor x,
                                                ps_tensor *out);
/* From c->gradient; dx[rows,inputs], if it is there, becomes x's gradient. */
PS_MUST_CHECK ps_status ps_convolutions_backward(ps_convolutions *c, ps_model *m,
                                                 const ps_model_hooks *hooks, ps_tensor x,
                                                 ps_tensor dx);

#endif
