/* cut_matrix: what a layer's matrix makes of its input, by the column blocks that it is stored in,
 * G = G1 + … + Gk, of columns i·M/k to (i + 1)·M/k as psd cuts them:
 *
 *     z = b + Σ_i P_i
 *
 * A weight stored [out, in] is cut along its inputs, and P_i = W_i·x_i is as wide as z; of GPT-2's
 * [in, out] a block is a slice of the outputs, and P_i is 0 outside of it: blocks stand side by
 * side. Products of heads are none: what they give has no point. One thread (not asserted: the
 * model's, which asserts it). */
#ifndef PS_EXPLAIN_CUT_MATRIX_H
#define PS_EXPLAIN_CUT_MATRIX_H

#include "worker/explain/method.h"

typedef struct ps_cut_matrix {
    size_t parameter;                     /* the weight's number */
    ps_tap before;                        /* where x is */
    ps_tap behind[PS_MODEL_TAPS_BEHIND];  /* where z is, */
    size_t columns[PS_MODEL_TAPS_BEHIND]; /* so much of it at each */
    size_t n_behind;
    int64_t layer;
    size_t inputs, outputs, blocks;
    bool side_by_side;
    float *bias;     /* [outputs]; zeros where there is none */
    ps_buffer *room; /* of the device, for one block's P of room_rows rows */
    size_t room_rows;
} ps_cut_matrix;

/* Is the parameter such a weight? */
bool ps_cut_matrix_is(const ps_model *model, size_t parameter);
/* blocks: at most as many as there are columns. Freed with _free, also after a failure.
 * PS_NO_MEMORY; fails as the device does. */
PS_MUST_CHECK ps_status ps_cut_matrix_open(const ps_explaining *x, size_t parameter, size_t blocks,
                                           ps_cut_matrix *out);
void ps_cut_matrix_free(const ps_explaining *x, ps_cut_matrix *matrix);

/* In a hook at `before`, which sees x[rows, inputs] in `seen`: P of all blocks, into parts[blocks,
 * rows, outputs]. Waits for the device. */
PS_MUST_CHECK ps_status ps_cut_matrix_parts(const ps_explaining *x, ps_cut_matrix *matrix,
                                            ps_tensor seen, int64_t ld, float *parts);
/* In a hook at a tap `behind`: the first of its columns in z, or SIZE_MAX: it is none of them. */
size_t ps_cut_matrix_column(const ps_cut_matrix *matrix, ps_tap tap);

#endif
