/* lowrank: a matrix as the product of two thinner ones. */
#ifndef PS_COMPRESS_LOWRANK_H
#define PS_COMPRESS_LOWRANK_H

#include "worker/compress/method.h"

typedef struct ps_lowrank_report {
    double error, held_out; /* as of a method; -1: no H */
    double mse;
} ps_lowrank_report;

/* weights ≈ L·R as two factors (common/form/factors.h), the columns of L orthonormal: the best
 * there is for outputs by problem->hessian, or for the weights themselves without it (the problem's
 * form is not looked at). factors: [rows + columns, rank], the caller's. rank: from 1 to the
 * smaller side. PS_NO_MEMORY. */
PS_MUST_CHECK ps_status ps_lowrank(const ps_compress_problem *problem, uint32_t rank,
                                   float *factors, ps_lowrank_report *report);

#endif
