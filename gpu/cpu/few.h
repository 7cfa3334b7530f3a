/* few: products of few rows with a matrix that is used where it lies, ld numbers from row to row.
 * Bound by how fast the matrix comes from memory: it is read once, and asked for ahead of its use,
 * where a product by OpenBLAS copies it first. */
#ifndef PS_CPU_FEW_H
#define PS_CPU_FEW_H

#include <stdint.h>

/* y[rows] = scale · m·x; m [rows,n], x [n] */
void ps_cpu_few_dots(float *y, const float *x, const float *m, int64_t ld, int64_t rows, int64_t n,
                     float scale);
void ps_cpu_few_dots_bf16(float *y, const float *x, const uint16_t *m, int64_t ld, int64_t rows,
                          int64_t n, float scale);
/* y[n] += mᵀ·x; m [rows,n], x [rows] */
void ps_cpu_few_sums(float *y, const float *x, const float *m, int64_t ld, int64_t rows, int64_t n);
void ps_cpu_few_sums_bf16(float *y, const float *x, const uint16_t *m, int64_t ld, int64_t rows,
                          int64_t n);

#endif
