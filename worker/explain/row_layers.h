/* row_layers: the products of a model of which rows' gradients are taken: weights with what comes
 * into them and goes out at a tap, each with its bias. Of models of layers these are all its
 * parameters; of a language model the matrices of its blocks, and its embeddings, norms and head
 * are left out. Plain data. */
#ifndef PS_EXPLAIN_ROW_LAYERS_H
#define PS_EXPLAIN_ROW_LAYERS_H

#include "common/base/buf.h"
#include "worker/models/model.h"

typedef struct ps_row_layer {
    size_t weight; /* the parameter's number */
    size_t bias;   /* likewise; PS_ROW_NO_BIAS */
    size_t in;     /* numbers of what it takes, and where there is a bias the 1 behind them */
    size_t out;    /* numbers of what it gives */
    ps_tap before; /* where it takes them */
    ps_tap behind[PS_MODEL_TAPS_BEHIND]; /* where they are, side by side */
    size_t n_behind;
} ps_row_layer;

#define PS_ROW_NO_BIAS SIZE_MAX

/* In the order of the forward pass: how many; *out is the caller's (ps_free). */
size_t ps_row_layers(const ps_model *model, ps_row_layer **out);

/* Numbers of all of them: in² + out²; in · out; of the largest in · out; the longest side. */
typedef struct ps_row_sizes {
    uint64_t squares, weights, largest, widest;
} ps_row_sizes;
ps_row_sizes ps_row_layers_sizes(const ps_row_layer *layers, size_t n);

/* Names of the parameters that none of them has: blocks count as one, "h.*.ln_1.weight". */
void ps_row_layers_left_out(const ps_model *model, const ps_row_layer *layers, size_t n,
                            ps_buf *out);

#endif
