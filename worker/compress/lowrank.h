/* lowrank: a matrix as the product of two thinner ones. */
#ifndef PS_COMPRESS_LOWRANK_H
#define PS_COMPRESS_LOWRANK_H

#include "worker/compress/method.h"

typedef struct ps_lowrank_report {
    double error, held_out; /* as of a method; -1: no H */
    double mse;
} ps_lowrank_report;

/* weights ≈ left·right, left [rows, rank], its columns orthonormal, right [rank, columns]: the best
 * there is for outputs by problem->hessian, or for the weights themselves without it (the
 * problem's form is not looked at). rank: from 1 to the smaller side. PS_NO_MEMORY. Smaller than
 * the matrix where rank·(rows + columns) < rows·columns. */
PS_MUST_CHECK ps_status ps_lowrank(const ps_compress_problem *problem, uint64_t rank, float *left,
                                   float *right, ps_lowrank_report *report);
/* left·right, [rows, columns]. */
void ps_lowrank_merge(const float *left, const float *right, uint64_t rows, uint64_t columns,
                      uint64_t rank, float *out);

#endif
