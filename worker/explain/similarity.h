/* similarity: how alike two layers see the same rows: linear CKA (Kornblith 2019), which neither
 * rotation nor scale of a layer changes, with the estimate of HSIC that is 0 on the mean where
 * there is nothing alike (Song 2012; Nguyen, Raghu and Kornblith 2021), since the plain one grows
 * with the width and falls with the rows.
 *
 * Pure, float64; sums in the rows' order. */
#ifndef PS_EXPLAIN_SIMILARITY_H
#define PS_EXPLAIN_SIMILARITY_H

#include "common/base/status.h"

#include <stddef.h>

/* k[rows, rows] = x·xᵀ of x[rows, columns]: what is compared. */
void ps_similarity_kernel(const float *x, size_t rows, size_t columns, double *k);

/* ‖Xc·Ycᵀ‖ by kernels, centred: CKA in [0, 1], 1 with itself; NaN: a layer is the same of all
 * rows. Works in 16·rows² bytes. PS_NO_MEMORY. */
PS_MUST_CHECK ps_status ps_cka(const double *k, const double *l, size_t rows, double *out);

/* Of kernels, without bias; may be a little below 0. rows: at least 4. NaN likewise.
 *     HSIC = (tr K̃L̃ + 1ᵀK̃1·1ᵀL̃1/((n−1)(n−2)) − 2/(n−2)·1ᵀK̃L̃1) / (n·(n−3)), diagonals 0 */
double ps_cka_debiased(const double *k, const double *l, size_t rows);

#endif
