/* groups: which groups of a product's inputs can go, when those that stay may make good what goes:
 * the heads of an attention before its output projection. What a group adds to the output says
 * little of that (two heads that say the same count twice, and one of them is free), so the loss
 * after the repair is what counts: the optimal brain surgeon's, of blocks (Hassibi and Stork 1993;
 * Kurtic and others 2023, ZipLM). */
#ifndef PS_COMPRESS_GROUPS_H
#define PS_COMPRESS_GROUPS_H

#include "worker/compress/method.h"

#include <stdbool.h>

/* Group g of the problem is its columns from g · span on; all columns are groups'. One after the
 * other goes the one whose loss is least when all that are left make it good, by H with
 * damp·mean(diag) on its diagonal; of equals, the first:
 *     loss(g) = Σ over rows of w_g·(P_gg)⁻¹·w_gᵀ, P = H⁻¹; then W -= W_g·(P_gg)⁻¹·P_g
 * keep, [groups]: the `left` that stay. *lost: the share of the output's power that no repair
 * brings back, as it was when each went. Where H is not positive definite, damping rises as in a
 * repair; if it never is, inputs are taken to have nothing to do with each other. PS_NO_MEMORY. */
PS_MUST_CHECK ps_status ps_groups_keep(const ps_compress_problem *problem, uint64_t span,
                                       uint64_t left, bool *keep, double *lost);

#endif
