/* few: products of one row with many that are used where they lie, ld floats apart. Bound by how
 * fast the many come from memory; a product by OpenBLAS copies them first. */
#ifndef PS_CPU_FEW_H
#define PS_CPU_FEW_H

#include <stdint.h>

/* y[rows] = scale · m·x; m [rows,n], x [n] */
void ps_cpu_few_dots(float *y, const float *x, const float *m, int64_t ld, int64_t rows, int64_t n,
                     float scale);
/* y[n] += mᵀ·x; m [rows,n], x [rows] */
void ps_cpu_few_sums(float *y, const float *x, const float *m, int64_t ld, int64_t rows, int64_t n);

#endif
