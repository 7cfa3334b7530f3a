/* repair: what is left of a matrix makes good what went with columns that were removed: the least
 * squares of the outputs as they were, by H. It is no training: one factorisation. */
#ifndef PS_COMPRESS_REPAIR_H
#define PS_COMPRESS_REPAIR_H

#include "worker/compress/method.h"

#include <stdbool.h>

/* Shares of the output's power that are lost with the columns alone (cut), and after the repair; by
 * the calibration, and by rows kept apart from it (-1: there are none). */
typedef struct ps_repair_report {
    double cut, repaired;
    double held_out_cut, held_out;
    double damp; /* that was used; 0: nothing was repaired */
    ps_compress_reason why;
} ps_repair_report;

/* Of problem (its form is not looked at) with columns that do not stay as 0:
 *     out = W_K + W_R·H_RK·(H_KK + λ)⁻¹,   λ = damp·mean(diag)
 * K: the columns that stay, R: the others. So λ draws what is kept to what it was, not to 0. out:
 * [rows, columns that stay]. With few tokens a column a repair fits what it has seen and nothing
 * else; so where rows were held out, damp is tried, and ten times as much, up to 1, and what loses
 * least on them is kept, perhaps W_K itself. Where H_KK + λ is not positive definite, λ rises as
 * well; if it never is, out = W_K, and why. PS_NO_MEMORY. */
PS_MUST_CHECK ps_status ps_repair_columns(const ps_compress_problem *problem, const bool *stays,
                                          float *out, ps_repair_report *report);

#endif
