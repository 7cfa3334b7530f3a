/* row_gradients: gradients by the parameters of a model, of each row by itself, without one of them
 * being made: of layer l (row_layers.h) it is Σ δ·aᵀ over the row's positions, one of models of
 * layers and its tokens of language models, a what the layer takes and δ the gradient by what it
 * gives, so that the two are all that is kept (Goodfellow 2015). A bias is the weight of one more
 * input that is always 1, and a has it as its last number. Of two rows of one position each
 *
 *     ⟨g, g'⟩ = Σ over layers (a·a')·(δ·δ')
 *
 * Of rows of many positions a layer's gradient is smaller than its factors, or about as large: it
 * is made where it is needed, of one layer at a time.
 *
 * On the task's thread (not asserted: the model asserts it). */
#ifndef PS_EXPLAIN_ROW_GRADIENTS_H
#define PS_EXPLAIN_ROW_GRADIENTS_H

#include "worker/explain/method.h"
#include "worker/explain/products.h"
#include "worker/explain/row_layers.h"

/* Of what the gradient is, of a row. Of tokens it is the mean over those that have a label. */
typedef enum ps_gradient_of {
    PS_GRADIENT_LOSS,   /* the training's: of its label; a mean over its numbers */
    PS_GRADIENT_MARGIN, /* cross_entropy: log(p / (1 − p)) of the label's probability p */
    /* of a loss whose label is drawn from the model's own answer, so that E[g·gᵀ] is the
     * Gauss-Newton matrix of the loss: of squared_error one of two errors is, each number's by
     * itself; of n tokens each token's is, and the sum is divided by √n. The row's number and the
     * method settle what is drawn. */
    PS_GRADIENT_DRAWN,
} ps_gradient_of;

typedef struct ps_row_gradients {
    ps_explaining *x;
    size_t layers, batch, length; /* length: positions of a row at most */
    ps_row_layer *layer;          /* [layers] */
    size_t *in, *out;             /* [layers]: numbers of a, with its 1, and of δ */
    size_t in_all, out_all;
    /* Of the rows that were taken last: */
    size_t n, positions; /* rows, and positions of each */
    float **a, **d; /* [layers]: [batch · positions, in], [batch · positions, out]; layers that take
                       the same have one a */
    float *miss;    /* [batch]: 1 − p of the label, of tokens its mean; of squared_error 0 */
    float *labels; /* [batch]: the class; of numbers the first of them; of tokens NaN */
    bool *odd;     /* [batch]: the gradient is not finite; a and d are zeros then */
    /* and what they are made of */
    void *inputs, *given;
    float *z, *dense, *dz; /* outputs, then gradients by them; a tap's; one output's */
    ps_model_point *points;
    ps_status status; /* of a hook */
} ps_row_gradients;

/* Rows of x->test, and x->train where there is one. PS_NO_MEMORY; PS_INVALID_ARGUMENT: no layer of
 * the model has taps on both sides. Closed in any case. */
PS_MUST_CHECK ps_status ps_row_gradients_open(ps_explaining *x, ps_row_gradients *out);
void ps_row_gradients_close(ps_row_gradients *g);

/* Rows `rows[n]` of the data, which have labels; n at most x->batch. Fails as reading and the model
 * do. */
PS_MUST_CHECK ps_status ps_row_gradients_take(ps_row_gradients *g, const ps_dataset *data,
                                              const uint64_t *rows, size_t n, ps_gradient_of of);

/* Of n rows out[n, rows of u, rows of v] = Σ u·vᵀ over a row's positions, of u[n · positions, m]
 * and v[n · positions, k]: with a layer's δ and a, or what they have been turned to, its gradient
 * as [out, in]. */
PS_MUST_CHECK ps_status ps_row_gradients_make(const ps_row_gradients *g, ps_products *products,
                                              const float *u, size_t m, const float *v, size_t k,
                                              float *out);

/* A line on the parameters that are not counted, by name; nothing where all are. */
void ps_row_gradients_say(const ps_row_gradients *g, ps_explain_part *out);

#endif
