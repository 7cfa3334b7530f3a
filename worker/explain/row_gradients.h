/* row_gradients: gradients by the parameters of a model of layers, of each row by itself, that are
 * never made: of layer l of one row it is δ·aᵀ, a what the layer takes and δ the gradient by what
 * it gives, so that the two are all that is kept (Goodfellow 2015). A bias is the weight of one
 * more input that is always 1, and every a has it as its last number. Of two rows
 *
 *     ⟨g, g'⟩ = Σ over layers (a·a')·(δ·δ')
 *
 * On the task's thread (not asserted: the model asserts it). */
#ifndef PS_EXPLAIN_ROW_GRADIENTS_H
#define PS_EXPLAIN_ROW_GRADIENTS_H

#include "worker/explain/method.h"

/* Of what the gradient is, of a row. */
typedef enum ps_gradient_of {
    PS_GRADIENT_LOSS,   /* the training's: of its label; a mean over its numbers */
    PS_GRADIENT_MARGIN, /* cross_entropy: log(p / (1 − p)) of the label's probability p */
    /* of a loss whose label is drawn from the model's own answer, so that E[g·gᵀ] is the
     * Gauss-Newton matrix of the loss: of squared_error one of two errors is, each number's by
     * itself. The row's number and the method settle what is drawn. */
    PS_GRADIENT_DRAWN,
} ps_gradient_of;

typedef struct ps_row_gradients {
    ps_explaining *x;
    size_t layers, batch;
    size_t *in, *out; /* [layers]: numbers of a, with its 1, and of δ */
    size_t in_all, out_all;
    /* Of the rows that were taken last: */
    size_t n;
    float **a, **d; /* [layers]: [batch, in], [batch, out] */
    float *miss;    /* [batch]: 1 − p of the label; of squared_error 0 */
    float *labels;  /* [batch]: the class; of numbers the first of them */
    bool *odd;      /* [batch]: the gradient is not finite; a and d are zeros then */
    /* and what they are made of */
    void *inputs, *given;
    float *z, *dz, *dense;
    ps_model_point *points;
    ps_status status; /* of a hook */
} ps_row_gradients;

/* x has a model of layers. PS_NO_MEMORY. Closed in any case. */
PS_MUST_CHECK ps_status ps_row_gradients_open(ps_explaining *x, ps_row_gradients *out);
void ps_row_gradients_close(ps_row_gradients *g);

/* Rows `rows[n]` of the data, which have labels; n at most x->batch. Fails as reading and the model
 * do. */
PS_MUST_CHECK ps_status ps_row_gradients_take(ps_row_gradients *g, const ps_dataset *data,
                                              const uint64_t *rows, size_t n, ps_gradient_of of);

#endif
