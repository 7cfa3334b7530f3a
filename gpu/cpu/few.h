/* few: products of one row with a matrix that is used where it lies. Bound by how fast the matrix
 * comes from memory: it is read once, where a product by OpenBLAS copies it first.
 *
 * Rows are gone over four at a time, a quarter of the matrix apart, so that the processor reads
 * ahead in four places: a quarter more comes from memory than in one. Results do not depend on how
 * the quarters are cut into calls. */
#ifndef PS_CPU_FEW_H
#define PS_CPU_FEW_H

#include "gpu/tensor.h"

#include <stdint.h>

/* [rows,n] of F32 or BF16, ld numbers from row to row */
typedef struct ps_few {
    ps_dtype dtype;
    const void *m;
    int64_t ld, rows, n;
} ps_few;

/* Rows of a quarter; up to three are left over behind the fourth. */
int64_t ps_cpu_few_quarter(const ps_few *f);

/* Of rows [first, end) of every quarter, and with the last of them of what is left over:
 * y[row] = scale · m[row]·x, x [n] */
void ps_cpu_few_dots(const ps_few *f, int64_t first, int64_t end, float scale, const float *x,
                     float *y);
/* y[n] += x[row]·m[row], x [rows] */
void ps_cpu_few_sums(const ps_few *f, int64_t first, int64_t end, const float *x, float *y);

#endif
