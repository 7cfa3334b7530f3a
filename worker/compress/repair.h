/* repair: what is left of a matrix makes good what went with columns that were removed: the least
 * squares of the outputs as they were, by H. It is no training: one factorisation. */
#ifndef PS_COMPRESS_REPAIR_H
#define PS_COMPRESS_REPAIR_H

#include "worker/compress/method.h"

#include <stdbool.h>

typedef struct ps_repair_report {
    double cut;      /* share of the output's power that is lost with the columns alone */
    double repaired; /* and after the repair */
    double damp;     /* that was used; 0: none was, nothing was repaired */
    ps_compress_reason why;
} ps_repair_report;

/* Of problem (its form is not looked at) with columns that do not stay as 0:
 *     out = W_K + W_R·H_RK·(H_KK + λ)⁻¹,   λ = damp·mean(diag)
 * K: the columns that stay, R: the others. So λ draws what is kept to what it was, not to 0. out:
 * [rows, columns that stay]. Where H_KK + λ is not positive definite, λ rises tenfold up to the
 * mean; then out = W_K, and why. PS_NO_MEMORY. */
PS_MUST_CHECK ps_status ps_repair_columns(const ps_compress_problem *problem, const bool *stays,
                                          float *out, ps_repair_report *report);

#endif
